"""The members of a population: how far they lie apart, in every score."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from kindling.figure import STAGES, Figure, entries, plain
from kindling.palette import BLACK, GREEN
from kindling.pictures.about import About
from kindling.pictures.course import ERRORS, WORDS
from kindling.pictures.panel import decade
from kindling.pictures.seen import Found, Seen

SAYS = (
    "How many members reached which score: the lottery of the seed. A second heap far from the first is of members "
    "that got stuck; one heap that is narrow says that the seed matters little."
)
COLUMNS = 3  # panels in a row
BINS = 24
STRIP = 40  # members, up to which each is drawn as a point too


def measure(seen: Seen) -> Found | None:
    if seen.population is None or seen.population.tested.empty:  # whose members only the test tells apart
        return None
    table = seen.population.tested
    found = {str(name): table[name].to_numpy() for name in table.columns}
    return {**found, "same": np.array(seen.data.same_rows), "best": np.array(seen.population.best_member)}


def draw(found: Found, about: About) -> Figure:
    """A panel for each score: of validation at each member's best epoch, and of the test."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    for stage, prefix in (("validation", "val/"), ("test", "test/")):
        if stage == "validation" and found.get("same", False):
            continue  # the same rows, measured twice
        for name in (name for name in found if name.startswith(prefix)):
            scores.setdefault(name.removeprefix(prefix), {})[stage] = found[name]
    width = min(len(scores), COLUMNS)
    height = -(-len(scores) // width)
    figure = Figure(figsize=(max(4.6, 3.3 * width), 2.9 * height + 0.5), layout="constrained")
    panels = figure.subplots(height, width, squeeze=False)
    for axes in panels.flat[len(scores) :]:
        axes.set_visible(False)
    for axes, (name, stages) in zip(panels.flat, scores.items(), strict=False):
        draw_score(axes, WORDS.get(name, name), stages, int(found.get("best", 0)))
    handles = entries(panels.flat)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=max(2, width + 1))
    return figure


def draw_score(axes: Axes, name: str, stages: dict[str, np.ndarray], best: int) -> None:
    every = np.concatenate(list(stages.values()))
    finite = every[np.isfinite(every)]
    axes.set_ylabel("members")
    axes.set_xlabel("\n".join(textwrap.wrap(plain(name), 30)[:2]))
    if not len(finite):
        axes.set_title("no member has one that is finite", fontsize=8)
        return
    log = bool(ERRORS.search(name)) and finite.min() > 0 and finite.max() > 100 * finite.min()
    edges = bins(finite, log)
    if log:
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(decade)
    for stage, values in stages.items():
        some = values[np.isfinite(values)]
        look: dict[str, Any] = {"bins": edges, "color": STAGES[stage], "label": stage}
        if stage == "test":
            axes.hist(some, alpha=0.35, **look)
            axes.axvline(np.median(some), color=BLACK, linestyle="--", linewidth=1, label="median of the test")
            if np.isfinite(values[best]):
                axes.axvline(values[best], color=GREEN, linewidth=1.5, label="the member that was kept")
            if len(some) <= STRIP:
                axes.plot(some, np.zeros(len(some)), "|", color=STAGES[stage], markersize=12, clip_on=False)
            axes.set_title(told(values, some), fontsize=8)
        else:
            axes.hist(some, histtype="step", linewidth=1.5, linestyle="--", **look)
    axes.locator_params(axis="y", nbins=5, integer=True)
    if not log:
        axes.locator_params(axis="x", nbins=5)


def bins(finite: np.ndarray, log: bool) -> np.ndarray:
    low, high = float(finite.min()), float(finite.max())
    if log:
        return np.geomspace(low, high, BINS + 1)
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # all but equal: one bar, and room around it
        return np.linspace(low - 0.05 * max(abs(low), 1e-3), high + 0.05 * max(abs(high), 1e-3), BINS + 1)
    return np.linspace(low, high, BINS + 1)


def told(values: np.ndarray, some: np.ndarray) -> str:
    if some.min() == some.max():
        spread = f"all {len(some)} at {some[0]:.4g}"
    else:
        low, middle, high = np.quantile(some, [0.1, 0.5, 0.9])
        spread = f"median {middle:.3g}, 80% in {low:.3g} to {high:.3g}"
    return spread + (f"; {len(values) - len(some)} diverged" if len(some) < len(values) else "")
