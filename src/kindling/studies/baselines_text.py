"""What came of other methods, in lines of 80 columns."""

import textwrap
from collections.abc import Iterator
from typing import Any

from kindling.studies.baselines import Baseline
from kindling.text import printable

WIDTH = 80


def heading(facts: dict[str, Any]) -> Iterator[str]:
    told = ", ".join(filter(None, [facts["task"], facts["source"]]))
    yield from wrapped(printable(f"{facts['data']}: {told}"))
    yield f"rows   {', '.join(f'{name} {size:,}' for name, size in facts['sizes'].items())}"
    if facts["same_rows"]:
        yield "The test rows are the training rows: scores say what was kept, not what is new."
    yield ""


def lines(facts: dict[str, Any], found: Iterator[Baseline]) -> Iterator[str]:
    """A line a method, as soon as it is there; then what was chosen for each, and what else there is to know of it."""
    notes, head = [], False
    chosen = "chosen by the validation rows" if facts["sizes"].get("val") else "without validation rows to choose it by"
    for one in found:
        if one.problem:
            notes.append(f"{one.method}: cannot learn from these rows ({printable(one.problem)})")
            continue
        if not head:
            yield cells("", [f"test/{name}" for name in one.scores], "fit s", "predict s", "keeps")
            head = True
        fit, predict = map(brief, one.seconds)
        scores = [f"{value:.4g}" for value in one.scores.values()]
        yield cells(one.method + "*" * bool(one.notes), scores, fit, predict, one.size)
        notes += [f"{one.method}: {key}={value:g}, {chosen}" for key, value in one.chosen.items()]
        notes += [f"{one.method}*: {note}" for note in one.notes]
    yield ""
    for note in notes:
        yield from wrapped(note)


def cells(name: str, scores: list[str], fit: str, predict: str, size: str) -> str:
    return f"{name:<15}" + "".join(f"{score:>12}" for score in scores) + f"{fit:>8}{predict:>11}  {size}".rstrip()


def brief(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}" if seconds >= 0.01 else "0.00"


def wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
