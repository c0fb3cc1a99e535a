"""What a file of conf/study may say, and what is said of one that says something else."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PositiveInt, ValidationError

from kindling.errors import UserError, did_you_mean

Drawn = Literal["curves", "points"]
Rows = Annotated[dict[str, str | None], Field(min_length=1)]


class Column(BaseModel, frozen=True, extra="forbid"):
    """Of a table.

    Args:
        score: of the test or the validation, or `seconds` (of the fit), `parameters`, `epochs`.
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


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors()[0]
    *above, key = map(str, first["loc"] or ("",))
    place = ".".join([*above, key]).removesuffix(".[key]")
    if first["type"] == "missing":
        return f"{'.'.join(above) or 'it'} says nothing of {key}"
    if first["type"] == "extra_forbidden":
        known: type[BaseModel] = File if not above else Column if above[0] == "columns" else Quick
        return f"{place} is no key of a study{did_you_mean(key, list(known.model_fields))}"
    return f"{place or 'it'} is wrong: {first['msg'][0].lower()}{first['msg'][1:]}"
