"""Run folders as tables: all of them, and what two differ in. Without torch: a list should not take seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from kindling.config.resume import flat
from kindling.errors import UserError, shown
from kindling.files import read_yaml
from kindling.folders import SPREADS, number, part, read_summary
from kindling.locks import is_abandoned
from kindling.text import printable

FIRST = ("status", "model", "data")  # columns before the scores
LAST = ("epochs", "seed", "started", "folder", "error")


def list_runs(root: str | Path = "outputs") -> pd.DataFrame:
    """A row for each run in `root` and in the folders inside it, such as sweeps; the latest last.

    `error` is there where some run has one: the sentence that it ended with.

    Raises:
        UserError: where there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; name the one that the runs are in (scripts/runs.py: --in FOLDER)")
    rows = [row(file.parent) for file in root.rglob("summary.json")]
    rows.sort(key=lambda row: (str(row["started"]), row["folder"]))
    table = as_text(pd.DataFrame(rows, columns=None if rows else [*FIRST, *LAST]).fillna(float("nan")))
    columns = [*FIRST, *sorted(score_names(table)), *LAST]
    return table[columns if table["error"].notna().any() else columns[:-1]]


def row(folder: Path) -> dict[str, Any]:
    summary = read_summary(folder)
    return {
        **scores(summary),
        "status": "killed" if summary["status"] == "running" and is_abandoned(folder) else text(summary["status"]),
        **{key: text(summary.get(key)) for key in ("model", "started")},
        **{key: number(summary.get(key)) for key in ("epochs", "seed")},
        "data": text(part(summary, "data").get("name")),
        "folder": str(folder),
        "error": reason(part(summary, "error")),
    }


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def reason(error: dict[str, Any]) -> str | None:
    """Why a run ended, as short as a table needs it: the sentence of what the user can mend, the kind of others."""
    kind, message = error.get("type"), " ".join(str(error.get("message")).split())
    return shown(message if kind in ("UserError", "Refused") else f"{kind}: {message}") if error else None


def scores(summary: dict[str, Any]) -> dict[str, float]:
    """The best value of the monitored metric, and what the test measured."""
    monitor, metrics = part(summary, "monitor"), part(summary, "metrics")
    found = {text(monitor.get("name")) or "": number(monitor.get("best"))}
    found |= {name: number(value) for name, value in metrics.items() if not name.endswith(SPREADS)}
    return {name: value for name, value in found.items() if name and value is not None}


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Fit for a terminal, whoever has made the runs."""
    written = table.map(lambda value: printable(value) if isinstance(value, str) else value)
    return written.rename(columns=lambda name: printable(str(name)))


def score_names(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if name not in (*FIRST, *LAST)]


def compare_runs(first: str | Path, second: str | Path) -> pd.DataFrame:
    """What differs between two runs, by key: their configs, then their scores; a column for each run.

    Raises:
        UserError: where one of them is no run folder.
    """
    folders = [Path(first), Path(second)]
    configs = [dict(settings(folder)) for folder in folders]
    measured = [{**scores(summary), "epochs": number(summary.get("epochs"))} for summary in map(read_summary, folders)]
    rows = {}
    for left, right in (configs, measured):
        for key in [*left, *(key for key in right if key not in left)]:
            if left.get(key, "") != right.get(key, ""):
                rows[printable(key)] = [left.get(key, ""), right.get(key, "")]
    return as_text(pd.DataFrame.from_dict(rows, orient="index", columns=[str(folder) for folder in folders]))


def settings(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every key of a run's config with its value, where the run's folder has the same name in all runs."""
    try:
        config: Any = read_yaml(folder / "config.yaml")
    except OSError:
        raise UserError(f"{folder}: is no run folder; name one with a config.yaml in it") from None
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'config.yaml'}: is no config, which has sections")
    own = str(config.get("run_dir"))
    return ((key, value.replace(own, "RUN") if isinstance(value, str) else value) for key, value in flat(config))
