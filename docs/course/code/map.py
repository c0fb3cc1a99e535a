"""Draws the map of the course. python docs/course/code/map.py [--write]"""

import sys

from lesson import save
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from kindling.figure import Figure, style
from kindling.palette import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION

HAND, LEARNED = GREY, GREEN
FEATURES = [
    ("rules by hand", [("features\nby hand", HAND), ("rule\nby hand", HAND)]),
    ("half learned", [("features\nby hand", HAND), ("model\nlearned", LEARNED)]),
    ("features learned", [("features\nlearned", LEARNED), ("model\nlearned", LEARNED)]),
    ("end to end", [("one net, learned as a whole", LEARNED)]),
]
KINDS = [
    (
        "supervised",
        "each row has its answer",
        ["a number: regression\nhousing, diabetes", "a class: classification\nXOR, MLP, CNN"],
    ),
    ("unsupervised", "there are rows alone", ["what are they made of?\nautoencoder", "more like them\nGAN"]),
    ("self-supervised", "the answer is in the row", ["the next character\nTransformer"]),
    ("reinforcement", "a reward, now and then", ["games, robots\nnot in this course"]),
]


def box(axes: Axes, x: float, y: float, wide: float, text: str, colour: str, high: float = 0.62) -> None:
    shape = FancyBboxPatch((x, y), wide, high, "round,pad=0,rounding_size=0.1", fc=f"{colour}22", ec=colour)
    axes.add_patch(shape)
    axes.text(x + wide / 2, y + high / 2, text, ha="center", va="center", fontsize=8)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: str = "arc3") -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "connectionstyle": bend, "color": BLACK})


def loop(axes: Axes) -> None:
    """Data, model, loss, algorithm: the circle of learning."""
    parts = [("data\nrows with answers", BLUE), ("model\nguesses", GREEN), ("loss\ncompares", VERMILLION)]
    parts += [("algorithm\ncorrects the weights", ORANGE)]
    for place, (text, colour) in enumerate(parts):
        box(axes, 2.5 * place, 0.5, 2.0, text, colour)
        if place:
            arrow(axes, (2.5 * place - 0.48, 0.81), (2.5 * place - 0.02, 0.81))
    arrow(axes, (8.5, 0.47), (3.5, 0.47), "arc3,rad=-0.12")
    axes.text(6.0, -0.03, "again, with better weights", ha="center", fontsize=8, color=GREY)
    axes.set(ylim=(-0.3, 1.25), title="1. Four parts")


def features(axes: Axes) -> None:
    """Whose work the features are: grey is a person's, green is learned."""
    for row, (name, parts) in enumerate(FEATURES):
        y = -0.8 * row
        axes.text(0, y + 0.31, name, va="center", fontsize=8)
        box(axes, 1.9, y, 1.1, "raw data", BLUE)
        wide = (5.0 - 0.4 * (len(parts) - 1)) / len(parts)
        for place, (text, colour) in enumerate(parts):
            x = 3.4 + place * (wide + 0.4)
            arrow(axes, (x - 0.38, y + 0.31), (x - 0.02, y + 0.31))
            box(axes, x, y, wide, text, colour)
        arrow(axes, (8.42, y + 0.31), (8.78, y + 0.31))
        axes.text(8.85, y + 0.31, "answer", va="center", fontsize=8)
    axes.set(ylim=(-2.5, 0.75), title="2. Whose work the features are: grey by hand, green learned")


def kinds(axes: Axes) -> None:
    """What the rows come with, and where our examples lie."""
    for row, (name, rows, examples) in enumerate(KINDS):
        y = -0.8 * row
        axes.text(0, y + 0.42, name, va="center", fontsize=8)
        axes.text(0, y + 0.16, rows, va="center", fontsize=7, color=GREY)
        for place, text in enumerate(examples):
            box(axes, 3.0 + 3.4 * place, y, 3.1, text, (BLUE, GREEN, ORANGE, GREY)[row])
    axes.set(ylim=(-2.5, 0.75), title="3. Kinds of learning, and our examples")


def draw() -> Figure:
    with style():
        figure = Figure(figsize=(6.9, 7.0), layout="constrained")
        panels = figure.subplots(3, 1, height_ratios=[1.5, 3.1, 3.1])
        for axes, part in zip(panels, (loop, features, kinds), strict=True):
            part(axes)
            axes.set_xlim(-0.1, 9.8)
            axes.set_axis_off()
    return figure


if __name__ == "__main__":
    picture = draw()
    print("the map is drawn; --write puts it into docs/course/figures/00-map.png")
    if "--write" in sys.argv:
        save("00-map", picture)
