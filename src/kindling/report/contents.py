"""What a report says, in words and in tables of texts, before it is set as Markdown or as a page."""

import shlex
from typing import Any

import numpy as np
import pandas as pd

from kindling.config.sources import split
from kindling.errors import some
from kindling.report.about import about
from kindling.report.axes import number
from kindling.report.bounds import at_bounds
from kindling.report.frame import Cell, Rows
from kindling.report.sweep_folder import SweepFolder, key_of
from kindling.report.tables import best, scores, settings
from kindling.text import printable

NOT_OF_THE_JOB = ("sweep", "hydra", "resume")  # keys that say how the jobs were made, not what one of them is
UNKNOWN = "(overrides.yaml of this job cannot be read)"
MOST_WINNERS = 10  # of a front, of which the commands are shown


class Contents:
    def __init__(self, sweep: SweepFolder, frame: pd.DataFrame) -> None:
        self.sweep = sweep
        self.frame = frame
        self.best = best(sweep, frame)
        self.winners = [int(job) for job in self.best["job"]]
        self.remarks = [*sweep.remarks(), *at_bounds(sweep, frame)]
        self.about = about(sweep)

    @property
    def headline(self) -> str:
        """How many jobs there are, and how they ended."""
        counts = self.frame["status"].value_counts()
        done = int(counts.pop("completed")) if "completed" in counts else 0
        total = max(self.sweep.n_trials, len(self.frame))
        others = "".join(f", {count} {status}" for status, count in counts.items())
        waiting = total - len(self.frame)
        others += f", {waiting} not started" * (waiting > 0)
        goal = ", ".join(f"{name} ({mode})" for name, mode in self.sweep.objectives.items())
        jobs = f"{total} job{'s' * (total != 1)}"
        return f"{done} of {jobs} completed{others}. Objective: {goal}. Sweep: {self.sweep.option}."

    @property
    def command(self) -> str:
        return printable(shlex.join(["python", "train.py", "-m", *self.sweep.command]))

    @property
    def verdict(self) -> str:
        if not self.winners:
            return "No job has been completed with a finite score yet."
        if len(self.sweep.objectives) > 1:
            jobs = some(self.winners)
            return f"Pareto front, the jobs that no other job beats in all objectives: {jobs}"
        return f"Best: job {self.winners[0]}"

    @property
    def shown(self) -> list[int]:
        """The best job, or the first ones of the front."""
        return self.winners[:MOST_WINNERS]

    def lines(self) -> list[str]:
        """For a terminal: the outcome, the best, and where the page is."""
        columns, rows = self.means()
        repeats = " and ".join(self.sweep.repeats)
        means = []
        for row in rows[:1]:
            texts = {name: cell.text for name, cell in zip(columns, row, strict=True)}
            of = f"Best mean ± standard deviation over {repeats}, {texts.pop('count')} jobs: "
            means.append(of + some(f"{name} {text}" for name, text in texts.items()))
        best = [line for job in self.shown for line in (self.reached(job), self.command_of(job))]
        return [
            " ".join([self.headline, *self.remarks]),
            *means,
            self.verdict,
            *best,
            f"report: {self.sweep.folder / 'report.html'}",
        ]

    def reached(self, job: int) -> str:
        """The scores of one of the best."""
        values = self.best.set_index("job").loc[job, scores(self.sweep, self.frame)]
        told = some(f"{name} {number(value)}" for name, value in values.items() if number(value))
        return told if len(self.winners) == 1 else f"Job {job}: {told}"

    def command_of(self, job: int) -> str:
        """What trains this job again, in a shell; a sentence where that is not known."""
        flags, overrides = split(self.sweep.overrides(job))
        words = [*flags, *(text for text in overrides if not is_of_the_sweep(key_of(text)))]
        return printable(shlex.join(["python", "train.py", *words])) if words else UNKNOWN

    def jobs(self) -> tuple[list[str], Rows]:
        """Best first, then those without a score, by number."""
        first, mode = next(iter(self.sweep.objectives.items()))
        frame = self.frame.assign(
            rank=~self.frame["job"].isin(self.winners), unscored=self.frame["status"] != "completed"
        )
        frame = frame.sort_values(["rank", "unscored", first, "job"], ascending=[True, True, mode == "min", True])
        columns = [name for name in self.frame.columns if name != "error" or frame["error"].notna().any()]
        rows = [[cell(value) for value in row] for row in frame[columns].to_numpy(dtype=object).tolist()]
        for job, row in zip(frame["job"], rows, strict=True):
            row[0].link = self.page_of(int(job))
        return columns, rows

    def page_of(self, job: int) -> str:
        """From the folder of the sweep; of a job that has no page, its folder."""
        page = f"{job}/report.html"
        return page if (self.sweep.folder / page).exists() else f"{job}/"

    def means(self) -> tuple[list[str], Rows]:
        """Nothing unless something repeats the settings."""
        if not self.sweep.repeats:
            return [], []
        frame = settings(self.sweep, self.frame)
        names = scores(self.sweep, self.frame)
        rows = []
        for row in frame.to_dict("records"):
            values = [cell(row[key]) for key in (*self.sweep.settings, "count")]
            rows.append([*values, *(spread(row[name], row[f"{name}_std"]) for name in names)])
        return [*self.sweep.settings, "count", *names], rows


def is_of_the_sweep(key: str) -> bool:
    return key.replace("/", ".").partition(".")[0] in NOT_OF_THE_JOB


def cell(value: Any) -> Cell:
    text = number(value)
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and text != ""
    return Cell(text, float(value) if is_number else None)


def spread(mean: float, deviation: float) -> Cell:
    return Cell(f"{number(mean)} ± {number(deviation, 2)}" if number(deviation) else number(mean), mean)
