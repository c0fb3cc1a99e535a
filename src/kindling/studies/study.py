"""What a file of conf/study asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kindling.errors import UserError, did_you_mean
from kindling.files import read_yaml
from kindling.folders import CONF, PROJECT
from kindling.studies.schema import Column, Drawn, check, overrides


@dataclass(frozen=True)
class Study:
    """A few rows of a table, each of them one command of several seeds.

    Args:
        title: what the table shows.
        page: relative to the project, with a block `study NAME`.
        rows: the overrides of each, by its label.
        columns: by their heads.
        common: overrides of every row.
        seeds: runs of each row, with the seeds 0, 1, ...
        population: in their place: so many seeds at once, in one run. A row of its own may say `population=K`.
        published: figures that were printed elsewhere, by the label of the row; `source` says where.
        figure: {curves: SCORE} over the epochs, or {points: HEAD} of a column.
        quick: what is otherwise with --quick; its common overrides are those that come after all others, `less`.
    """

    name: str
    title: str
    page: Path
    rows: Mapping[str, list[str]]
    columns: Mapping[str, Column]
    common: list[str] = field(default_factory=list)
    seeds: int = 1
    population: int = 1
    published: Mapping[str, Any] = field(default_factory=dict)
    figure: Mapping[Drawn, str] = field(default_factory=dict)
    less: list[str] = field(default_factory=list)
    quick: bool = False

    def folder(self, row: str, root: Path) -> Path:
        name = f"{self.name}.quick" if self.quick else self.name
        return root / name / "".join(letter if letter.isalnum() else "_" for letter in row)

    def command(self, row: str) -> list[str]:
        """What a reader types for the row."""
        at_once = [f"population={self.population}"] if self.population > 1 else []
        seeds = ",".join(map(str, range(self.runs(row))))
        return ["python", "train.py", "-m", *self.common, *self.rows[row], *self.less, *at_once, f"seed={seeds}"]

    def runs(self, row: str) -> int:
        """Of the row: one of a population, else one for each seed."""
        return 1 if self.population > 1 or populations(self.rows[row]) else self.seeds

    @property
    def repeats(self) -> int:
        return max(self.seeds, self.population)


def populations(overrides: list[str]) -> set[str]:
    """How many seeds at once they say, if they do."""
    pairs = [text.lstrip("+").partition("=") for text in overrides]
    return {value for key, _, value in pairs if key == "population"}


def names() -> list[str]:
    return sorted(file.stem for file in (CONF / "study").glob("*.yaml"))


def read_study(name: str, quick: bool = False) -> Study:
    """conf/study/`name`.yaml.

    Raises:
        UserError: where there is none, or a key is missing, unknown, or of another kind than it should be.
    """
    if name not in names():
        raise UserError(f"{name}: there is no such study{did_you_mean(name, names())}; there are {', '.join(names())}")
    path = CONF / "study" / f"{name}.yaml"
    given = check(read_yaml(path), path)
    small = given.quick
    rows, place = (small.rows, "quick.rows") if quick and small.rows else (given.rows, "rows")
    study = Study(
        name,
        given.title,
        PROJECT / given.page,
        rows={label: overrides(text or "", f"{place}.{label}", path) for label, text in rows.items()},
        columns=given.columns,
        common=overrides(given.common, "common", path),
        seeds=(quick and small.seeds) or given.seeds,
        population=(quick and small.population) or given.population,
        published=given.published,
        figure=given.figure,
        less=overrides(small.common, "quick.common", path) if quick else [],
        quick=quick,
    )
    check_rows(study, path)
    return study


def check_rows(study: Study, path: Path) -> None:
    """Each has a folder of its own, and as many seeds as the table says."""
    labels: dict[str, str] = {}
    for label, texts in study.rows.items():
        others = populations(texts) - {str(study.repeats)}
        if others or (study.seeds > 1 and study.population > 1 and study.seeds != study.population):
            raise UserError(f"{path}: the row {label} should have as many seeds as the others, {study.repeats}")
        if not any(letter.isalnum() for letter in label):
            raise UserError(
                f"{path}: the row {label!r} should have a letter or a digit, of which its folder has its name"
            )
        other = labels.setdefault(study.folder(label, Path()).name.casefold(), label)  # some disks know no case
        if other != label:
            raise UserError(
                f"{path}: the rows {other} and {label} would share a folder; letters (other than in case) or digits "
                "should differ"
            )


def opening(name: str) -> str:
    """What the first line of the file says of its time."""
    first = (CONF / "study" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    return first.partition(f"study.py {name}")[2].strip()
