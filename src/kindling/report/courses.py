"""The figures of a sweep that show a course: of the whole sweep, and of each job."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from kindling.figure import Figure
from kindling.report.axes import BEST, FAILED, JOBS, PRUNED, legend, scatter, score_axis
from kindling.report.sweep_folder import SweepFolder


def history(sweep: SweepFolder, frame: pd.DataFrame, name: str) -> Figure:
    """The score of each job, and the best so far."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.subplots()
    done = frame[(frame["status"] == "completed") & np.isfinite(frame[name])]
    scatter(axes, frame, frame["job"].to_numpy(), name)
    so_far = done[name].cummin() if sweep.objectives[name] == "min" else done[name].cummax()
    if len(done):
        axes.step(done["job"], so_far, where="post", color=BEST, linewidth=1.5, label="best so far")
    failed = frame.loc[frame["status"] == "failed", "job"]
    diverged = frame.loc[(frame["status"] == "completed") & ~np.isfinite(frame[name]), "job"]
    for jobs, marker, label in ((failed, "x", "failed"), (diverged, "+", "no finite score")):
        if len(jobs):
            at = np.full(len(jobs), 0.02)
            axes.scatter(jobs, at, marker=marker, s=24, c=FAILED, label=label, transform=axes.get_xaxis_transform())
    score_axis(axes, name, frame[name])
    axes.set_xlabel("job")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes)
    return figure


def learning_curves(courses: pd.DataFrame, name: str, frame: pd.DataFrame, winners: list[int]) -> Figure:
    """A line a job; with many jobs thin ones."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    statuses = dict(zip(frame["job"], frame["status"], strict=True))
    courses = courses[np.isfinite(courses[name])]
    groups = list(courses.groupby("job"))
    alpha, width = min(0.8, max(0.03, 12 / len(groups))), 1.2 if len(groups) <= 30 else 0.8
    for job, course in groups:
        status = statuses[job] if statuses[job] in ("completed", "pruned") else "not completed"
        colour = {"completed": JOBS, "pruned": PRUNED}.get(status, FAILED)
        style: dict[str, Any] = {"color": colour, "linewidth": width, "alpha": alpha, "zorder": 2, "label": status}
        if job in winners:
            label = "best" if len(winners) == 1 else "Pareto front"
            style = {"color": BEST, "linewidth": 2.2, "zorder": 4, "label": label}
        axes.plot(course["epoch"], course[name], marker="." if len(course) < 3 else "", **style)
    score_axis(axes, name, courses[name])
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    legend(figure, axes)
    return figure
