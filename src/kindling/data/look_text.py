"""What data are, in lines of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from kindling.text import printable

WIDTH = 80
MOST = 20  # rows of a table
NAME = 22  # letters of a name


def lines(facts: dict[str, Any]) -> Iterator[str]:
    told = filter(None, [facts["task"], facts["source"]])
    first = printable(f"{facts['data']}: {', '.join(told)}".removesuffix(": "))
    yield from textwrap.wrap(first, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    sizes = facts["sizes"]
    if sizes:
        yield f"rows   {', '.join(f'{name} {size:,}' for name, size in sizes.items())}"
    if "batch" in facts:
        yield from ["", f"in the {facts['rows']}"]
        yield from (f"  {printable(place):<8} {of_values(value)}" for place, value in facts["batch"].items())
    elif "x" in facts:
        yield f"x      {of_values(facts['x'])}"
    if "y" in facts:
        yield f"y      {of_values(facts['y'])}"
    if "classes" in facts:
        splits = [key for key in facts["classes"][0] if key != "name"]
        rows = [[row["name"], *(f"{row[split]:,}" for split in splits)] for row in facts["classes"]]
        yield from table(["class", *splits], rows)
    yield from of_columns(facts)


def of_columns(facts: dict[str, Any]) -> Iterator[str]:
    keys = ("min", "mean", "max", "std", "skew", "target")
    if facts.get("columns"):
        columns = facts["columns"]
        if len(columns) > MOST:  # those that want to be looked at first
            columns = sorted(columns, key=lambda c: (-c["missing"], -abs(c["target"] or 0)))
        rows = [[c["name"], f"{c['missing']:,}", *(short(c[key]) for key in keys)] for c in columns]
        yield from table(["column of numbers", "missing", *keys], rows)
        how = "the correlation ratio with it, from 0 to 1" if "classes" in facts else "the correlation with it"
        yield f"missing: of all rows, the rest: of the {facts['rows']}"
        if any(c["target"] is not None for c in columns):
            yield f"target: {how}"
    if facts.get("texts"):
        texts = [
            [c["name"], f"{c['missing']:,}", f"{c['values']:,}", f"{c.get('share', 0):.0%} {c.get('most', '')}"[:30]]
            for c in facts["texts"]
        ]
        yield from table(["column of texts", "missing", "values", "the most frequent"], texts)
    if facts.get("pairs"):
        pairs = [
            [f"{' and '.join(cut(name) for name in pair['columns'])}", f"{pair['r']:+.3f}"] for pair in facts["pairs"]
        ]
        yield from table(["columns that go together", "correlation"], pairs, width=2 * NAME + 5)
    if facts.get("constant"):
        names = [cut(name) for name in facts["constant"]]
        more = f", and {len(names) - 5:,} more" if len(names) > 5 else ""
        yield f"\nconstant: {', '.join(names[:5])[:60]}{more}"


def of_values(told: dict[str, Any]) -> str:
    shape = " x ".join(map(str, told["shape"])) or "a number"
    values = f", {short(told['min'])} to {short(told['max'])}" if "min" in told else ""
    values += f", mean {short(told['mean'])}, std {short(told['std'])}" if "min" in told else ""
    return f"{shape}, {told['type']}{values}" + (f", {told['not_finite']:,} not finite" * bool(told["not_finite"]))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = NAME + 2) -> Iterator[str]:
    """Names to the left, the rest to the right, after an empty line."""
    wide = [max(8, *(len(row[i]) + 1 for row in [head, *rows[:MOST]])) for i in range(1, len(head))]
    yield ""
    for name, *cells in [head, *rows[:MOST]]:
        kept = printable(name) if len(name) <= width - 2 else f"{printable(name)[: width - 3]}…"
        yield (
            f"{kept:<{width}}" + "".join(f"{printable(cell):>{w}}" for cell, w in zip(cells, wide, strict=True))
        ).rstrip()
    if len(rows) > MOST:
        yield f"and {len(rows) - MOST:,} more (--json has all)"


def cut(name: str) -> str:
    return printable(name) if len(name) <= NAME else f"{printable(name)[: NAME - 1]}…"


def short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
