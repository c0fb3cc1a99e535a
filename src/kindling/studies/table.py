"""The table of a study, in Markdown."""

import math
import re
import shlex
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kindling.errors import UserError
from kindling.folders import part
from kindling.studies.results import Result
from kindling.studies.study import Column, Study


def table(study: Study, results: Mapping[str, Result]) -> str:
    """A line a row: its label, its overrides, its scores; below, what it was measured on.

    Raises:
        UserError: where no run has the score of a column.
    """
    for head, column in study.columns.items():
        if not any(result.values(column.score) for result in results.values()):
            raise UserError(f"columns.{head}: no run of the study {study.name} has a score {column.score}")
    heads = [study.title, "overrides", *study.columns]
    source = study.published.get("source")
    if source:
        heads.append(f"published ({source})")
    lines = [heads, ["---"] * len(heads)]
    for row, result in results.items():
        cells = [row, f"`{typed(study.rows[row])}`" if study.rows[row] else ""]
        cells += [cell(result, column) for column in study.columns.values()]
        lines.append(cells + ([str(study.published.get(row, ""))] if source else []))
    text = "\n".join(f"| {' | '.join(map(in_a_cell, line))} |" for line in lines)
    return f"{text}\n\n{origin(study, list(results.values()))}"


def typed(words: list[str]) -> str:
    """As a shell takes them: in quotes where it would read something else. Lists in brackets stay as they are."""
    return " ".join(shlex.quote(word) if re.search(r"""[\s'"(){}|;&$*?~<>#!`\\]""", word) else word for word in words)


def in_a_cell(text: str) -> str:
    """On one line, without the bar that would end the cell."""
    return text.strip().replace("\n", " ").replace("|", r"\|")


def cell(result: Result, column: Column) -> str:
    runs = result.of_runs(column.score)
    values = in_unit([value for one in runs for value in one], column)
    finite = [value for value in values if math.isfinite(value)]
    lost = {"failed": len(result.lost), "diverged": len(values) - len(finite), "without it": runs.count([])}
    failed = "".join(f" ({number} {how})" for how, number in lost.items() if number)
    if not finite:
        return f"none{failed}"
    if column.show == "solved":
        without = f" ({lost['without it']} without it)" if lost["without it"] else ""
        return f"{sum(value == 1 for value in values):,} of {len(values) + lost['failed']:,}{without}"
    return f"{written(finite, 2 if column.show in ('percent', 'error') else None)}{failed}"


def in_unit(values: list[float], column: Column) -> list[float]:
    if column.show == "percent":
        return [100 * value for value in values]
    if column.show == "error":
        return [100 - 100 * value for value in values]
    return values


def mean_and_spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation of the sample; a single value has no spread."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def written(values: list[float], digits: int | None = None) -> str:
    """Mean ± spread with so many digits after the point, else with four that count."""
    mean, spread = mean_and_spread(values)
    if digits is not None:
        return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if len(values) > 1 else "")
    if all(value == int(value) for value in values) and not spread:
        return f"{int(mean):,}"
    return f"{mean:.4g}" + (f" ± {spread:.2g}" if len(values) > 1 else "")


def origin(study: Study, results: list[Result]) -> str:
    """Of how many seeds the table is, and what made it: machine, time, versions, revision, command."""
    summaries = [one for result in results for one in result.summaries]
    devices = sorted({str(one.get("device")) for one in summaries})
    processors = sorted({name for result in results for name in result.processors}) or [processor()]
    machine = ", ".join(", ".join(processors) if device == "cpu" else device for device in devices)
    torch = ", ".join(sorted({str(part(one, "versions").get("torch")) for one in summaries}))
    revisions = ", ".join(sorted({revision(part(one, "git")) for one in summaries}))
    day = max((str(one.get("started"))[:10] for one in summaries), default="")
    seeds = f"{study.repeats:,} seeds, mean ± standard deviation" if study.repeats > 1 else "1 seed"
    runs = [*summaries, *(one for result in results for one in result.lost)]
    partly = any(one.get("resumed") or not part(one, "seconds") for one in runs)  # who went on knows the last part
    command = typed(["python", "train.py", "-m", *study.common, "..."])
    time = f"{'at least ' if partly else ''}{duration(sum(one.seconds for one in results))}"
    return (
        f"Each row: `{command}`, {seeds}. "
        f"In all {time} on {machine}; torch {torch}; "
        f"revision {revisions}; {day}. Written by `python scripts/study.py {study.name}`."
    )


def revision(git: Mapping[str, Any]) -> str:
    changed = " with changes that were not committed" if git.get("dirty") else ""
    return f"{str(git.get('revision'))[:9]}{changed}"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def processor() -> str:
    """Of this machine, as Linux names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a processor")
    return model.replace("(R)", "").replace("(TM)", "")
