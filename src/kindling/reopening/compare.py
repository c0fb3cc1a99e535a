"""The curves of several runs in one figure."""

from itertools import chain, cycle
from pathlib import Path

import pandas as pd

from kindling.errors import UserError
from kindling.figure import Figure, entries, plain, style
from kindling.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from kindling.pictures.course import panels_of
from kindling.reopening.run import Run

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
COLUMNS = 3  # panels in a row


def compare(*runs: Run | str | Path) -> Figure:
    """A panel for each score that any of them has logged: a colour a run, training dashed, validation drawn through.

    Raises:
        UserError: where there is no run, or one of them has no metrics.csv.
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    if not opened:
        raise UserError("compare: give it runs, or their folders")
    panels: dict[str, list[tuple[str, str, str, pd.DataFrame]]] = {}  # by score: colour, style, label, the curve
    for run, colour, name in zip(opened, cycle(COLOURS), names(opened), strict=False):
        course = run.metrics
        over = "step" if course["epoch"].duplicated().any() else "epoch"
        for panel in chain(*panels_of(course)):
            score = panel.title()
            for column, stage in panel.lines.items():
                kind, label = ("--", "") if stage == "training" else ("-", name)
                points = course[[over, column]].dropna().set_axis([over, score], axis=1)
                panels.setdefault(score, []).append((colour, kind, label, points))
    if not panels:
        raise UserError(f"{opened[0].path}: has no learning curves, since nothing was logged while it learned")
    width, height = min(len(panels), COLUMNS), -(-len(panels) // COLUMNS)
    with style():
        figure = Figure(figsize=(4.2 * width, 3.2 * height + 0.2 * len(opened)), layout="constrained")
        places = figure.subplots(height, width, squeeze=False).flatten()
        for axes, (score, curves) in zip(places, panels.items(), strict=False):
            for colour, kind, label, points in curves:
                mark = "." if len(points) < 30 else ""
                axes.plot(points.iloc[:, 0], points.iloc[:, 1], kind, color=colour, marker=mark, label=label or None)
            axes.set(xlabel=" or ".join(sorted({points.columns[0] for *_, points in curves})), ylabel=plain(score))
            if "loss" in score and all(points[score].min() > 0 for *_, points in curves):
                axes.set_yscale("log")
        for axes in places[len(panels) :]:
            axes.axis("off")
        found = entries(places)
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=1)
        figure.caption("Training is dashed, validation drawn through.")
    return figure


def names(runs: list[Run]) -> list[str]:
    """The shortest ends of their paths that tell them apart."""
    parts = [run.folder.resolve().parts for run in runs]
    depth = next((n for n in range(1, 9) if len({part[-n:] for part in parts}) == len(set(parts))), 9)
    return [plain("/".join(part[-depth:])) for part in parts]
