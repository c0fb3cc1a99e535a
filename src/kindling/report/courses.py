"""The figures of a sweep that show a course: of the whole sweep, and of each job."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.ticker import MaxNLocator

from kindling.figure import Figure
from kindling.report.axes import BEST, FAILED, WIDTH, legend, scatter, score_axis, shortened_key
from kindling.report.paint import COLOURS, Paint
from kindling.report.sweep_folder import SweepFolder

LINES_OF = {"completed": "-", "pruned": "--"}  # others ended before their time


def history(sweep: SweepFolder, frame: pd.DataFrame, name: str) -> Figure:
    """The score of each job, and the best so far."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
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


def learning_curves(courses: pd.DataFrame, name: str, frame: pd.DataFrame, winners: list[int], paint: Paint) -> Figure:
    """A line a job, in the colour of what it was tried with; with many jobs thin ones. The best on a black ground."""
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    statuses = dict(zip(frame["job"], frame["status"], strict=True))
    courses = courses[np.isfinite(courses[name])]
    groups = [(job, courses[courses["job"] == job]) for job in courses["job"].unique().tolist()]
    width = 1.2 if len(groups) <= 30 else 0.8
    for job, course in groups:
        style: dict[str, Any] = {"color": paint.colour(job), "linewidth": width, "marker": "." * (len(course) < 3)}
        style |= {"linestyle": LINES_OF.get(statuses[job], ":"), "label": paint.label(job), "zorder": 2}
        if job in winners:
            label = f"best: job {job}" if len(winners) == 1 else "Pareto front"
            axes.plot(course["epoch"], course[name], color="black", linewidth=4, zorder=4, label=label)
            style |= {"linewidth": 1.8, "zorder": 5}
        axes.plot(course["epoch"], course[name], **style)
    score_axis(axes, name, courses[name])
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if paint.norm:
        figure.colorbar(ScalarMappable(paint.norm, COLOURS), ax=axes, label=shortened_key(paint.key, 30))
    legend(figure, axes)
    return figure
