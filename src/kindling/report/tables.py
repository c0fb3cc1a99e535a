"""A sweep as tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kindling.errors import UserError
from kindling.files import MAX_RECORD, check_file
from kindling.report.sweep_folder import SweepFolder

Sweep = str | Path | SweepFolder


def opened(sweep: Sweep) -> SweepFolder:
    return sweep if isinstance(sweep, SweepFolder) else SweepFolder(sweep)


def table(sweep: Sweep) -> pd.DataFrame:
    """A row a job, in order of their numbers: status, swept values, objectives, test metrics, epochs, seconds, error.

    Raises:
        UserError: here and below, where the folder is not that of a sweep.
    """
    sweep = opened(sweep)
    return framed(sweep, [sweep.row(job) for job in sweep.jobs()])


def framed(sweep: SweepFolder, rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = sweep.columns({name for row in rows for name in row})
    frame = pd.DataFrame(rows, columns=columns)
    for name in scores(sweep, frame):
        frame[name] = frame[name].astype(float)
    if "epochs" not in sweep.objectives:
        frame["epochs"] = frame["epochs"].astype("Int64")  # whole numbers, also where some jobs have none
    return frame.astype({"job": int, "seconds": float})


def scores(sweep: SweepFolder, frame: pd.DataFrame) -> list[str]:
    """The columns of objectives and of the test."""
    others = {"job", "status", "error", "epochs", "seconds", *sweep.space}
    return [*sweep.objectives, *(name for name in frame.columns if name not in {*others, *sweep.objectives})]


def completed(sweep: SweepFolder, frame: pd.DataFrame) -> pd.DataFrame:
    """The jobs that were completed, with a finite value for each objective."""
    finite = np.isfinite(frame[list(sweep.objectives)].to_numpy()).all(axis=1)
    return frame[(frame["status"] == "completed") & finite]


def with_settings(sweep: SweepFolder, jobs: pd.DataFrame) -> pd.DataFrame:
    """Without those whose overrides.yaml cannot be read."""
    return jobs.loc[~jobs[list(sweep.space)].isna().all(axis=1)] if sweep.space else jobs


def best(sweep: Sweep, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The row of the best completed job, of equal ones the first; with several objectives the Pareto front.

    The front is in order of the first objective. Empty where no job is completed.
    """
    sweep = opened(sweep)
    jobs = completed(sweep, table(sweep) if frame is None else frame)
    costs = np.column_stack([jobs[name] * (1 if mode == "min" else -1) for name, mode in sweep.objectives.items()])
    dominated = [bool(((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any()) for cost in costs]
    first, mode = next(iter(sweep.objectives.items()))
    front = jobs.loc[~np.array(dominated, dtype=bool)].sort_values([first, "job"], ascending=[mode == "min", True])
    return front.head(1) if len(sweep.objectives) == 1 else front


def settings(sweep: Sweep, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """Mean and sample standard deviation (NaN of one job) over `seed` and `data.fold`, a row for each other setting.

    `count` is the number of completed jobs with a finite score, of which the means are. Best mean first.
    """
    sweep = opened(sweep)
    jobs = with_settings(sweep, completed(sweep, table(sweep) if frame is None else frame))
    names = scores(sweep, jobs)
    rows = []
    for _, group in jobs.groupby([repr(values) for values in jobs[sweep.settings].to_numpy().tolist()], sort=False):
        row = {key: group[key].iloc[0] for key in sweep.settings} | {"count": len(group)}
        for name in names:
            row |= {name: group[name].mean(skipna=False), f"{name}_std": group[name].std(skipna=False)}
        rows.append(row)
    columns = [*sweep.settings, "count", *(f"{name}{end}" for name in names for end in ("", "_std"))]
    first, mode = next(iter(sweep.objectives.items()))
    return pd.DataFrame(rows, columns=columns).sort_values(first, ascending=mode == "min", ignore_index=True)


def curves(sweep: Sweep) -> pd.DataFrame:
    """`metrics.csv` of all jobs, one below the other: job, epoch, and a column a metric. Damaged lines are left out."""
    sweep = opened(sweep)
    parts = [pd.DataFrame({"job": pd.Series(dtype=int), "epoch": pd.Series(dtype=int)})]
    for job in sweep.jobs():
        path = sweep.folder / str(job) / "metrics.csv"
        try:
            check_file(path, MAX_RECORD)
            part = pd.read_csv(path, on_bad_lines="skip", encoding_errors="replace")
        except (OSError, ValueError, UserError):  # missing, empty, or no table at all
            continue
        if "epoch" in part:
            part = part.apply(pd.to_numeric, errors="coerce").dropna(subset=["epoch"])
            parts.append(part.astype({"epoch": int}).assign(job=job))
    joined = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    return joined[["job", "epoch", *(name for name in joined.columns if name not in ("job", "epoch"))]]
