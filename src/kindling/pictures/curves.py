"""Learning curves, of whatever a run has logged."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from kindling.figure import Figure, entries, plain
from kindling.palette import GREEN
from kindling.pictures.about import About
from kindling.pictures.course import Panel, panels_of
from kindling.pictures.panel import draw_panel

if TYPE_CHECKING:
    from kindling.pictures.seen import Found, Seen

SAYS = (
    "Each score after every epoch: training in blue, validation in orange. Where the two part, the model begins to "
    "learn the training rows by heart. Below, the learning rate."
)
COLUMNS = 3  # panels in a row


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
    found = entries(panels)
    if found:
        columns = max(2, int(figure.get_figwidth() / 2.15))
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns)
