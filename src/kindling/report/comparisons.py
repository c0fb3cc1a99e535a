"""The figures of a sweep that set two things against each other: two parameters, two objectives."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize

from kindling.figure import Figure
from kindling.report.axes import BEST, JOBS, WIDTH, in_order, number, score_axis, shortened, shortened_key, written
from kindling.report.importances import is_numeric, spans_decades
from kindling.report.sweep_folder import SweepFolder
from kindling.report.tables import best, completed, with_settings

MOST_VALUES = 20  # on an axis of a heat map
MOST_NUMBERS = 64  # cells with numbers in them


def heat_map(sweep: SweepFolder, frame: pd.DataFrame, name: str) -> Figure | None:
    """Mean scores by two parameters; None unless there are two with few values, as in a grid."""
    if len(sweep.settings) != 2:
        return None
    jobs = with_settings(sweep, completed(sweep, frame))
    labels = {key: jobs[key].map(number if is_numeric(jobs[key]) else written) for key in sweep.settings}
    first, second = (in_order(sweep.space[key], jobs[key]) for key in sweep.settings)
    if max(len(first), len(second)) > MOST_VALUES or len(first) * len(second) > 2 * len(jobs):
        return None
    means = jobs.groupby([labels[key] for key in sweep.settings])[name].mean().unstack()
    cells = means.reindex(index=first, columns=second).to_numpy()
    figure = Figure(figsize=(2.6 + 0.72 * len(second), 1.5 + 0.45 * len(first)), layout="constrained")
    axes = figure.subplots()
    norm = LogNorm() if spans_decades(cells) else Normalize()
    colours = "viridis" if sweep.objectives[name] == "min" else "viridis_r"  # the darker, the better
    image = axes.imshow(cells, cmap=colours, norm=norm, aspect="auto")
    if cells.size <= MOST_NUMBERS:
        for row, column in np.argwhere(np.isfinite(cells)):
            light = sum(image.cmap(norm(cells[row, column]))[:3]) > 1.5
            text = number(cells[row, column], 3)
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color="black" if light else "white")
    slanted = max(map(len, second)) > 8
    names = [shortened(text, 14) for text in second]
    axes.set_xticks(range(len(second)), names, rotation=45 * slanted, ha="right" if slanted else "center")
    axes.set_yticks(range(len(first)), [shortened(text, 14) for text in first])
    axes.set(xlabel=shortened_key(sweep.settings[1], 36), ylabel=shortened_key(sweep.settings[0], 36))
    figure.colorbar(image, label=shortened(f"mean {name}", 36))
    return figure


def pareto_front(sweep: SweepFolder, frame: pd.DataFrame) -> Figure:
    """Two objectives, with the numbers of the jobs of the front where there is room."""
    jobs, front = completed(sweep, frame), best(sweep, frame)
    x, y = sweep.objectives
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.scatter(jobs[x], jobs[y], s=18, c=JOBS, alpha=0.6, linewidths=0, label="completed")
    front = front.sort_values(x)
    # Between two jobs of the front the best there is stays that of the one that is worse in x.
    axes.step(front[x], front[y], where="post" if sweep.objectives[x] == "min" else "pre", color=BEST, linewidth=1.2)
    axes.scatter(front[x], front[y], s=50, c=BEST, edgecolors="black", zorder=3, label="Pareto front")
    if len(front) <= 12:
        for job, *at in zip(front["job"], front[x], front[y], strict=True):
            axes.annotate(str(job), (at[0], at[1]), xytext=(5, 5), textcoords="offset points", fontsize=8)
    score_axis(axes, f"{x} ({sweep.objectives[x]})", jobs[x], "x")
    score_axis(axes, f"{y} ({sweep.objectives[y]})", jobs[y], "y")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return figure
