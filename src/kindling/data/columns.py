"""What is in the columns of a table: numbers, dates and texts, and which of them nobody should learn from."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from kindling.config.quoting import argument
from kindling.data import numbers
from kindling.data.dates import days, find_dates
from kindling.data.reading import Reading, read_table
from kindling.errors import UserError, shown

if TYPE_CHECKING:
    import pandas as pd

PLAIN = (".", None)
UNNAMED = re.compile(r"\s*|Unnamed: \d+(_level_\d+)?(\.\d+)?")
INDEX_NAMES = {"id", "idx", "index", "row", "row_id", "rowid", "rownames", "no", "no.", "nr", "#", "번호", "순번"}


def read_columns(
    path: Path,
    named: str,
    reading: Reading,
    names: Iterable[str],
    types: Mapping[str, type] = MappingProxyType({}),
    learned: bool = False,
) -> "pd.DataFrame":
    """A table in which the columns of those `names` are numbers where they can be, and dates are days.

    Args:
        learned: whether they have been numbers in training, so that they have to be numbers of the same style.

    Raises:
        UserError: where the file cannot be read, or a cell is no date like the others, or has to be a number.
    """
    known = {**types, **dict.fromkeys(reading.dates, str)}
    styled = {} if reading.is_plain else dict.fromkeys(names, str)
    table = read_table(path, named, reading, {**styled, **known})
    return converted(table, named, reading, set(names) - set(types), learned)


def converted(
    table: "pd.DataFrame", named: str, reading: Reading, names: Iterable[str], learned: bool = False
) -> "pd.DataFrame":
    """Likewise, of a table that has been read."""
    style = (reading.decimal or ".", reading.thousands)
    new = {}
    for name in [name for name in table.columns if name in names]:
        if name in reading.dates:
            format_, first = reading.dates[name]
            new[name] = days(table[name], format_, first, named)
        elif is_text(table[name]):
            odd = next((cell for cell in different(table[name]) if not numbers.is_number(cell, style)), None)
            if odd is None:
                new[name] = numbers.values(table[name], style)
            elif learned:
                raise UserError(f"{named}: column {shown(name)} holds {shown(odd)}, which is no number{_as(reading)}")
    return table.assign(**new)


def _as(reading: Reading) -> str:
    if reading.is_plain:
        return ""
    return f", as the model has learned to read them ({reading.marks})"


def find_reading(
    table: "pd.DataFrame",
    path: Path,
    given: Reading,
    names: list[str],
    targets: Collection[str],
    dates: str | dict[str, str] | None,
) -> Reading:
    """How the file writes what is in the columns of those `names`, as far as it is not `given`.

    Args:
        table: the file, with texts and plain numbers.
        targets: columns that cannot be dates.
        dates: what the user says of them.

    Raises:
        UserError: where there are several readings, or cells that seem to mean that a value is missing.
    """
    named, reading = f"data.path={path}", replace(given, missing=given.missing or [])
    texts = {name: different(table[name]) for name in names if is_text(table[name])}
    styles = numbers.styles_of(reading.decimal, reading.thousands)
    style = styles[0]
    if style != PLAIN or any(_is_styled(cells, styles) for cells in texts.values()):
        table_of_texts = read_table(path, named, reading, str)
        texts = {name: different(table_of_texts[name]) for name in names}
        style = numbers.find_style(texts, reading.decimal, reading.thousands, named)
    written = {name: cells for name, cells in texts.items() if numbers.is_written(cells, style)}
    others = {name: cells for name, cells in texts.items() if name not in written and name not in targets}
    if given.missing == []:  # with a word among its dates, a column is one of texts
        others = {name: cells for name, cells in others.items() if not any(map(numbers.is_word, cells))}
    if isinstance(dates, dict):  # 20260131 may be a number too
        others |= {name: different(table[name]) for name in dates if name in names}
    found = find_dates(others, dates, named)
    if given.missing != []:
        check_words({**written, **{name: others[name] for name in found}}, named, reading)
    return replace(reading, decimal=style[0], thousands=style[1], separator=table.attrs["separator"], dates=found)


def _is_styled(cells: list[str], styles: list[numbers.Style]) -> bool:
    """Whether there are numbers alone, and not plain ones."""
    return not numbers.is_written(cells, PLAIN) and any(numbers.is_written(cells, style) for style in styles)


def check_words(columns: Mapping[str, list[str]], named: str, reading: Reading) -> None:
    """Raises:
    UserError: where between numbers or dates there are words for a missing value, which nobody has said to be such.
    """
    words = {name: [cell for cell in cells if numbers.is_word(cell)] for name, cells in columns.items()}
    found = {name: some for name, some in words.items() if some}
    if found:
        name, some = next(iter(found.items()))
        every = list(dict.fromkeys([*(reading.missing or []), *(word for some in found.values() for word in some)]))
        raise UserError(
            f"{named}: column {shown(name)} holds {shown(', '.join(map(repr, some)))} beside its numbers; only an "
            f"empty cell counts as missing: with {argument('data.missing', every)} these do too, with data.missing=[] "
            "the column is one of texts"
        )


def different(column: "pd.Series") -> list[str]:
    """Its texts, each once, without gaps."""
    return [str(text) for text in column.dropna().unique()]


def is_text(column: "pd.Series") -> bool:
    return column.dtype.kind not in "iufb"


def idle(x: "pd.DataFrame") -> dict[str, list[str]]:
    """Columns that hold nothing to learn, by the reason: saved indices, and copies of other columns.

    An index tells the target of a sorted file, and nothing of a new row. Where only it would be left, it stays: a table
    of one feature may well count it.
    """
    index = [str(name) for name in x if is_index(str(name), x[name])]
    index = index if len(index) < x.shape[1] else []
    reasons = {"a saved index, which says nothing of a new row": index} if index else {}
    for name, original in copies(x.drop(columns=index)).items():
        reasons.setdefault(f"the same as column {original}", []).append(name)
    return reasons


def is_index(name: str, column: "pd.Series") -> bool:
    """Whether it has another value in each row, and no name or that of a row number."""
    if UNNAMED.fullmatch(name):
        return bool(column.isna().all()) or column.nunique() == len(column)
    return name.strip().lower() in INDEX_NAMES and column.dtype.kind in "iu" and column.is_unique


def counts(column: "pd.Series") -> bool:
    """Whether it goes 0, 1, 2, ... or 1, 2, 3, ..."""
    values = column.to_numpy()
    return (
        column.dtype.kind in "iu" and values[0] in (0, 1) and np.array_equal(values, np.arange(len(values)) + values[0])
    )


def copies(x: "pd.DataFrame") -> dict[str, str]:
    """Columns that hold the same as one before them, with its name."""
    import pandas as pd

    found: dict[str, str] = {}
    originals: dict[int, list[str]] = {}
    for name in map(str, x):
        column = comparable(x[name])
        same = originals.setdefault(int(pd.util.hash_pandas_object(column, index=False).sum()), [])
        original = next((other for other in same if column.equals(comparable(x[other]))), None)
        if original is None:
            same.append(name)
        else:
            found[name] = original
    return found


def comparable(column: "pd.Series") -> "pd.Series":
    """1 and 1.0 are the same."""
    return column.astype(float) if column.dtype.kind in "iuf" else column
