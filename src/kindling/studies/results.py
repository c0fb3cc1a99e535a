"""What came of the rows of a study, read from the folders of their runs."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kindling.errors import UserError, did_you_mean
from kindling.folders import near, number, part, read_course, read_overrides, read_summary
from kindling.studies.study import Study

TIMES = ("setup", "fit", "test")
PROCESSORS = "processors.txt"  # in the folder of a row: a line for each that has worked on it


@dataclass(frozen=True)
class Result:
    """Of one row.

    Args:
        folders: of the runs that completed, in the order of their seeds.
        failed: how many did not.
        processors: that the row was run on, as far as that was noted.
    """

    folders: list[Path]
    summaries: list[dict[str, Any]]
    failed: int
    processors: tuple[str, ...] = ()

    def values(self, score: str) -> list[float]:
        """Of each seed, as far as it has that score: of the test, else of the validation at the best epoch."""
        return [value for one in zip(self.folders, self.summaries, strict=True) for value in scores(*one, score)]

    def course(self, score: str) -> pd.DataFrame:
        """The score after each epoch, a column a run; of a population `mean` and `std`."""
        columns = {}
        for folder in self.folders:
            table = pd.read_csv(io.StringIO(read_course(folder)))
            if score not in table:
                raise UserError(
                    f"{near(folder / 'metrics.csv')}: has no {score} for a figure{did_you_mean(score, map(str, table))}"
                )
            table = table.dropna(subset=[score]).set_index("epoch")
            if f"{score}_std" in table:
                return pd.DataFrame({"mean": table[score], "std": table[f"{score}_std"]})
            columns[folder.name] = table[score]
        wide = pd.DataFrame(columns)
        return pd.DataFrame({"mean": wide.mean(axis=1), "std": wide.std(axis=1)})

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return sum(number(part(one, "seconds").get(key)) or 0.0 for one in self.summaries for key in TIMES)


def settings(overrides: list[str]) -> set[str]:
    """Besides the seed; of a key that is given twice, the last counts."""
    plain = [text.lstrip("+") for text in overrides]  # +key adds what key would change
    last = {text.partition("=")[0]: text for text in plain}
    return {text for key, text in last.items() if key != "seed"}


def scores(folder: Path, summary: dict[str, Any], score: str) -> list[float]:
    if score == "seconds":
        found = [part(summary, "seconds").get("fit")]
    elif score in ("parameters", "epochs", "steps"):
        found = [summary.get(score)]
    elif (folder / "members.csv").exists():
        table = pd.read_csv(folder / "members.csv")
        found = table[score].tolist() if score in table else []
    elif score in part(summary, "metrics"):
        found = [part(summary, "metrics")[score]]
    else:
        found = [at_best(folder, part(summary, "monitor").get("epoch"), score)]
    return [value for value in map(number, found) if value is not None]


def at_best(folder: Path, epoch: Any, score: str) -> float | None:
    table = pd.read_csv(io.StringIO(read_course(folder)))
    found = table.loc[table["epoch"] == epoch, score].dropna().tolist() if score in table else []
    return found[-1] if found else None


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
        if then and then != asked:
            different = " ".join(sorted(then ^ asked))
            raise UserError(f"{near(job)}: has other settings than the study has now ({different}); delete the folder")
    if any(one["status"] not in ("completed", "failed") for one in summaries):
        return None
    done = [(job, one) for job, one in zip(jobs, summaries, strict=True) if one["status"] == "completed"]
    file = folder / PROCESSORS
    processors = tuple(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
    return Result([job for job, _ in done], [one for _, one in done], len(jobs) - len(done), processors)
