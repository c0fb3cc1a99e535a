"""What the learning rate does, on three flats. python docs/course/code/learning_rate.py [--write]"""

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from lesson import leave

from kindling import compose, train
from kindling.errors import UserError

COMMAND = ["model=linear_regression", "data=housing", "optimizer=sgd"]
RATES = ["0.0001", "0.001", "0.01", "0.1", "0.4", "0.42", "1"]
PICTURES = {
    "03-too-small": ["optimizer.lr=0.001"],
    "03-right": ["optimizer.lr=0.1"],
    "03-edge": ["optimizer.lr=0.4"],
    "03-too-large": ["optimizer.lr=0.42", "trainer.max_epochs=2"],
    "03-raw": ["optimizer.lr=0.0008", "data.standardize=false"],
}


def losses(*overrides: str) -> str:
    """After 10, 100 and 400 steps, and the mean absolute error then; or what train.py says when it gives up."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        try:
            run = train(compose([*COMMAND, *overrides, "callbacks=none", "trainer=cpu", f"run_dir={folder}/run"]))
        except UserError as error:
            return f"{str(error).partition(';')[0]} | | |"
        epochs = run.metrics.iloc[[0, 9, 39]]
    values = [f"{loss:.4f}" if loss < 1000 else f"{loss:.0e}" for loss in epochs["val/loss"]]
    mae = epochs["val/mae"].iloc[-1]
    return " | ".join([*values, f"{mae:.4f}" if mae < 1000 else f"{mae:.0e}"])


def table(*overrides: str, rates: list[str]) -> str:
    lines = ["| learning rate | loss, 10 steps | 100 steps | 400 steps | mean error then |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {lr} | {losses(f'optimizer.lr={lr}', *overrides)} |" for lr in rates])


def steepness() -> str:
    """How fast the gradient grows away from the bottom: for each weight alone, and where it is steepest of all."""
    x = np.loadtxt("src/kindling/data/housing.csv", delimiter=",", skiprows=1)[:, :3]
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    lines = ["| of | mean | spread | steepness as it is | standardised |", "|---|---|---|---|---|"]
    for name, raw, new in zip(("area", "rooms", "distance"), x.T, scaled.T, strict=True):
        values = (raw.mean(), raw.std(), 2 * (raw**2).mean(), 2 * (new**2).mean())
        texts = [f"{value:,.0f}" if value > 100 else f"{value:.3g}" for value in values]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    most = [np.linalg.eigvalsh(2 * with_bias(features).T @ with_bias(features) / 3)[-1] for features in (x, scaled)]
    lines.append(f"| all together | | | {most[0]:,.0f} | {most[1]:.2f} |")
    lines.append(f"| largest learning rate, 2 / that | | | {2 / most[0]:.5f} | {2 / most[1]:.3f} |")
    return "\n".join(lines)


def with_bias(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, np.ones(len(features))])  # the input of the bias is 1


def draw(overrides: list[str]) -> bytes:
    """The picture of the loss that the run itself leaves."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder, "_".join(text.partition(".")[2].replace("=", "_") for text in overrides))
        train(compose([*COMMAND, *overrides, "trainer=cpu", f"run_dir={run_dir}"]))
        return (run_dir / "figures" / "loss_surface.png").read_bytes()


if __name__ == "__main__":
    tables = {
        "rates": table(rates=RATES),
        "raw": table("data.standardize=false", rates=["0.1", "0.001", "0.0008"]),
        "steepness": steepness(),
    }
    leave("03-learning-rate.md", tables, {name: partial(draw, overrides) for name, overrides in PICTURES.items()})
