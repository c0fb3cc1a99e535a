"""What a file of conf/study may say, and what is said of one that says something else."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PositiveInt, ValidationError

from kindling.config.overrides import parse
from kindling.config.sources import split
from kindling.errors import UserError, did_you_mean, listed

Drawn = Literal["curves", "points"]
Rows = Annotated[dict[str, str | None], Field(min_length=1)]


class Column(BaseModel, frozen=True, extra="forbid"):
    """Of a table.

    Args:
        score: of the test or the validation, or `seconds` (of the fit), `parameters`, `epochs`, `steps`.
        show: number (mean ± standard deviation over the seeds); percent; error, which is 100 less the percent; solved,
            on how many of the seeds the score is exactly 1.
    """

    score: str
    show: Literal["number", "percent", "error", "solved"] = "number"


class Quick(BaseModel, extra="forbid"):
    """In the place of the study's own with --quick; `common` comes after all other overrides."""

    rows: Rows | None = None
    common: str = ""
    seeds: PositiveInt | None = None
    population: PositiveInt | None = None


class File(BaseModel, extra="forbid"):
    """Of a study: see `Study`, which is made from it."""

    title: str
    page: str
    rows: Rows
    columns: Annotated[dict[str, Column], Field(min_length=1)]
    common: str = ""
    seeds: PositiveInt = 1
    population: PositiveInt = 1
    published: dict[str, int | float | str] = {}
    figure: Annotated[dict[Drawn, str], Field(max_length=1)] = {}
    quick: Quick = Quick()


def check(given: Any, path: Path) -> File:
    """Raises:
    UserError: where a key is missing, unknown, or of another kind than it should be.
    """
    try:
        file = File.model_validate(given)
    except ValidationError as error:
        raise UserError(f"{path}: {sentence(error)}") from None
    if file.published and "source" not in file.published:
        raise UserError(f"{path}: published should have a source, which says where the figures were printed")
    for label in {*file.published} - {"source"}:
        if label not in file.rows:
            raise UserError(f"{path}: published.{label} is no row{did_you_mean(label, list(file.rows))}")
    head = file.figure.get("points")
    if head is not None and head not in file.columns:
        raise UserError(f"{path}: figure.points={head} is no column{did_you_mean(head, list(file.columns))}")
    return file


def overrides(given: str, place: str, path: Path) -> list[str]:
    """Those of a line of the file.

    Raises:
        UserError: where they cannot be read, go through several values, or say what is the study's own to say.
    """
    try:
        texts = shlex.split(given)
    except ValueError as error:
        raise UserError(f"{path}: {place}: the overrides cannot be read ({error})") from None
    problems: list[str] = []
    for one in parse(split(texts)[1], problems):
        key = one.key_or_group
        if key == "seed" or (key == "population" and place in ("common", "quick.common")):
            section = "quick" if place.startswith("quick.") else "the study"
            problems.append(f"{one.input_line}: how many seeds there are is said by seeds or population of {section}")
        elif one.is_sweep_override():
            problems.append(f"{one.input_line}: each value should have a row of its own")
    if problems:
        raise UserError(f"{path}: {place}: {listed(problems)}")
    return texts


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors()[0]
    *above, key = map(str, first["loc"] or ("",))
    place = ".".join([*above, key]).removesuffix(".[key]")
    if first["type"] == "string_type" and isinstance(first["input"], int | float):  # as YAML reads 10, 1e3, yes
        return f"{place} should be text: put it in quotes"
    if first["type"] == "missing":
        return f"{'.'.join(above) or 'it'} says nothing of {key}"
    if first["type"] == "extra_forbidden":
        known: type[BaseModel] = File if not above else Column if above[0] == "columns" else Quick
        return f"{place} is no key of a study{did_you_mean(key, list(known.model_fields))}"
    return f"{place or 'it'} is wrong: {first['msg'][0].lower()}{first['msg'][1:]}"
