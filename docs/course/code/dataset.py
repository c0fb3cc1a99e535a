"""Rows, batches, arrays, devices. python docs/course/code/dataset.py [--write]"""

import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lesson import leave
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

TABLE = Path("docs/course/code/flats.csv")


class Flats(Dataset):
    """Three flats: a row is area, rooms, distance, and its target the price."""

    def __init__(self, path: str) -> None:
        self.rows = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        row = torch.from_numpy(self.rows[place])
        return row[:3], row[3]


def invented() -> pd.DataFrame:
    """120 flats that nobody sold, with what real tables have: a long tail, gaps, a text."""
    draw = np.random.default_rng(0)
    area = np.exp(draw.normal(3.2, 0.35, 120)).round(1)
    rooms = np.clip((area / 9 + draw.normal(0, 0.5, 120)).round(), 1, 6).astype(int)
    distance = draw.exponential(0.8, 120).round(2)
    district = draw.choice(["north", "south", "river"], 120, p=[0.5, 0.4, 0.1])
    dearer = np.where(district == "river", 1.5, 1.0)
    price = (dearer * (0.2 * area - 0.6 * distance + draw.normal(1.5, 0.4, 120))).round(2)
    gaps = draw.random(120) < 0.15
    table = {"area": area, "rooms": rooms, "distance": np.where(gaps, np.nan, distance), "district": district}
    return pd.DataFrame({**table, "price": price})


def first_rows() -> str:
    lines = TABLE.read_text().splitlines()[:4]
    lines.insert(1, "---,---,---,---,---")
    return "\n".join(f"| {line.replace(',', ' | ')} |" for line in lines)


def batches() -> str:
    """Three flats, two at a time: by Dataset and DataLoader, and by the data set of the template."""
    from kindling.data.tabular import Housing

    ours = Housing(standardize=False)
    ours.prepare_data()
    ours.setup("fit")
    split = ours.splits["train"]
    lines = ["| batch | x by DataLoader | y | x in memory | y | same numbers |", "|---|---|---|---|---|---|"]
    loader = DataLoader(Flats("src/kindling/data/housing.csv"), batch_size=2)
    for place, (x, y) in enumerate(loader):
        own_x, own_y = split[torch.arange(len(split))[2 * place : 2 * place + 2]]
        shapes = (tuple(values.shape) for values in (x, y, own_x, own_y))
        same = torch.equal(x, own_x) and torch.equal(y, own_y[:, 0])
        lines.append(f"| {place + 1} | {' | '.join(map(str, shapes))} | {'yes' if same else 'no'} |")
    return "\n".join(lines)


def there_and_back() -> str:
    """Arrays and tensors: who shares memory with whom."""
    array = np.zeros(3, dtype=np.float32)
    shared, copied = torch.from_numpy(array), torch.tensor(array)
    array[0] = 7
    back = shared.numpy()
    back[1] = 8
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    home = (shared.to(device) * 2).cpu().numpy()
    lines = ["| what | holds |", "|---|---|"]
    named = {"array": array, "torch.from_numpy(array)": shared, "torch.tensor(array)": copied}
    named["(shared.to(device) * 2).cpu().numpy()"] = home
    for name, values in named.items():
        lines.append(f"| `{name}` | {', '.join(f'{value:g}' for value in values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv:
        invented().to_csv(TABLE, index=False)
    tables = {"first rows": first_rows(), "batches": batches(), "there and back": there_and_back()}
    drawn = io.BytesIO()
    if "--write" in sys.argv:
        from kindling import compose
        from kindling.data.look_text import lines
        from kindling.running.look import look

        facts, figure = look(compose(["data=csv", f"data.path={TABLE}", "data.target=price"]))
        tables["look"] = "\n".join(["```text", *list(lines(facts))[1:], "```"])
        figure.savefig(drawn, dpi=100)
    leave("01-data.md", tables, {"01-look": drawn.getvalue})
