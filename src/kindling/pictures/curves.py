"""Learning curves, of whatever a run has logged."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from kindling.figure import BLACK, GREEN, GREY, ORANGE, PURPLE, SKY, STAGES, Figure, plain
from kindling.pictures.about import About
from kindling.pictures.course import ERRORS, Panel, panels_of

if TYPE_CHECKING:
    from kindling.pictures.seen import Found, Seen

SAYS = (
    "Each score after every epoch: training in blue, validation in orange. Where the two part, the model begins to "
    "learn the training rows by heart. Below, the learning rate."
)
COLUMNS = 3  # panels in a row
SMALL = 1e-8  # of the largest value of a panel: what is below is no more than rounding
MARKED = 30  # rows, up to which each is a point
LOOKS = {"training": ("-", "o"), "validation": ((0, (5, 1.2)), "s"), "": ("-", "o")}


def measure(seen: "Seen") -> "Found | None":
    """What validation measured before training, and what one answer to all would score; the rest is in metrics.csv."""
    from kindling.pictures.chance import chance, unit

    found: Found = {"unit": np.array(unit(seen.data))}
    for kind, scores in (("start", seen.trace.start), ("chance", chance(seen))):
        found |= {f"{kind}_names": np.array(list(scores), str), f"{kind}_values": np.array(list(scores.values()))}
    return found


def draw(metrics: pd.DataFrame, found: "Found", about: About) -> Figure | None:
    """One panel a score, training against validation, over the epochs trained, or over steps where the run was counted
    in steps or an epoch has several rows. None where there is nothing to draw.
    """
    scores, rest = panels_of(metrics)
    if not (scores or rest) or not metrics["step"].any():  # the latter: weights that were measured and not trained
        return None
    in_steps = about.in_steps or bool(metrics["epoch"].duplicated().any())
    over = metrics["step"] if in_steps else metrics["epoch"] + 1
    count = max(len(scores), len(rest))
    width = 2 if count == 4 else min(count, COLUMNS)
    high, low = -(-len(scores) // width), -(-len(rest) // width)
    size = (4.6 if width == 1 else 3.3 * width, 2.6 * high + 1.7 * low + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    ratios = [1.0] * high + [0.6] * low
    places = figure.subplots(high + low, width, sharex=True, squeeze=False, height_ratios=ratios)
    marks = {
        kind: dict(zip(map(str, found[f"{kind}_names"]), map(float, found[f"{kind}_values"]), strict=True))
        for kind in ("start", "chance")
        if f"{kind}_names" in found
    }
    best = best_row(metrics, about)
    for axes, panel in zip(places.flat, scores, strict=False):
        draw_panel(axes, metrics, over, panel, marks)
        label(axes, panel.title(str(found.get("unit", ""))))
        if best is not None:
            mark_best(axes, metrics, over, panel, best, "step" if in_steps else "epoch")
    for axes, panel in zip(places[high:].flat, rest, strict=False):
        draw_panel(axes, metrics, over, panel, {})
        label(axes, panel.name)
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=0)
        if len(panel.lines) > 1:
            axes.legend()
    used = {*places[:high].flat[: len(scores)], *places[high:].flat[: len(rest)]}
    finish(places, used, "optimizer steps" if in_steps else "epochs trained")
    legend(figure, list(places[:high].flat[: len(scores)]))
    return figure


def best_row(metrics: pd.DataFrame, about: About) -> int | None:
    """Where the monitored score was best, in the epoch that the summary names."""
    if about.best is None or about.monitor not in metrics:
        return None
    of_epoch = metrics.loc[metrics["epoch"] + 1 == about.best, about.monitor].dropna()
    if of_epoch.empty:
        return None
    best = of_epoch.max() if about.mode == "max" else of_epoch.min()
    return int(np.flatnonzero((metrics["epoch"] + 1 == about.best) & (metrics[about.monitor] == best))[0])


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


def mark_best(axes: Axes, metrics: pd.DataFrame, over: pd.Series, panel: Panel, row: int, unit: str) -> None:
    axes.axvline(over[row], color=GREEN, linestyle="--", linewidth=1, label=f"best {unit}", zorder=0)
    for column, stage in reversed(panel.lines.items()):  # of validation, where there is one
        value = float(metrics[column].iloc[row])
        if np.isfinite(value):
            text = f"{stage} {value:.4g} at {unit} {over[row]:,}".strip()
            axes.set_title(text, loc="right", fontsize=8, color=GREEN)
            return


def label(axes: Axes, text: str) -> None:
    lines = [part for line in text.split("\n") for part in textwrap.wrap(plain(line), 28)]
    axes.set_ylabel("\n".join(lines[:3]))


def finish(places: np.ndarray, used: set[Axes], over: str) -> None:
    """One x axis for all, named below the lowest panel of each column."""
    for column in places.T:
        shown = [axes for axes in column if axes in used]
        for axes in column:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.set_visible(axes in used)
        if shown:
            shown[-1].set_xlabel(over)
            shown[-1].tick_params(labelbottom=True)


def legend(figure: Figure, panels: list[Axes]) -> None:
    """One for all panels, above them."""
    found = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    if found:
        columns = max(2, int(figure.get_figwidth() / 2.15))
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns)
