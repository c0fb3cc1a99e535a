"""What came of the rows of a study, read from the folders of their runs."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.override_parser.types import Override

from kindling.config.overrides import parse
from kindling.config.places import located, names_a_place, written
from kindling.config.sources import split
from kindling.errors import UserError, did_you_mean
from kindling.files import MAX_RECORD, read_text
from kindling.folders import PROJECT, near, number, part, read_course, read_overrides, read_summary
from kindling.studies.study import Study

TIMES = ("setup", "fit", "test")
PROCESSORS = "processors.txt"  # in the folder of a row: a line for each that has worked on it


@dataclass(frozen=True)
class Result:
    """Of one row.

    Args:
        folders: of the runs that completed, in the order of their seeds.
        lost: the summaries of those that did not.
        processors: that the row was run on, as far as that was noted.
    """

    folders: list[Path]
    summaries: list[dict[str, Any]]
    lost: list[dict[str, Any]] = field(default_factory=list)
    processors: tuple[str, ...] = ()

    def values(self, score: str) -> list[float]:
        """Of each seed, as far as it has that score: of the test, else of the validation at the best epoch."""
        return [value for one in self.of_runs(score) for value in one]

    def of_runs(self, score: str) -> list[list[float]]:
        """The values of each run: one, or those of its members; none where it does not have that score."""
        return [scores(*one, score) for one in zip(self.folders, self.summaries, strict=True)]

    def course(self, score: str) -> pd.DataFrame:
        """The score after each epoch, a column a run; of a population `mean` and `std`."""
        columns = {}
        for folder in self.folders:
            table = pd.read_csv(io.StringIO(read_course(folder)))
            if score not in table:
                raise UserError(
                    f"{near(folder / 'metrics.csv')}: has no {score} for a figure{did_you_mean(score, map(str, table))}"
                )
            table = table.dropna(subset=[score]).drop_duplicates("epoch", keep="last").set_index("epoch")
            if f"{score}_std" in table:
                return pd.DataFrame({"mean": table[score], "std": table[f"{score}_std"]})
            columns[folder.name] = table[score]
        wide = pd.DataFrame(columns)
        return pd.DataFrame({"mean": wide.mean(axis=1), "std": wide.std(axis=1)})

    @property
    def seconds(self) -> float:
        """Of all runs together, those that failed too."""
        runs = [*self.summaries, *self.lost]
        return sum(number(part(one, "seconds").get(key)) or 0.0 for one in runs for key in TIMES)


def settings(overrides: list[str]) -> dict[str, str]:
    """What each means besides the seed, and how it is written; of a key that is given twice, the last counts."""
    flags, texts = split(overrides)
    last = {one.get_key_element().lstrip("+~"): one for one in parse(texts, [])}
    last.pop("seed", None)
    return {flag: flag for flag in flags} | {meaning(one): (one.input_line or "").lstrip("+") for one in last.values()}


def meaning(override: Override) -> str:
    """The same for all ways to write it: +key adds what key would change."""
    key = override.get_key_element().lstrip("+")
    return key if override.is_delete() else f"{key}={written(whole(override.key_or_group, override.value()))}"


def whole(key: str, value: Any) -> Any:
    """A place as an absolute path, as a run keeps it: from the project, where the runs of studies are started."""
    if isinstance(value, list):
        return [whole(key, item) for item in value]
    if not isinstance(value, str) or "://" in value or not names_a_place(key):
        return value
    return str(PROJECT.resolve() / (located(key, value) if value.startswith("~") else value))


def scores(folder: Path, summary: dict[str, Any], score: str) -> list[float]:
    found: list[Any]
    if score == "seconds":
        found = [part(summary, "seconds").get("fit")]
    elif score in ("parameters", "epochs", "steps"):
        found = [summary.get(score)]
    elif (folder / "members.csv").exists():
        found = of_members(folder, score)
    elif score in part(summary, "metrics"):
        found = [part(summary, "metrics")[score]]
    else:
        found = [at_best(folder, part(summary, "monitor"), score)]
    return [value for value in map(number, found) if value is not None]


def of_members(folder: Path, score: str) -> list[float]:
    """nan for each that diverged."""
    file = folder / "members.csv"
    damaged = UserError(f"{near(file)}: is damaged; delete {near(folder)}, and the study trains it once more")
    try:
        text = read_text(file, MAX_RECORD)
        table = pd.read_csv(io.StringIO(text))
    except ValueError:
        raise damaged from None
    if score not in table:
        return []
    values = pd.to_numeric(table[score], errors="coerce")
    if not text.endswith("\n") or (values.isna() & table[score].notna()).any():
        raise damaged
    return [float(value) for value in values]


def at_best(folder: Path, monitor: dict[str, Any], score: str) -> float | None:
    """In the row of the step whose weights count, else in the last of its epoch; nan where it diverged."""
    rows = csv.DictReader(io.StringIO(read_course(folder)))
    of_epoch = [row for row in rows if row.get(score) and int(row["epoch"]) == monitor.get("epoch")]
    of_step = [row for row in of_epoch if row.get("step") == str(monitor.get("step"))]
    found = of_step or of_epoch
    return float(found[-1][score]) if found else None


def read_row(study: Study, row: str, root: Path) -> Result | None:
    """None where some of its runs have not ended.

    Raises:
        UserError: where the folder holds runs of other settings, as after a change of the study.
    """
    folder = study.folder(row, root)
    jobs = [folder / str(job) for job in range(study.runs(row))]
    summaries = [read_summary(job) for job in jobs]
    asked = settings(study.command(row)[3:])
    for job in jobs:
        then = settings(read_overrides(job))
        if then and then.keys() != asked.keys():
            different = " ".join(sorted((then | asked)[one] for one in then.keys() ^ asked.keys()))
            raise UserError(f"{near(job)}: has other settings than the study has now ({different}); delete the folder")
    if any(one["status"] not in ("completed", "failed") for one in summaries):
        return None
    done = [(job, one) for job, one in zip(jobs, summaries, strict=True) if one["status"] == "completed"]
    lost = [one for one in summaries if one["status"] == "failed"]
    file = folder / PROCESSORS
    processors = tuple(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
    return Result([job for job, _ in done], [one for _, one in done], lost, processors)
