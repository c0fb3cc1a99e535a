"""Mixing paints: find the parts that give a colour. python docs/course/code/paints.py [--lr 0.5] [--write]"""

import argparse
from typing import TYPE_CHECKING

import numpy as np
from lesson import leave

if TYPE_CHECKING:
    from kindling.figure import Figure

NAMES = ["red", "yellow", "blue"]
PAINTS = np.array([[0.80, 0.10, 0.10], [0.95, 0.85, 0.10], [0.10, 0.20, 0.70]])  # how red, green and blue each is
SECRET = np.array([0.2, 0.5, 0.3])  # the parts that the colour was mixed from
TARGET = SECRET @ PAINTS
SHOWN = [0, 1, 3, 10, 30, 100]


def find(lr: float) -> list[np.ndarray]:
    """The parts after each step, from equal ones on."""
    parts = np.full(3, 1 / 3)
    tried = [parts]
    for _ in range(SHOWN[-1]):
        mixed = parts @ PAINTS  # guess
        error = mixed - TARGET  # compare
        parts = parts - lr * PAINTS @ error  # correct
        tried.append(parts)
    return tried


def table(tried: list[np.ndarray]) -> str:
    lines = ["| step | red | yellow | blue | distance from the colour |", "|---|---|---|---|---|"]
    for step in SHOWN:
        values = [*tried[step], np.linalg.norm(tried[step] @ PAINTS - TARGET)]
        texts = [f"{value:.4f}" if abs(value) < 1000 else f"{value:.1e}" for value in values]
        lines.append(f"| {step} | {' | '.join(texts)} |")
    return "\n".join(lines)


def draw(tried: list[np.ndarray]) -> "Figure":
    from kindling.figure import Figure, style

    with style():
        figure = Figure(figsize=(6.8, 1.25), layout="constrained")
        swatches = [(f"step {step}", tried[step] @ PAINTS) for step in SHOWN] + [("wanted", TARGET)]
        for axes, (title, colour) in zip(figure.subplots(1, len(swatches)), swatches, strict=True):
            axes.imshow(np.clip(colour, 0, 1)[None, None])
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize=9)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.5, help="the part of the gradient that a correction takes")
    parser.add_argument("--write", action="store_true", help="put table and figure into the page")
    args = parser.parse_args()
    tried = find(args.lr)
    leave("00-map.md", {"paints": table(tried)}, {"00-paints": lambda: draw(tried)}, seeds="nothing drawn at random")
