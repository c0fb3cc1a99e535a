"""The folder of a sweep: what was asked for, and its jobs. Any file of a job may be missing or damaged."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from kindling.config.sweep_record import read_record
from kindling.errors import shown
from kindling.folders import SPREADS, number, part, read_overrides, read_summary
from kindling.text import printable

OF_THE_RUN = ("parameters", "epochs", "samples_per_second")  # objectives that are no metrics; and seconds
REPEATS = ("seed", "data.fold")  # keys that say which repetition a job is, not what is tried


class SweepFolder:
    """`sweep.yaml` of the folder, and where its jobs are.

    Raises:
        UserError: where the folder is not that of a sweep, or its sweep.yaml is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        record = read_record(self.folder)
        self.name = record.name
        self.command = record.command
        self.option = record.sweep
        self.objectives = record.objectives
        self.n_trials = record.n_trials
        given = {key_of(text): text for text in record.command}
        self.space = {
            bare(key): without_range(json.loads(text)) if is_list(given.get(bare(key))) else json.loads(text)
            for key, text in record.space.items()
        }

    @property
    def table(self) -> Path:
        return self.folder / "table.csv"

    @property
    def settings(self) -> list[str]:
        """The swept keys but those that repeat a setting."""
        return [key for key in self.space if key not in REPEATS]

    @property
    def repeats(self) -> list[str]:
        return [key for key in self.space if key in REPEATS]

    def jobs(self) -> list[int]:
        # 007 is nobody's job: it would be taken for 7
        names = [
            path.name
            for path in self.folder.iterdir()
            if path.name.isdecimal() and len(path.name) < 10 and path.is_dir()
        ]
        return sorted(int(name) for name in names if name == str(int(name)))

    def overrides(self, job: int) -> list[str]:
        return read_overrides(self.folder / str(job))

    def monitored(self) -> str | None:
        """The metric by which a job knows its best epoch."""
        names = (part(read_summary(self.folder / str(job)), "monitor").get("name") for job in self.jobs())
        return next((str(name) for name in names if name), None)

    def remarks(self) -> list[str]:
        """What is to be known of the data before the scores of the jobs are compared."""
        summaries = {job: read_summary(self.folder / str(job)) for job in self.jobs()}
        keys = [key for key in self.space if key.partition(".")[0] == "data"]
        same_rows, digests = [], dict[str, set[str]]()
        for job, summary in summaries.items():
            data = part(summary, "data")
            if data.get("same_rows") is True:
                same_rows.append(job)
            if data.get("digest"):
                asked = repr([data.get("name"), *swept_values(self.overrides(job), keys).values()])
                digests.setdefault(asked, set()).add(str(data["digest"]))
        told = []
        if same_rows:
            which = "" if len(same_rows) == len(summaries) else f"In {len(same_rows)} of {len(summaries)} jobs, t"
            told.append(f"{which or 'T'}he test rows are the same rows as those of training.")
        if any(len(found) > 1 for found in digests.values()):
            told.append("The data have changed from one job to another: their scores do not compare.")
        return told

    def row(self, job: int) -> dict[str, Any]:
        """All that the table says about a job."""
        summary = read_summary(self.folder / str(job))
        epochs = objective(summary, "epochs")
        return {
            **test_metrics(summary),
            "job": job,
            "status": printable(str(summary["status"])),
            **swept_values(self.overrides(job), list(self.space)),
            **{name: objective(summary, name) for name in self.objectives},
            "epochs": epochs if isinstance(epochs, int) else None,
            "seconds": objective(summary, "seconds"),
            "error": error_sentence(summary),
        }

    def columns(self, names: set[str]) -> list[str]:
        """Those of the table, in order, for rows of these `names`."""
        first = ["job", "status", *self.space, *self.objectives]
        last = [name for name in ("epochs", "seconds", "error") if name not in first]
        return [*first, *sorted(names - {*first, *last}), *last]


def objective(summary: dict[str, Any], name: str) -> float | None:
    """What a run reached, by its summary; None where it did not get that far.

    The monitored metric counts at its best epoch, others after the last one or in the test. `parameters`, `epochs`,
    `samples_per_second` and `seconds` (of fitting) are there too. NaN and infinity are passed on.
    """
    monitor, seconds = part(summary, "monitor"), part(summary, "seconds")
    candidates = [monitor.get("best")] if monitor.get("name") == name else []
    candidates += [summary.get(name)] if name in OF_THE_RUN else []
    candidates += [seconds.get("fit")] if name == "seconds" else []
    candidates += [part(summary, "last_epoch").get(name), part(summary, "metrics").get(name)]
    return next((value for value in map(number, candidates) if value is not None), None)


def test_metrics(summary: dict[str, Any]) -> dict[str, float | None]:
    names = [str(name) for name in part(summary, "metrics") if not str(name).endswith(SPREADS)]
    return {printable(name): objective({"metrics": summary["metrics"]}, name) for name in names}


def error_sentence(summary: dict[str, Any]) -> str | None:
    """On one line: a row of the table is one line of its file."""
    error = part(summary, "error")
    words = f"{error.get('type', 'error')}: {error.get('message', '')}".split() if error else []
    return shown(" ".join(words), 200) if words else None


def swept_values(overrides: list[str], keys: list[str]) -> dict[str, Any]:
    """The value of each swept key, where the overrides have one; the last one wins, as with Hydra."""
    texts = {key_of(text): text for text in overrides}
    return {key: parsed(texts[key]) if key in texts else None for key in keys}


def is_list(override: str | None) -> bool:
    """Whether its values stand in the command one by one, and are not drawn from a range."""
    return override is not None and not re.search(r"\b(interval|range)\(", override)


def without_range(fields: dict[str, Any]) -> dict[str, Any]:
    """Of listed numbers the study knows the least and the largest, which are no bounds of anything."""
    of_a_range = ("low", "high", "log", "step")
    return {**fields, "attributes": {k: v for k, v in fields["attributes"].items() if k not in of_a_range}}


def key_of(override: str) -> str:
    return bare(override.partition("=")[0])


def bare(key: str) -> str:
    """Without the signs of Hydra's grammar: +key and ++key set key."""
    return key.lstrip("+~")


@lru_cache(maxsize=10_000)
def parsed(override: str) -> Any:
    """A number, text, truth value or None; what is none of these, such as a list, as the text that was given."""
    text = override.partition("=")[2]
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        value = text
    value = value if isinstance(value, str | int | float | bool | None) else text
    return printable(value) if isinstance(value, str) else value
