"""When and with what the jobs of a sweep ran."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from kindling.folders import number, part, read_summary
from kindling.report.numbers import duration
from kindling.report.sweep_folder import SweepFolder
from kindling.text import printable


def about(sweep: SweepFolder) -> list[str]:
    """Sentences: dates and times, versions, revision of the code. What differs among the jobs is told of as such."""
    summaries = [read_summary(sweep.folder / str(job)) for job in sweep.jobs()]
    found = [part(summary, "versions") for summary in summaries]
    names = sorted({name for versions in found for name in versions})
    versions = [f"{name} {one_of(of_job.get(name) for of_job in found)}" for name in names]
    revision = one_of(str(part(summary, "git").get("revision") or "")[:12] for summary in summaries)
    dirty = any(part(summary, "git").get("dirty") is True for summary in summaries)
    changed = ", with changes that were not committed" if dirty else ""
    devices = one_of(summary.get("device") for summary in summaries)
    told = [times(summaries), f"On {devices}, with {', '.join(versions)}." if versions else ""]
    return [printable(text) for text in [*told, f"Code: revision {revision}{changed}." if revision else ""] if text]


def one_of(values: Iterable[Any]) -> str:
    """The one that all have; else all that there are."""
    return " or ".join(sorted({str(value) for value in values if value not in (None, "")}))


def times(summaries: list[dict[str, Any]]) -> str:
    spans = list(filter(None, map(span, summaries)))
    if not spans:
        return ""
    start, end = min(start for start, _ in spans), max(end for _, end in spans)
    together = sum((end - start for start, end in spans), timedelta()).total_seconds()
    last = end.strftime("%H:%M" if end.date() == start.date() else "%Y-%m-%d %H:%M")
    return f"From {start.strftime('%Y-%m-%d %H:%M')} to {last}; the jobs took {duration(together)} together."


def span(summary: dict[str, Any]) -> tuple[datetime, datetime] | None:
    """Of one job: its start, and that and what it took. Of one that was gone on with the pauses are no part."""
    seconds = sum(filter(None, map(number, part(summary, "seconds").values())))
    try:
        start = datetime.fromisoformat(str(summary.get("started"))).replace(tzinfo=None)
        return start, start + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None
