"""What a table has to have for its task, told in a sentence where it has not; and what becomes of its columns."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kindling.config.quoting import argument
from kindling.data import columns
from kindling.data.numbers import Style, is_number
from kindling.data.reading import Reading
from kindling.errors import UserError, did_you_mean, shown, some

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

# Words that the command line takes for values, in any spelling.
LABELS = {"0": 0, "1": 1, "no": 0, "yes": 1, "false": 0, "true": 1}
SPELLINGS = {"None": ["null", "Null", "NULL", "None"], "nan": ["nan", "NaN", "NAN"]}


def reading(
    separator: str | None, encoding: str | None, decimal: str | None, thousands: str | None, missing: Any
) -> Reading:
    """What the user says of how the file is written."""
    separator = "\t" if separator == "\\t" else separator
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise UserError(f"{argument('data.separator', separator)}: one letter is needed, such as ';', or \\t for tabs")
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands == decimal):
        raise UserError(f"{argument('data.thousands', thousands)}: one mark is needed, and another than data.decimal")
    words = missing if isinstance(missing, list) or missing is None else [missing]
    spelt = None if words is None else [word for value in words for word in SPELLINGS.get(str(value), [str(value)])]
    return Reading(separator, encoding, decimal, thousands, {}, spelt)


def names(key: str, wanted: list[str], table: "pd.DataFrame", named: Path) -> None:
    if not wanted:
        raise UserError(f"{key}: at least one column of {named} is needed")
    for name in wanted:
        if name not in table.columns:
            near = did_you_mean(name, map(str, table.columns))
            typed = near.removeprefix("; did you mean ").removesuffix("?")
            how = f" ({argument(key, typed)})" if near and argument(key, typed) != f"{key}={typed}" else ""
            one = "; data.separator says what separates its columns" if table.shape[1] == 1 else ""
            raise UserError(f"{key}={name}: {named} has no such column, only {some(table.columns)}{near}{how}{one}")
        if wanted.count(name) > 1:
            raise UserError(f"{key}={name}: the column is named twice")


def values(
    x: "pd.DataFrame", y: "pd.DataFrame", kind: str, source: Path, missing: list[str] | None, whole: bool = True
) -> None:
    """Args:
        whole: whether these are all the rows, so that every class is among them.

    Raises:
        UserError: where there are numbers beyond single precision, or targets that are none for the task.
    """
    if kind in ("binary", "multiclass") and y.shape[1] > 1:
        labels = "; several columns of yes and no are data.task=multilabel" if kind == "binary" else ""
        raise UserError(f"data.target: data.task={kind} takes one column, not {y.shape[1]}{labels}")
    for name, column in [*x.items(), *y.items()]:
        if column.dtype.kind == "f" and (column.abs() > np.finfo(np.float32).max).any():
            key = "data.path" if whole else "data.test_path"
            raise UserError(f"{key}={source}: column {name} holds infinite values, or beyond single precision")
    for name, column in y.items():
        if column.isna().any():
            raise UserError(
                f"data.target={name}: {column.isna().sum()} rows of {source} have no value in it ({empty(missing)}); "
                "data.drop_missing=true leaves them out"
            )
        if kind == "regression" and column.dtype.kind not in "iuf":
            cells = columns.different(column)
            text = next((cell for cell in cells if not is_number(cell, columns.PLAIN)), cells[0])
            raise UserError(
                f"data.target={name}: a regression needs numbers, and {source} has others, such as "
                f"{shown(text)!r}; for classes set data.task to binary or multiclass"
            )
    if kind in ("binary", "multiclass"):
        num_classes = y.iloc[:, 0].nunique()
        if whole and (num_classes < 2 or (kind == "binary" and num_classes > 2)):
            raise UserError(
                f"data.target={y.columns[0]}: data.task={kind} needs "
                f"{'two' if kind == 'binary' else 'at least two'} classes, and {source} has {num_classes}"
            )


def weights(column: "pd.Series", source: Path) -> None:
    """Raises:
    UserError: where a weight is missing, no number, or below 0, or all are 0.
    """
    key = f"data.weight={column.name}"
    if column.isna().any():
        raise UserError(f"{key}: {column.isna().sum()} rows of {source} have no value in it; 0 leaves a row out")
    if column.dtype.kind not in "iuf":
        raise UserError(f"{key}: holds {shown(str(column.iloc[0]))}, and numbers are needed")
    odd = column[(column < 0) | (column > np.finfo(np.float32).max)]
    if len(odd):
        raise UserError(f"{key}: holds {odd.iloc[0]} in {source}, and numbers from 0 on are needed")
    if not column.any():
        raise UserError(f"{key}: is 0 in all rows of {source}, so that none counts")


def label(column: "pd.Series", source: Path) -> "pd.Series":
    """0 and 1. Gaps stay, for `values` to tell.

    Raises:
        UserError: where there is something else than yes and no.
    """
    if column.isna().any():
        return column
    found = column.astype(str).str.strip().str.lower()
    odd = column[~found.isin(LABELS)]
    if len(odd):
        raise UserError(
            f"data.target={column.name}: holds {shown(str(odd.iloc[0]))} in {source}, and a label is 0 or 1, no or "
            "yes, false or true"
        )
    if found.nunique() == 1:
        log.warning("WARNING: the label %s is the same in all rows of %s", shown(str(column.name)), source)
    return found.map(LABELS)


def classes(column: "pd.Series", known: Iterable[Any], named: str) -> None:
    """Raises:
    UserError: where a class of a file for the test is none of the `known`.
    """
    texts = set(map(str, known))
    for name in sorted({str(value) for value in column} - texts):
        raise UserError(f"{named}: the class {shown(name)} is none of training, which has {some(sorted(texts))}")


def empty(missing: list[str] | None) -> str:
    """What counts as no value, in words."""
    words = "".join(f" or {shown(word)}" for word in missing or [])
    return (
        f"an empty cell{words}; data.missing names other words for it" if missing is not None else "an empty cell, NA"
    )


def report(x: "pd.DataFrame", y: "pd.DataFrame", how: Reading, chosen: bool) -> None:
    """What becomes of each column, and what there is to be said of it, where it was `chosen` or not."""
    numeric = [name for name in x if not columns.is_text(x[name]) and x[name].dtype.kind != "b"]
    dates = [name for name in numeric if name in how.dates]
    for kind, found in (
        ("numeric", [name for name in numeric if name not in dates]),
        ("days since the first", [f"{name} ({how.dates[name][0]}, {how.dates[name][1][:10]})" for name in dates]),
        ("one-hot", [name for name in x if name not in numeric]),
        ("gaps filled", [name for name in x if x[name].isna().any()]),
    ):
        if found:
            log.info("%s: %s", kind, some(found))
    if not how.is_plain:
        log.info("numbers are read with %s", how.marks)
    for text in _warnings(x, y, how, columns.copies(x) if chosen else {}):
        log.warning("WARNING: %s", text)


def _warnings(x: "pd.DataFrame", y: "pd.DataFrame", how: Reading, copies: dict[str, str]) -> Iterable[str]:
    """Of ten thousand columns, one for all that have the same."""
    if all(is_number(str(name), columns.PLAIN) for name in [*x, *y]):
        yield f"the header holds numbers alone, {some([*x, *y])}: the first line should name the columns"
    leave_out, style = "data.features can leave it out", (how.decimal or ".", how.thousands)
    many: dict[str, list[str]] = {}
    for name in [name for name in x if columns.is_text(x[name])]:
        cells = columns.different(x[name])
        advice = _advice(cells, style)
        if advice or len(cells) > len(x) / 2:
            many.setdefault(advice or f"; {leave_out}", []).append(f"{name} has {len(cells)}")
    for advice, names in many.items():
        yield f"column {some(names)} different texts in {len(x)} rows{advice}"
    if counting := [name for name in x if columns.counts(x[name])]:
        yield f"column {some(counting)} counts the rows; where it means no more than that, {leave_out}"
    targets = {target: columns.comparable(y[target]) for target in y}
    for target, values in targets.items():
        if same := [name for name in x if columns.comparable(x[name]).equals(values)]:
            yield f"column {some(same)} is the same as the target {target}, and tells it; {leave_out}"
    if copies:
        yield f"column {some(f'{name} is the same as {other}' for name, other in copies.items())}; {leave_out}"


def _advice(cells: list[str], style: Style) -> str:
    """What a column of these texts may be that nobody wants one-hot: numbers with a word among them, or other ways to
    write numbers.
    """
    odd = [cell for cell in cells if not is_number(cell, style)]
    if odd and len(odd) < len(cells) / 2:
        return f", most of them numbers, but for such as {shown(odd[0])!r}; data.missing can name what means no value"
    of_digits = [cell for cell in cells if any(map(str.isdigit, cell)) and not any(map(str.isalpha, cell))]
    if len(of_digits) > len(cells) / 2:
        return (
            f", such as {shown(of_digits[0])!r}; where these are numbers or dates, data.decimal, data.thousands or "
            "data.dates can say how they are written"
        )
    return ""
