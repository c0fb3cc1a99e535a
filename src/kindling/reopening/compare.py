"""The curves of several runs in one figure."""

from itertools import chain, cycle
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from kindling.errors import UserError
from kindling.figure import Figure, entries, plain, style
from kindling.palette import CYCLE
from kindling.pictures.course import panels_of
from kindling.reopening.run import Run

COLUMNS = 3  # panels in a row


class Curve(NamedTuple):
    """`points`: where it was measured, `epoch` or `step`, and the score. That of the training has no label."""

    colour: str
    line: str
    label: str | None
    points: pd.DataFrame


def compare(*runs: Run | str | Path) -> Figure:
    """A panel for each score that any of them has logged: a colour a run, training dashed, validation drawn through.

    Raises:
        UserError: where there is no run, or one of them has no metrics.csv.
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    if not opened:
        raise UserError("compare: give it runs, or their folders")
    panels = curves_of(opened)
    if not panels:
        raise UserError(f"{opened[0].path}: has no learning curves, since nothing was logged while it learned")
    width, height = min(len(panels), COLUMNS), -(-len(panels) // COLUMNS)
    with style():
        figure = Figure(figsize=(4.2 * width, 3.2 * height + 0.2 * len(opened)), layout="constrained")
        places = figure.subplots(height, width, squeeze=False).flatten()
        for axes, (score, curves) in zip(places, panels.items(), strict=False):
            draw(axes, score, curves)
        for axes in places[len(panels) :]:
            axes.axis("off")
        found = entries(places)
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=1)
        figure.caption("Training is dashed, validation drawn through.")
    return figure


def curves_of(runs: list[Run]) -> dict[str, list[Curve]]:
    """By score."""
    panels: dict[str, list[Curve]] = {}
    for run, colour, name in zip(runs, cycle(CYCLE), names(runs), strict=False):
        course = run.metrics
        over = "step" if course["epoch"].duplicated().any() else "epoch"
        for panel in chain(*panels_of(course)):
            score = panel.title()
            for column, stage in panel.lines.items():
                line, label = ("--", None) if stage == "training" else ("-", name)
                points = course[[over, column]].dropna().set_axis([over, score], axis=1)
                panels.setdefault(score, []).append(Curve(colour, line, label, points))
    return panels


def draw(axes: Axes, score: str, curves: list[Curve]) -> None:
    for curve in curves:
        mark = "." if len(curve.points) < 30 else ""
        x, y = curve.points.iloc[:, 0], curve.points.iloc[:, 1]
        axes.plot(x, y, curve.line, color=curve.colour, marker=mark, label=curve.label)
    over = sorted({curve.points.columns[0] for curve in curves})
    axes.set(xlabel=" or ".join(over), ylabel=plain(score))
    if "loss" in score and all(curve.points[score].min() > 0 for curve in curves):
        axes.set_yscale("log")


def names(runs: list[Run]) -> list[str]:
    """The shortest ends of their paths that tell them apart."""
    parts = [run.folder.resolve().parts for run in runs]
    depth = next((n for n in range(1, 9) if len({part[-n:] for part in parts}) == len(set(parts))), 9)
    return [plain("/".join(part[-depth:])) for part in parts]
