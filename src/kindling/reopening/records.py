"""Run folders as tables: all of them, the best, what two differ in. Without torch: a list should not take seconds."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from kindling.config.resume import flat
from kindling.errors import UserError, did_you_mean
from kindling.folders import SPREADS, read_summary
from kindling.text import printable

DEFAULT_SCORES = ("test/acc", "test/rmse", "test/loss")  # the first of these that there is, tells the best run
LOWER_IS_BETTER = ("loss", "mae", "rmse")
NO_SCORES = ("status", "model", "data", "epochs", "seed", "started", "folder")  # columns


def list_runs(root: str | Path = "outputs") -> pd.DataFrame:
    """A row for each run in `root` and in the folders inside it, such as sweeps; the latest last.

    Raises:
        UserError: where there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; name the one that the runs are in (scripts/runs.py: --in FOLDER)")
    rows = [row(file.parent) for file in root.rglob("summary.json")]
    rows.sort(key=lambda row: (str(row["started"]), row["folder"]))
    table = as_text(pd.DataFrame(rows))
    names = sorted(score_names(table))
    return table.reindex(columns=["status", "model", "data", *names, "epochs", "seed", "started", "folder"])


def row(folder: Path) -> dict[str, Any]:
    summary = read_summary(folder)
    known = {key: summary.get(key) for key in ("status", "model", "epochs", "seed", "started")}
    return {**known, "data": summary.get("data", {}).get("name"), **scores(summary), "folder": str(folder)}


def scores(summary: dict[str, Any]) -> dict[str, float]:
    """The best value of the monitored metric, and what the test measured."""
    monitor, metrics = summary.get("monitor", {}), summary.get("metrics", {})
    best = {monitor["name"]: monitor["best"]} if monitor.get("name") and "best" in monitor else {}
    return {**best, **{name: value for name, value in metrics.items() if not name.endswith(SPREADS)}}


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Fit for a terminal, whoever has made the runs."""
    written = table.map(lambda value: printable(value) if isinstance(value, str) else value)
    return written.rename(columns=lambda name: printable(str(name)))


def score_names(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if name not in NO_SCORES]


def ranked(table: pd.DataFrame, metric: str, mode: str | None = None) -> pd.DataFrame:
    """The runs that have the metric, the best first; `mode` says whether that is the `min` or the `max`.

    Raises:
        UserError: where no run has it.
    """
    names = score_names(table)
    if metric not in names:
        known = f"only {', '.join(names)}" if names else "or any other"
        raise UserError(f"--sort {metric}: no run has this metric, {known}{did_you_mean(metric, names)}")
    lowest_first = mode == "min" or (mode is None and re.split("[/_]", metric)[-1] in LOWER_IS_BETTER)
    return table.dropna(subset=[metric]).sort_values(metric, ascending=lowest_first, kind="stable")


def best_runs(table: pd.DataFrame, metric: str | None = None, mode: str | None = None) -> pd.DataFrame:
    """The best run on each data set, since scores on different ones do not compare.

    Raises:
        UserError: where no run has been tested, or none has the metric.
    """
    if metric:
        table = ranked(table, metric, mode)
    best = []
    for _, runs in table.groupby("data"):
        names = [metric] if metric else [*DEFAULT_SCORES, *score_names(table)]
        measured = [name for name in names if name in runs and runs[name].notna().any()]
        if measured:
            best.append(ranked(runs, measured[0], mode).head(1))
    if not best:
        raise UserError("no run has been tested yet")
    return pd.concat(best).dropna(axis=1, how="all")


def compare_runs(first: str | Path, second: str | Path) -> pd.DataFrame:
    """What differs between two runs, by key: their configs, then their scores; a column for each run.

    Raises:
        UserError: where one of them is no run folder.
    """
    folders = [Path(first), Path(second)]
    configs = [dict(settings(folder)) for folder in folders]
    measured = [{**scores(summary), "epochs": summary.get("epochs")} for summary in map(read_summary, folders)]
    rows = {}
    for left, right in (configs, measured):
        for key in [*left, *(key for key in right if key not in left)]:
            if left.get(key, "") != right.get(key, ""):
                rows[printable(key)] = [left.get(key, ""), right.get(key, "")]
    return as_text(pd.DataFrame.from_dict(rows, orient="index", columns=[str(folder) for folder in folders]))


def settings(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every key of a run's config with its value, where the run's folder has the same name in all runs."""
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    except OSError:
        raise UserError(f"{folder}: is no run folder; name one with a config.yaml in it") from None
    own = str(config.get("run_dir"))
    return ((key, value.replace(own, "RUN") if isinstance(value, str) else value) for key, value in flat(config))
