"""`table.csv` of a sweep: a line a job, added by whichever process ran it."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from kindling.containment import follow_no_link
from kindling.files import MAX_RECORD, check_file
from kindling.folders import write_whole
from kindling.report.sweep_folder import SweepFolder
from kindling.text import no_formula

TAIL = 65_536  # bytes; no line is as long


def append(sweep: str | Path, job: int) -> None:
    """Add the row of a job that ended; from any process, and at the same cost however many jobs there are.

    Of a job that ends twice, as one that was resumed, the last row counts; `write` leaves one.

    Raises:
        UserError: where the folder is not that of a sweep.
    """
    of = SweepFolder(sweep)
    row = {no_formula(name): value for name, value in of.row(job).items()}
    with table_lock(of):
        cut_torn_line(of.table)
        columns = header(of.table)
        if set(row) <= set(columns):
            with open(of.table, "a", newline="", encoding="utf-8", opener=follow_no_link) as file:
                file.write(lines([row], columns))
        else:  # the first row, or a metric that comes up later: it gets a column, empty in the rows before
            rows = read_rows(of.table)
            write_rows(of, [*rows, row], {*columns, *row})


def rebuild(sweep: SweepFolder) -> list[dict[str, Any]]:
    """The table anew from the folders, the jobs in order; returns its rows."""
    with table_lock(sweep):
        rows = [sweep.row(job) for job in sweep.jobs()]
        write_rows(sweep, rows, {name for row in rows for name in row})
    return rows


def table_lock(sweep: SweepFolder) -> FileLock:
    return FileLock(sweep.folder / ".table.lock")


def header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader([file.readline()]), [])
    except FileNotFoundError:
        return []


def cut_torn_line(path: Path) -> None:
    """A process that was killed in the middle of a line: its end is lost, and the next line may not join it."""
    if not path.exists():
        return
    check_file(path, MAX_RECORD)
    with open(path, "r+b", opener=follow_no_link) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        tail = file.read()
        file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    check_file(path, MAX_RECORD)
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name} for row in csv.DictReader(file)]


def write_rows(sweep: SweepFolder, rows: list[dict[str, Any]], names: set[str]) -> None:
    columns = list(dict.fromkeys(no_formula(name) for name in sweep.columns(names)))
    rows = [{no_formula(name): value for name, value in row.items()} for row in rows]
    write_whole(sweep.table, lines([dict(zip(columns, columns, strict=True)), *rows], columns))


def lines(rows: list[dict[str, Any]], columns: list[str]) -> str:
    buffer = io.StringIO(newline="")
    texts = [{k: no_formula(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    csv.DictWriter(buffer, columns, lineterminator="\n").writerows(texts)
    return buffer.getvalue()
