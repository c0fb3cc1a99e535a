"""One panel of learning curves: its lines, its axis, and what they are to be held against."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kindling.figure import STAGES
from kindling.palette import BLACK, GREY, ORANGE, PURPLE, SKY
from kindling.pictures.course import ERRORS, Panel

SMALL = 1e-8  # of the largest value of a panel: what is below is no more than rounding
MARKED = 30  # rows, up to which each is a point
LOOKS = {"training": ("-", "o"), "validation": ((0, (5, 1.2)), "s"), "": ("-", "o")}


def draw_panel(
    axes: Axes, metrics: pd.DataFrame, over: pd.Series, panel: Panel, marks: dict[str, dict[str, float]]
) -> None:
    shown = {column: metrics[column].dropna() for column in panel.lines}
    fixed = [values[column] for values in marks.values() for column in panel.lines if column in values]
    values = np.concatenate([*shown.values(), fixed])
    floor = log_floor(values[np.isfinite(values)]) if ERRORS.search(panel.title()) else None
    others = iter([BLACK, PURPLE, ORANGE, SKY])  # of lines that are of no stage
    for (column, stage), line in zip(panel.lines.items(), shown.values(), strict=True):
        style, marker = LOOKS.get(stage, ("-", "o"))
        colour = STAGES[stage] if stage in ("training", "validation") else next(others, GREY)
        places, heights = over[line.index], line.clip(lower=floor and floor * 0.7)
        start = marks.get("start", {}).get(column)
        if start is not None and np.isfinite(start):
            axes.plot([0], [start], "D", color=colour, fillstyle="none", label="before training", zorder=4)
            axes.plot([0, *places[:1]], [start, *heights[:1]], color=colour, linestyle=":", linewidth=1)
        axes.plot(
            places,
            heights,
            color=colour,
            linestyle=style,
            marker=marker if len(line) <= MARKED else "",
            markersize=3.5,
            label=stage or None,
        )
        draw_spread(axes, metrics.loc[line.index], places, column, colour)
    chance = [value for column, value in marks.get("chance", {}).items() if column in panel.lines]
    if chance:
        axes.axhline(chance[0], color=GREY, linestyle="-.", linewidth=1.2, label="chance: one answer to all")
    if floor is not None:
        axes.set_yscale("log")
        axes.minorticks_off()  # each costs as much time as a label
        axes.yaxis.set_major_formatter(decade)
        if (values < floor).any():
            axes.set_ylim(bottom=floor / 2)
            axes.axhspan(floor / 2, floor, color=GREY, alpha=0.25, linewidth=0, label="0, or rounding")
    else:
        keep_within(axes, values)


def log_floor(values: np.ndarray) -> float | None:
    """The least that is shown, where they span two decades or more and none is negative; else None."""
    positive = values[values > 0]
    if not len(positive) or (values < 0).any() or positive.max() < 100 * max(values.min(), 1e-300):
        return None
    return float(positive.max() * SMALL)


def decade(value: float, _: float) -> str:
    """Without a formula, which takes long to set."""
    return f"{value:g}" if 1e-4 < value < 1e5 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def keep_within(axes: Axes, values: np.ndarray) -> None:
    """No share goes beyond 1, and no axis says that it might."""
    bottom, top = axes.get_ylim()
    finite = values[np.isfinite(values)]
    if len(finite) and finite.max() <= 1 < top and finite.min() < 1:
        axes.set_ylim(top=1)
    if len(finite) and finite.min() >= 0 > bottom and finite.max() > 0:
        axes.set_ylim(bottom=0)
    for line in axes.lines:
        line.set_clip_on(False)


def draw_spread(axes: Axes, metrics: pd.DataFrame, places: pd.Series, name: str, colour: str) -> None:
    """Of a population: thin lines of one standard deviation to both sides, and points of the outermost members."""
    if f"{name}_std" not in metrics:
        return
    mean = metrics[name]
    lowest, highest, deviation = (metrics[f"{name}_{kind}"] for kind in ("min", "max", "std"))
    bands = [
        ("± 1 std of the members", mean - deviation, mean + deviation, "-"),
        ("outermost members", lowest, highest, ":"),
    ]
    for text, low, high, line in bands:
        edges = [np.maximum(low, lowest), np.minimum(high, highest)]
        for edge in edges:
            axes.plot(places, edge, color=colour, linewidth=0.8, linestyle=line, label=text)
