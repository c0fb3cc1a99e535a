"""Which of many runs is the best. Without torch, as records.py."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kindling.errors import UserError, did_you_mean, some
from kindling.files import read_yaml
from kindling.folders import number, part, read_summary
from kindling.reopening.records import score_names, text

LOWER_IS_BETTER = ("loss", "mae", "rmse")


def ranked(table: pd.DataFrame, metric: str, mode: str | None = None) -> pd.DataFrame:
    """The runs that have the metric, the best first; `mode` says whether that is the `min` or the `max`.

    Raises:
        UserError: where no run has it.
    """
    names = score_names(table)
    if metric not in names:
        known = f"only {some(names)}" if names else "or any other"
        raise UserError(f"--sort {metric}: no run has this metric, {known}{did_you_mean(metric, names)}")
    lowest_first = mode == "min" or (mode is None and re.split("[/_]", metric)[-1] in LOWER_IS_BETTER)
    return table.dropna(subset=[metric]).sort_values(metric, ascending=lowest_first, kind="stable")


def best_runs(table: pd.DataFrame, metric: str | None = None, mode: str | None = None) -> pd.DataFrame:
    """The best run on each data set, or file, and by each monitor: scores of different ones do not compare.

    The monitored score tells it, which is that of the validation: the test does not choose. A `metric` that is asked
    for does, over all monitors. Runs that have not been completed, or validated on a part of the data alone, as those
    with debug=fast_dev_run, do not count.

    Raises:
        UserError: where there is no such run, or none has the metric.
    """
    if metric:
        table = ranked(table, metric, mode)
    table = table[table["status"] == "completed"]
    rows: list[Any] = table.index.tolist()
    judged = {at: judge(Path(folder)) for at, folder in zip(rows, table["folder"], strict=True)}
    names = dict(zip(rows, map(str, table["data"]), strict=True))
    if not metric:
        rows = sorted((at for at in rows if judged[at].monitor), key=lambda at: judged[at].cost)
    best: dict[tuple[str, ...], Any] = {}
    for at in rows:
        of = (names[at], judged[at].source, "" if metric else judged[at].monitor)
        if of not in best and not judged[at].is_of_a_part():
            best[of] = at
    if not best:
        raise UserError("no run has been completed with a monitored score; --sort METRIC takes any other that it has")
    rows = [best[of] for of in sorted(best)]
    found = table.loc[rows].drop(columns=["status", "error"], errors="ignore")
    found.insert(2, "source", [judged[at].source or None for at in rows], allow_duplicates=True)
    found.insert(3, "monitor", [judged[at].monitor or None for at in rows], allow_duplicates=True)
    return found.dropna(axis=1, how="all")


@dataclass(frozen=True)
class Judged:
    """A run: where its rows came from, what it monitored, with its mode, and its score there, the less the better.

    The monitor is empty where there is no such score.
    """

    folder: Path
    source: str
    monitor: str = ""
    cost: float = math.inf

    def is_of_a_part(self) -> bool:
        """Whether it validated on a part of its rows alone, to see that it runs at all."""
        try:
            config: Any = read_yaml(self.folder / "config.yaml")
            trainer: dict[str, Any] = config["trainer"]
            limit = trainer.get("limit_val_batches")
        except Exception:  # whatever a damaged file makes a parser say
            return False
        is_limited = limit is not None and not (type(limit) is float and limit == 1)  # 1 is one batch, 1.0 all
        return is_limited or bool(trainer.get("fast_dev_run") or trainer.get("overfit_batches"))


def judge(folder: Path) -> Judged:
    summary = read_summary(folder)
    source, monitor = text(part(summary, "data").get("source")) or "", part(summary, "monitor")
    name, mode, best = text(monitor.get("name")), text(monitor.get("mode")), number(monitor.get("best"))
    if name is None or mode not in ("min", "max") or best is None or not math.isfinite(best):
        return Judged(folder, source)
    return Judged(folder, source, f"{name} ({mode})", best if mode == "min" else -best)
