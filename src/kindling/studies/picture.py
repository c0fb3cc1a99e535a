"""The figure of a study."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from kindling.errors import UserError
from kindling.figure import Figure, style
from kindling.palette import CYCLE, GREY, VERMILLION
from kindling.pictures.course import WORDS, parted
from kindling.studies.results import Result
from kindling.studies.study import Study
from kindling.studies.table import in_unit, mean_and_spread

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # one more than there are colours, so that no pair comes twice


def picture(study: Study, results: Mapping[str, Result]) -> Figure:
    with style():
        if "curves" in study.figure:
            return curves(study, results)
        return points(study, results)


def curves(study: Study, results: Mapping[str, Result]) -> Figure:
    """The mean over the seeds after each epoch, and the spread around it."""
    score = study.figure["curves"]
    figure = Figure(figsize=(6.6, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, (row, result) in enumerate(results.items()):
        if not result.folders:
            continue
        course = result.course(score)
        epochs, mean, std = course.index + 1, course["mean"], course["std"]
        colour, marker = CYCLE[place % len(CYCLE)], MARKERS[place % len(MARKERS)]
        line = "--" if place >= len(CYCLE) else "-"  # where colours come again
        axes.plot(epochs, mean, line, color=colour, marker=marker, markersize=4, markevery=0.1, label=row)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.15)
    values = np.concatenate([line.get_ydata() for line in axes.lines]).astype(float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise UserError(f"figure.curves: no run of the study {study.name} has a value of {score}")
    if values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
    stage, name = parted(score)
    axes.set(xlabel="epoch", ylabel=f"{stage} {WORDS.get(name, name)}".strip(), title=study.title)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    figure.legend(loc="outside right upper")
    return figure


def points(study: Study, results: Mapping[str, Result]) -> Figure:
    """A column of the table: mean and spread of each row, and what was published."""
    head = study.figure["points"]
    column = study.columns[head]
    figure = Figure(figsize=(6.6, 1.2 + 0.32 * len(results)), layout="constrained")
    axes = figure.subplots()
    for place, (row, result) in enumerate(results.items()):
        values = [value for value in in_unit(result.values(column.score), column) if math.isfinite(value)]
        if values:
            mean, spread = mean_and_spread(values)
            axes.errorbar(mean, place, xerr=spread, fmt="o", color=CYCLE[0], capsize=3, label="ours")
        if isinstance(study.published.get(row), int | float):
            axes.plot(study.published[row], place, "D", color=VERMILLION, label="published")
    axes.set(yticks=range(len(results)), yticklabels=list(results), xlabel=head, title=study.title)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.tick_params(axis="y", colors=GREY, labelcolor="black", length=0)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if len(handles) > 1:
        figure.legend(handles.values(), handles.keys(), loc="outside lower right", ncols=2)
    return figure
