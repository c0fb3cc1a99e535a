"""The figures of a sweep, and those that show what its parameters do."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kindling.figure import Figure
from kindling.report.axes import BEST, WIDTH, Position, legend, scatter, score_axis, shortened, shortened_key, written
from kindling.report.comparisons import heat_map, pareto_front
from kindling.report.courses import history, learning_curves
from kindling.report.importances import MOST_JOBS, importance
from kindling.report.paint import DISTINCT, Paint
from kindling.report.sweep_folder import SweepFolder
from kindling.report.tables import best, completed, curves, with_settings

FEW = 20  # jobs, or ten a parameter: an importance of fewer changes with each further job
TOO_FEW = ", which are few: a hint at most"


def figures(sweep: SweepFolder, frame: pd.DataFrame) -> Iterator[tuple[str, str, Figure]]:
    """Name, caption and figure: those for which there is something to show."""
    courses = curves(sweep)
    frame = with_scores_of_pruned(sweep, frame, courses)
    for name in sweep.objectives:
        of = f"_{file_name(name)}" if len(sweep.objectives) > 1 else ""
        if frame[name].map(np.isfinite).any():
            yield f"history{of}", f"{name} of each job, in order of their numbers", history(sweep, frame, name)
        if len(with_settings(sweep, completed(sweep, frame))) > 1 and sweep.space:
            for key in sweep.settings or sweep.space:
                told = f"{name} against {key}"
                yield f"parameter_{file_name(key)}{of}", told, parameter(sweep, frame, name, key)
            shown = heat_map(sweep, frame, name)
            if shown:
                yield f"heat_map{of}", f"Mean {name} of the completed jobs", shown
    if len(sweep.objectives) == 2 and len(completed(sweep, frame)):
        yield "pareto_front", "The jobs that no other job beats in both", pareto_front(sweep, frame)
    shares = importance(sweep, frame)
    if len(shares) > 1:
        count = min(len(with_settings(sweep, completed(sweep, frame))), MOST_JOBS)
        few = count < max(FEW, 10 * len(shares))
        told = f"Share of the variance of the scores that each parameter explains, of {count} jobs{TOO_FEW * few}"
        yield "importance", told, importances(shares, f"of {count} jobs{TOO_FEW * few}")
    of_runs = next((name for name in (*sweep.objectives, sweep.monitored()) if name in courses), None)
    if of_runs and courses[of_runs].map(np.isfinite).any():
        winners, colours = best(sweep, frame)["job"].tolist(), paint(sweep, frame, shares)
        drawn = learning_curves(courses, of_runs, frame, winners, colours)
        yield "learning_curves", f"{of_runs} of each job over its epochs", drawn


def with_scores_of_pruned(sweep: SweepFolder, frame: pd.DataFrame, courses: pd.DataFrame) -> pd.DataFrame:
    """A pruned job whose summary has no score yet counts at its best epoch, a failed one not at all."""
    scores = {}
    for name, mode in sweep.objectives.items():
        reached = frame["job"].map(courses.groupby("job")[name].agg(mode)) if name in courses else float("nan")
        pruned = frame[name].fillna(reached).where(frame["status"] == "pruned")
        scores[name] = frame[name].where(frame["status"] == "completed", pruned)
    return frame.assign(**scores)


def file_name(name: str) -> str:
    return re.sub("[^a-zA-Z0-9_.-]", "_", name)[:100]


def paint(sweep: SweepFolder, frame: pd.DataFrame, shares: pd.DataFrame) -> Paint:
    """By the most important parameter; where none is known, by the first."""
    return Paint(sweep, frame, [*shares["parameter"], *sweep.settings, *sweep.repeats])


def parameter(sweep: SweepFolder, frame: pd.DataFrame, name: str, key: str) -> Figure:
    """A point a job; of categories the median too."""
    winners = best(sweep, frame)["job"]
    frame = with_settings(sweep, frame)
    frame = frame[np.isfinite(frame[name])]
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes, position = figure.subplots(), Position(sweep.space[key], frame[key])
    scatter(axes, frame, position(frame[key]), name)
    draw_best(axes, frame[frame["job"].isin(winners)], position, key, name)
    if position.is_category:
        medians = frame[frame["status"] == "completed"].groupby(frame[key].map(written))[name].median()
        at = np.array([position.choices.index(choice) for choice in medians.index], dtype=float)
        axes.hlines(medians, at - 0.3, at + 0.3, color="black", linewidth=1.2, label="median")
    score_axis(axes, name, frame[name])
    position.label(axes, key)
    legend(figure, axes)
    return figure


def draw_best(axes: Axes, winners: pd.DataFrame, position: Position, key: str, name: str) -> None:
    label = "best" if len(winners) == 1 else "Pareto front"
    axes.scatter(position(winners[key]), winners[name], s=50, c=BEST, edgecolors="black", zorder=4, label=label)


def importances(shares: pd.DataFrame, told: str) -> Figure:
    """A bar a parameter and objective, the most important at the top; `told` is of how many jobs."""
    shares, names = shares[::-1], [name for name in shares if name != "parameter"]
    figure = Figure(figsize=(WIDTH, 1.1 + 0.34 * len(shares) * len(names) ** 0.5), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(names)
    for index, name in enumerate(names):
        at = np.arange(len(shares)) + (len(names) - 1 - 2 * index) * height / 2
        colour = DISTINCT[index % len(DISTINCT)]
        bars = axes.barh(at, shares[name], height=height, color=colour, label=shortened(str(name), 36))
        axes.bar_label(bars, [f"{share:.0%}" for share in shares[name]], padding=3, fontsize=8)
    axes.set_yticks(range(len(shares)), [shortened_key(key, 42) for key in shares["parameter"]])
    axes.set(xlim=(0, 1.15 * shares[names].to_numpy().max()), xlabel="share of the variance")
    figure.suptitle(told, fontsize=9)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        legend(figure, axes)
    return figure
