"""How the numbers of a table are written: 1234.5, 1,234.5, 1234,5, 1.234,5, 1 234,5 or 1'234.5.

A file has one way for all its numbers. It is found where only one fits them all, and otherwise asked for.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import chain, product
from typing import TYPE_CHECKING

from kindling.config.quoting import argument
from kindling.errors import UserError, shown

if TYPE_CHECKING:
    import pandas as pd

# Cells that people mean a missing value by. Nothing is taken for one that nobody has named; but nobody wants the
# numbers beside it for texts either, so that it is asked for.
MISSING = {"", "-", "--", "---", ".", "?", "na", "n/a", "#n/a", "nan", "<na>", "null", "none", "nil", "missing"}
DECIMALS = (".", ",")
THOUSANDS = (None, ",", ".", " ", "'")
SPACES = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}  # what is typeset for them
Style = tuple[str, str | None]  # decimal and thousands


def styles_of(decimal: str | None, thousands: str | None) -> list[Style]:
    """Those that are possible, the plain one first."""
    pairs = product([decimal] if decimal else DECIMALS, [thousands] if thousands else THOUSANDS)
    return [(point, mark) for point, mark in pairs if point != mark]


@cache
def pattern(style: Style) -> re.Pattern[str]:
    """Of a number. Thousands are whole groups of three digits (of two in between, as in India)."""
    point, mark = re.escape(style[0]), _mark(style[1])
    groups = rf"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|" if style[1] else ""
    return re.compile(rf"\s*[+\-\u2212]?(?:(?:{groups}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


def _mark(thousands: str | None) -> str:
    return SPACES.get(thousands or "", re.escape(thousands or ""))


def is_word(cell: str) -> bool:
    """Whether people mean a missing value by it."""
    return cell.strip().lower() in MISSING


def without_words(cells: Iterable[str]) -> list[str]:
    return [cell for cell in cells if not is_word(cell)]


def is_written(cells: Iterable[str], style: Style) -> bool:
    """Whether there are numbers among the cells, and nothing else."""
    numbers = without_words(cells)
    return bool(numbers) and all(is_number(cell, style) for cell in numbers)


def is_number(cell: str, style: Style) -> bool:
    return pattern(style).fullmatch(cell) is not None


def values(column: "pd.Series", style: Style) -> "pd.Series":
    """Texts as the numbers that they are in that style."""
    import pandas as pd

    plain = column.str.replace(_mark(style[1]), "", regex=True) if style[1] else column
    plain = plain.str.replace("\u2212", "-", regex=False)  # the minus of typesetters
    return pd.to_numeric(plain.str.replace(style[0], ".", regex=False).str.strip())


def find_style(columns: dict[str, list[str]], decimal: str | None, thousands: str | None, named: str) -> Style:
    """The only style that all numbers in the `columns` are written in; each is given by the texts in it.

    Raises:
        UserError: where several give different numbers, or some fit some columns and others others.
    """
    possible = styles_of(decimal, thousands)
    fitting = {name: {style for style in possible if is_written(cells, style)} for name, cells in columns.items()}
    fitting = {name: styles for name, styles in fitting.items() if styles}
    left = [style for style in possible if all(style in styles for styles in fitting.values())]
    if not left:
        raise _mixed(fitting, columns, named)
    if left[0] != (".", None):  # that is what programs write: 1.234 needs no other evidence
        for other in left[1:]:
            _check_same(left[0], other, {name: columns[name] for name in fitting}, named)
    if left[0] == (",", ".") and not (decimal or thousands):
        _check_points({name: columns[name] for name in fitting}, named)
    return left[0]


def _check_same(first: Style, second: Style, columns: dict[str, list[str]], named: str) -> None:
    import pandas as pd

    for name, cells in columns.items():
        texts = pd.Series(without_words(cells), dtype="str")
        one, other = values(texts, first), values(texts, second)
        if (one != other).any():
            place = int((one != other).to_numpy().argmax())
            both = " or ".join(
                f"{numbers.iloc[place]} ({argument('data.decimal', style[0])})"
                for style, numbers in ((first, one), (second, other))
            )
            raise UserError(f"{named}: column {shown(name)} holds {shown(texts[place])}, which may be {both}")


def _check_points(columns: dict[str, list[str]], named: str) -> None:
    """Raises:
    UserError: where nothing but points says that 192.168.100.200 is a number.
    """
    cells = {name: without_words(cells) for name, cells in columns.items()}
    if not any("," in cell for some in cells.values() for cell in some):
        name, cell = next((name, cell) for name, some in cells.items() for cell in some if "." in cell)
        number = cell.strip().replace(".", "")
        raise UserError(
            f"{named}: column {shown(name)} holds {shown(cell)}, which may be {shown(number)} "
            f"({argument('data.thousands', '.')}) or a text ({argument('data.decimal', '.')})"
        )


def _mixed(fitting: dict[str, set[Style]], columns: dict[str, list[str]], named: str) -> UserError:
    """No style fits all: two columns that differ, or the first and the last where it takes several."""
    names = list(fitting)
    pairs = ((one, other) for one, other in product(names, names) if not fitting[one] & fitting[other])
    told = [f"{shown(name)} ({_telling(columns[name], fitting[name])})" for name in next(pairs, (names[0], names[-1]))]
    return UserError(
        f"{named}: columns {' and '.join(told)} write their numbers differently; give data.decimal or data.thousands, "
        "and what does not fit is taken for text"
    )


def _telling(cells: list[str], styles: set[Style]) -> str:
    """A number that has a mark in it."""
    marks = set(chain(*DECIMALS, *THOUSANDS[1:]))
    return shown(next((cell for cell in without_words(cells) if marks & set(cell)), cells[0]))
