"""Lesson 9: what a line can do on XOR, and why several linear layers are one. python docs/course/code/one_matrix.py

`--write` puts the tables into the page and draws the figure.
"""

import itertools

import torch
from lesson import leave
from matplotlib.axes import Axes
from torch import nn

from kindling.figure import SMALLEST, Figure
from kindling.palette import BLACK, BLUE, VERMILLION

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = torch.tensor([0.0, 1.0, 1.0, 0.0])
LINES = {"all zero": (0, 0, 0), "OR": (2, 2, -1), "a tenth of OR": (0.2, 0.2, -0.1), "ten times OR": (20, 20, -10)}


def lines() -> str:
    """What four lines z = w1 x1 + w2 x2 + b make of XOR, and the most of many that were tried."""
    table = ["| line | w1, w2, b | z of the four rows | right | loss |", "|---|---|---|---:|---:|"]
    for name, (w1, w2, b) in LINES.items():
        z = X @ torch.tensor([w1, w2], dtype=torch.float32) + b
        loss = nn.functional.binary_cross_entropy_with_logits(z, Y).item()
        shown = ", ".join(f"{value:g}" for value in z.tolist())
        right = str(rows_right(w1, w2, b)) if any((w1, w2, b)) else "none"
        table.append(f"| {name} | {w1:g}, {w2:g}, {b:g} | {shown} | {right} | {loss:.3f} |")
    steps = [step / 4 for step in range(-12, 13)]
    tried = [rows_right(*line) for line in itertools.product(steps, repeat=3)]
    return "\n".join([*table, "", f"Of {len(tried):,} lines on a grid, the best has {max(tried)} of 4 rows right."])


def rows_right(w1: float, w2: float, b: float) -> int:
    """A row counts where z is above 0 for a one, and below 0 for a zero."""
    return sum((w1 * x1 + w2 * x2 + b) * (1 if y else -1) > 0 for (x1, x2), y in zip(X.tolist(), Y, strict=True))


def matrix() -> str:
    """Three linear layers, 2-4-3-1, and the one layer that does the same."""
    torch.manual_seed(0)
    first, second, third = nn.Linear(2, 4), nn.Linear(4, 3), nn.Linear(3, 1)
    weight = third.weight @ second.weight @ first.weight
    bias = third.weight @ (second.weight @ first.bias + second.bias) + third.bias
    stacked, single = third(second(first(X))), X @ weight.T + bias
    table = ["| x1, x2 | three layers | one layer |", "|---|---:|---:|"]
    for (x1, x2), deep, flat in zip(X.tolist(), stacked, single, strict=True):
        table.append(f"| {x1:g}, {x2:g} | {deep.item():.4f} | {flat.item():.4f} |")
    (w1, w2), b = weight[0].tolist(), bias.item()
    count = sum(part.numel() for layer in (first, second, third) for part in layer.parameters())
    same = "less" if (stacked - single).abs().max() < 1e-6 else "more"
    return "\n".join(
        [
            *table,
            "",
            f"The one layer is {w1:.4f} x1 + {w2:.4f} x2 + {b:.4f}: 3 numbers for {count}.",
            f"Its outputs differ from those of the three by {same} than 0.000001.",
        ]
    )


def hidden() -> str:
    """Two hidden units with ReLU, and weights set by hand: h1 = relu(x1 + x2), h2 = relu(x1 + x2 - 1)."""
    table = ["| x1, x2 | h1 | h2 | h1 - 2 h2 | XOR |", "|---|---:|---:|---:|---:|"]
    for (x1, x2), (h1, h2), y in zip(X.tolist(), bent().tolist(), Y, strict=True):
        table.append(f"| {x1:g}, {x2:g} | {h1:g} | {h2:g} | {h1 - 2 * h2:g} | {y:g} |")
    return "\n".join(table)


def bent() -> torch.Tensor:
    total = X.sum(dim=1)
    return torch.stack([total, total - 1], dim=1).relu()


def draw() -> Figure:
    figure = Figure(figsize=(5.8, 2.35), layout="constrained")
    panels = figure.subplots(1, 3)
    torch.manual_seed(0)
    moved = nn.Linear(2, 2)(X).detach()
    points(panels[0], X, "a line: 3 of 4", "x1", "x2")
    panels[0].plot([-0.3, 0.8], [0.8, -0.3], color=BLACK)
    points(panels[1], moved, "a linear layer:\nstill a parallelogram", "unit 1", "unit 2")
    points(panels[2], bent(), "with ReLU:\na line parts them", "h1", "h2")
    panels[2].plot([0.2, 2.4], [-0.15, 0.95], color=BLACK)
    return figure


def points(axes: Axes, places: torch.Tensor, title: str, across: str, up: str) -> None:
    for y, colour, marker in ((0, BLUE, "o"), (1, VERMILLION, "s")):
        axes.scatter(*places[y == Y].T, color=colour, marker=marker, s=45, zorder=3)
    names: dict[tuple[float, ...], str] = {}  # two rows may lie in one place
    for place, row in zip(places.tolist(), X.int().tolist(), strict=True):
        key = tuple(place)
        names[key] = (names[key] + "\n" if key in names else "") + f"({row[0]}, {row[1]})"
    for key, name in names.items():
        below = "(0, 1)" in name or name == "(1, 0)"
        axes.annotate(
            name,
            key,
            (0, -6 if below else 6),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            fontsize=SMALLEST,
        )
    axes.margins(0.35)
    axes.set(title=title, xlabel=across, ylabel=up)


def main() -> None:
    tables = {"lines": lines(), "matrix": matrix(), "hidden": hidden()}
    leave("09-hidden-layer.md", tables, {"09-one-matrix": draw})


if __name__ == "__main__":
    main()
