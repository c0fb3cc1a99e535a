"""Dates in a table: how each column of them writes them, and the days since the first one that they become.

The way of a column is found where only one gives dates for all of its cells, and otherwise asked for.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

from kindling.config.quoting import argument
from kindling.data.numbers import without_words
from kindling.errors import UserError, shown

if TYPE_CHECKING:
    import pandas as pd

DAYS = [
    "ISO8601",  # 2026-01-31, 2026/01/31 or 2026-01, with or without a time
    *(f"%{'-%'.join(order)}".replace("-", mark) for order, mark in product(("dmY", "mdY", "dmy", "mdy", "ymd"), "/-.")),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"),
]
TIMES = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p"]
FORMATS = [DAYS[0], *(day + time for day, time in product(DAYS[1:], TIMES))]
LIKE_A_DATE = re.compile(
    r"\d{1,4}([-/.]\d{1,2}[-/.]\d{1,4}|[- ][A-Za-z]{3,9}[- ]\d)|[A-Za-z]{3,9} \d{1,2},? \d{4}|(19|20)\d\d-\d\d$"
)
SEASON = re.compile(r"(?:19|20)(\d\d)-(\d\d)")  # 2010-11
CENTURY = timedelta(days=36525)
Dates = dict[str, "pd.Series"]  # by the format that they are read with


def find_dates(
    columns: Mapping[str, list[str]], given: str | Mapping[str, str] | None, named: str
) -> dict[str, list[str]]:
    """For each of the `columns` that holds nothing but dates, their format and the first of them.

    Args:
        columns: the different texts in each.
        given: the format of every column that it fits, or one for each column of dates, and no others.

    Raises:
        UserError: where what is given does not fit, or several formats fit and give different dates.
    """
    if given is None or isinstance(given, str):
        told = {name: _read(cells, [given]) for name, cells in columns.items()} if given else {}
        if given and not any(told.values()):
            raise UserError(f"{argument('data.dates', given)}: no column of {named} holds such dates alone")
        fitting = {name: told.get(name) or _read(cells, FORMATS) for name, cells in columns.items()}
    else:
        fitting = {name: _as_told(name, columns, format_, named) for name, format_ in given.items()}
    fitting = {name: dates for name, dates in fitting.items() if dates}
    sure = {format_ for dates in fitting.values() if _agree(dates) for format_ in dates}
    found = {name: _only(name, dates, sure, without_words(columns[name]), named) for name, dates in fitting.items()}
    for name, (format_, _) in found.items():
        if not isinstance(given, Mapping) and format_ != given:
            _check_years(name, fitting[name][format_], format_, without_words(columns[name]), named)
    return found


def _read(cells: list[str], formats: list[str]) -> Dates:
    """With each format that fits all cells."""
    texts = without_words(cells)
    few = texts[:10]
    if not texts or (formats is FORMATS and not any(LIKE_A_DATE.match(text.strip()) for text in few)):
        return {}
    possible = [format_ for format_ in formats if parse(few, format_).notna().all()]
    read = {format_: parse(texts, format_) for format_ in possible}
    return {format_: dates for format_, dates in read.items() if dates.notna().all()}


def _as_told(name: str, columns: Mapping[str, list[str]], format_: str, named: str) -> Dates:
    cells = without_words(columns.get(name, []))
    read = parse(cells, format_)
    if not cells or read.isna().any():
        wrong = f"holds {shown(cells[int(read.isna().to_numpy().argmax())])}" if cells else "is none to learn from"
        raise UserError(f"data.dates={{{name}: {format_}}}: column {name} of {named} {wrong}, and no such dates")
    return {format_: read}


def parse(cells: list[str], format_: str) -> "pd.Series":
    """Dates, without a time zone in that of Greenwich; NaT where a cell is none."""
    import pandas as pd

    try:
        return pd.to_datetime(pd.Series(cells, dtype="str").str.strip(), format=format_, errors="coerce", utc=True)
    except ValueError as error:
        raise UserError(f"{argument('data.dates', format_)}: {shown(str(error))}") from None


def _agree(dates: Dates) -> bool:
    first, *others = dates.values()
    return all(first.equals(other) for other in others)


def _only(name: str, dates: Dates, sure: set[str], cells: list[str], named: str) -> list[str]:
    """The one way; where there are several, that of the columns with only one."""
    if not _agree(dates) and len(sure & dates.keys()) == 1:
        dates = {format_: dates[format_] for format_ in sure & dates.keys()}
    (format_, first), *others = dates.items()
    for other, second in others:
        if not first.equals(second):
            place = int((first != second).to_numpy().argmax())
            both = " or ".join(
                f"{read.iloc[place]:%Y-%m-%d} ({argument('data.dates', one)})"
                for one, read in ((format_, first), (other, second))
            )
            raise UserError(f"{named}: column {shown(name)} holds {shown(cells[place])}, which may be {both}")
    return [format_, first.min().isoformat()]


def _check_years(name: str, dates: "pd.Series", format_: str, cells: list[str], named: str) -> None:
    """Raises:
    UserError: where years of two digits may be of another century, or what looks like months may be seasons.
    """
    import pandas as pd

    told = f"{named}: column {shown(name)} holds "
    latest = int(dates.argmax())
    late = dates[latest] > pd.Timestamp.now(tz="UTC") or dates.max() - dates.min() > CENTURY / 2
    if "%y" in format_ and late:
        year = dates[latest].year
        raise UserError(
            f"{told}{shown(cells[latest])}, which may be of {year - 100} or {year}: give years of four digits, or "
            f"{argument('data.dates', format_)} for {year}"
        )
    seasons = [SEASON.fullmatch(cell.strip()) for cell in cells]
    if all(season and (int(season[1]) + 1) % 100 == int(season[2]) for season in seasons):
        raise UserError(
            f"{told}{shown(cells[0])}, which may be a month ({argument('data.dates', '%Y-%m')}) or a season, which is "
            f"text (data.dates={{}})"
        )


def days(column: "pd.Series", format_: str, first: str, source: str) -> "pd.Series":
    """Since the `first`, with fractions; NaN for gaps.

    Raises:
        UserError: naming `source`, where a cell is not written like this.
    """
    import pandas as pd

    given = column.dropna().astype("str")
    dates = parse(given.tolist(), format_).set_axis(given.index)
    if dates.isna().any():
        cell, name = shown(given[dates.isna()].iloc[0]), shown(str(column.name))
        raise UserError(f"{source}: column {name} holds {cell}, which is no date of the form {format_}")
    return ((dates - pd.Timestamp(first)) / pd.Timedelta(days=1)).reindex(column.index).astype(float)
