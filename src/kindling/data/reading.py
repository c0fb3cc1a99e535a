"""A table from a text file: its encoding, what separates its columns, and that all its rows have as many."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from pydantic import Field, TypeAdapter

from kindling.config.quoting import argument
from kindling.data.encodings import encoding_of, not_readable
from kindling.errors import UserError, shown
from kindling.files import check_file

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = ",;\t|"
MAX_TABLE = 2**30  # bytes of a file
MAX_COLUMNS = 50_000
MAX_LINE = 2**24  # characters of a header
Letter = Annotated[str, Field(min_length=1, max_length=1)]


@dataclass
class Reading:
    """How a table is written: plain data that a checkpoint carries. None: as in each file, or as usual.

    Args:
        separator: of the columns.
        encoding: of the text, where it does not begin with a byte order mark. None: UTF-8.
        decimal: what the decimals begin with. None: a point.
        thousands: what stands between groups of digits. None: nothing.
        dates: for a column of dates, how they are written (for strptime), and the one that is day 0.
        missing: words that stand for a missing value, as an empty cell does. None: those that pandas takes for such.
    """

    separator: Letter | None = None
    encoding: str | None = None
    decimal: Letter | None = None
    thousands: Letter | None = None
    dates: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as in Python."""
        return self.decimal in (None, ".") and not self.thousands

    @property
    def marks(self) -> str:
        """For a sentence."""
        return f"decimal {self.decimal or '.'}" + (f", thousands {self.thousands!r}" if self.thousands else "")


def restored(state: dict[str, Any]) -> Reading:
    """What a checkpoint says, held against the types: of a run of before such readings, what holds without.

    Raises:
        ValueError: where it is something else.
    """
    import pandas as pd

    reading = TypeAdapter(Reading).validate_python(state)
    for _, first in reading.dates.values():
        pd.Timestamp(first)
    return reading


def read_table(path: Path, named: str, reading: Reading | None = None, types: Any = None) -> "pd.DataFrame":
    """A file with a header as a table: plain numbers as such, all else as texts.

    Args:
        named: what the file is called in a sentence.
        types: of columns, or of all, where what is in them does not say.

    Raises:
        UserError: where the file is missing, empty or no such file, or a row is longer or shorter than the header.
    """
    import pandas as pd

    reading = reading or Reading()
    words: Any = {} if reading.missing is None else {"keep_default_na": False, "na_values": ["", *reading.missing]}
    try:
        check_file(path, MAX_TABLE, named)
        encoding = encoding_of(path, named, reading.encoding)
        with path.open(encoding=encoding, newline="") as file:
            check_header(file, named)
            separator = separator_of(file, named, reading.separator)
            header = check_rows(file, separator, named)
            file.seek(0)
            table = pd.read_csv(file, sep=separator, dtype=types, low_memory=False, **words)
        table.attrs["separator"] = separator
        table.attrs["repeated"] = [name for name, count in Counter(header).items() if count > 1 and name.strip()]
    except FileNotFoundError:
        raise UserError(f"{named}: no such file") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{named}: the file is empty") from None
    except UnicodeError:
        raise not_readable(path, named, encoding) from None
    except (OSError, pd.errors.ParserError, csv.Error) as error:
        raise UserError(f"{named}: not a readable CSV file ({shown(str(error))})") from None
    for name, column in table.items():
        if column.dtype == object and any(type(value) is int and value.bit_length() > 64 for value in column):
            raise UserError(f"{named}: column {name} holds whole numbers of more than 64 bits")
    return table


def check_header(file: TextIO, named: str) -> None:
    """Raises:
    UserError: where it names too many columns, or the file is no text: pandas would take minutes to find out.
    """
    header = file.readline(MAX_LINE)
    num_columns = 1 + max(map(header.count, SEPARATORS))
    if num_columns > MAX_COLUMNS or len(header) == MAX_LINE:
        raise UserError(f"{named}: its header has {num_columns:,} columns, and {MAX_COLUMNS:,} are the most")
    if re.fullmatch(r"sep=.\s*", header):
        raise UserError(f"{named}: its first line, {header.strip()}, is for Excel alone; delete it")
    file.seek(0)
    while part := file.read(2**20):
        if "\0" in part:
            raise UserError(f"{named}: not a readable CSV file (it holds zero bytes, and is no text)")
    file.seek(0)


def separator_of(file: TextIO, named: str, known: str | None) -> str:
    """`known` where the header has it, or else what divides every row into as many parts as the header."""
    header = next((line for line in file if line.strip()), "")
    if known and known in header:
        return known
    candidates = [mark for mark in SEPARATORS if mark in header]
    if len(candidates) < 2:
        return (candidates or [","])[0]
    fitting = [mark for mark in candidates if _divides(file, mark)]
    if len(fitting) > 1:
        both = " or ".join(argument("data.separator", mark) for mark in fitting)
        raise UserError(f"{named}: {' and '.join(map(repr, fitting))} both divide every row alike; {both} says which")
    return fitting[0] if fitting else max(candidates, key=header.count)


def _divides(file: TextIO, separator: str) -> bool:
    lengths = {len(row) for _, row in rows_of(file, separator)}
    return len(lengths) == 1 and lengths != {1}


def check_rows(file: TextIO, separator: str, named: str) -> list[str]:
    """The header.

    Raises:
        UserError: with the line where the first row begins that is longer or shorter than the header.
    """
    rows = rows_of(file, separator)
    _, header = next(rows, (0, []))
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{named}: line {line} has {len(row)} {'cell' if len(row) == 1 else 'cells'}, and the header has "
                f"{len(header)}; they are separated by {separator!r}, and a cell that has it in it needs quotes"
            )
    return header


def rows_of(file: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of the line where it begins; without empty lines, which count for nothing."""
    file.seek(0)
    rows = csv.reader(file, delimiter=separator)
    line = 1
    for row in rows:
        if len(row) > 1 or any(cell.strip() for cell in row):
            yield line, row
        line = rows.line_num + 1
