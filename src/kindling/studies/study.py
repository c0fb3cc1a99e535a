"""What a file of conf/study asks for."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kindling.errors import UserError, did_you_mean
from kindling.files import read_yaml
from kindling.folders import CONF, PROJECT

SHOWN = ("number", "percent", "error", "solved")


@dataclass(frozen=True)
class Column:
    """Of a table.

    Args:
        score: of the test or the validation, or `seconds` (of the fit), `parameters`, `epochs`.
        show: number (mean ± standard deviation over the seeds); percent; error, which is 100 less the percent; solved,
            on how many of the seeds the score is exactly 1.
    """

    score: str
    show: str = "number"


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
        quick: what is otherwise with --quick; its common overrides come after those of the study.
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
    figure: Mapping[str, str] = field(default_factory=dict)
    quick: bool = False

    def folder(self, row: str, root: Path) -> Path:
        name = f"{self.name}.quick" if self.quick else self.name
        return root / name / "".join(letter if letter.isalnum() else "_" for letter in row)

    def command(self, row: str) -> list[str]:
        """What a reader types for the row."""
        at_once = [f"population={self.population}"] if self.population > 1 else []
        seeds = ",".join(map(str, range(self.runs(row))))
        return ["python", "train.py", "-m", *self.common, *self.rows[row], *at_once, f"seed={seeds}"]

    def runs(self, row: str) -> int:
        """Of the row: one of a population, else one for each seed."""
        at_once = self.population > 1 or any(text.startswith("population=") for text in self.rows[row])
        return 1 if at_once else self.seeds

    @property
    def repeats(self) -> int:
        return max(self.seeds, self.population)


def names() -> list[str]:
    return sorted(file.stem for file in (CONF / "study").glob("*.yaml"))


def read_study(name: str, quick: bool = False) -> Study:
    """conf/study/`name`.yaml.

    Raises:
        UserError: where there is none, or a key is missing, unknown, or of another kind than it should be.
    """
    path = CONF / "study" / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"{name}: there is no such study{did_you_mean(name, names())}; there are {', '.join(names())}")
    given: dict[str, Any] = dict(read_yaml(path))
    check_keys(given, path)
    less = given.pop("quick", {})
    try:
        if quick:
            common = f"{given.get('common', '')} {less.get('common', '')}"
            given = {**given, **less, "common": common}
        return Study(
            **{
                **given,
                "name": name,
                "page": PROJECT / given["page"],
                "common": shlex.split(given.get("common", "")),
                "rows": {str(label): shlex.split(text or "") for label, text in given["rows"].items()},
                "columns": {head: Column(**column) for head, column in given["columns"].items()},
                "quick": quick,
            }
        )
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a study ({error})") from None


def check_keys(given: Mapping[str, Any], path: Path) -> None:
    known = [one.name for one in fields(Study) if one.name != "name"]
    for key in given:
        if key not in known:
            raise UserError(f"{path}: has a key {key}, which no study has{did_you_mean(key, known)}")
    for key in ("title", "page", "rows", "columns"):
        if not given.get(key):
            raise UserError(f"{path}: says nothing of {key}")
    for head, column in given["columns"].items():
        if not isinstance(column, dict) or column.get("show", "number") not in SHOWN:
            raise UserError(f"{path}: columns.{head} should have a score, and show one of {', '.join(SHOWN)}")
    for label in {*given.get("published", {})} - {"source"}:
        if label not in given["rows"]:
            raise UserError(f"{path}: published.{label} is no row{did_you_mean(label, list(given['rows']))}")


def opening(name: str) -> str:
    """What the first line of the file says of its time."""
    first = (CONF / "study" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    return first.partition(f"study.py {name}")[2].strip()
