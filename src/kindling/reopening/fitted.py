"""Tables for a terminal, which is not as wide as they are."""

from typing import Any

import pandas as pd

from kindling.reopening.records import FIRST, LAST

LEAST_FOLDER = 20  # columns
LEAST_ERROR = 16
LESS_NEEDED = ("seed", "epochs", "source", "monitor", "started", "data", "model")  # after most scores


def written(table: pd.DataFrame) -> pd.DataFrame:
    """Its cells as texts."""
    return table.map(lambda value: cell(value))


def cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.4g}"
    return "-" if value is None else str(value)


def fit(table: pd.DataFrame, width: int) -> tuple[pd.DataFrame, list[str]]:
    """Of a table of runs as much as goes into so many columns, and the names of what is left out.

    Starts lose their seconds, folders their middle; then scores that few runs have go, and what is less needed.
    """
    scores = [str(name) for name in table.columns if name not in (*FIRST, *LAST, *LESS_NEEDED)]
    counts: Any = table.notna().sum().to_dict()
    by_use = sorted(scores, key=lambda name: (counts[name], name.startswith("val"), "loss" not in name))
    texts = written(table)
    if "started" in texts and total(texts) > width:
        texts["started"] = [start[5:16].replace("T", " ") for start in texts["started"]]
    kept = [name for name in texts.columns if name not in ("folder", "error")]
    order = [*LESS_NEEDED[:2], *by_use[:-2], *LESS_NEEDED[2:5], *by_use[-2:-1], *LESS_NEEDED[5:], *by_use[-1:]]
    for name in order:
        if total(texts[kept]) + 2 + LEAST_FOLDER > width and name in kept:
            kept.remove(name)
    room = width - total(texts[kept]) - 2
    error = "error" in texts and room - longest(texts["folder"]) - 2 >= LEAST_ERROR
    longer = longest(texts["folder"]) if error else max(LEAST_FOLDER, room)
    texts["folder"] = [without_middle(folder, longer) for folder in texts["folder"]]
    kept = [*kept, "folder"]
    if error:
        left = width - total(texts[kept]) - 2
        texts["error"] = [text if len(text) <= left else f"{text[: left - 3]}..." for text in texts["error"]]
        kept.append("error")
    return texts[kept], [str(name) for name in table.columns if name not in kept]


def fit_values(table: pd.DataFrame, width: int) -> pd.DataFrame:
    """A table with names of keys before its columns of values, which lose their middle."""
    texts = written(table)
    each = max(8, (width - max(map(len, map(str, texts.index))) - 2 * len(texts.columns)) // len(texts.columns))
    texts = texts.map(lambda text: without_middle(text, each))
    return texts.rename(columns=lambda name: without_middle(str(name), each))


def longest(texts: Any) -> int:
    return max(map(len, texts), default=0)


def total(texts: pd.DataFrame) -> int:
    """Columns that it takes, with two spaces between."""
    return sum(max(len(str(name)), longest(texts[name])) + 2 for name in texts.columns) - 2


def without_middle(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    end = (width - 3) // 2 + 1
    return f"{text[: width - 3 - end]}...{text[-end:]}"


def lines(table: pd.DataFrame) -> list[str]:
    """Texts to the left and two spaces apart, as they come from `fit`."""
    rows = [list(map(str, table.columns)), *table.to_numpy().tolist()]
    widths = [longest(column) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(size) for text, size in zip(row, widths, strict=True)).rstrip() for row in rows]
