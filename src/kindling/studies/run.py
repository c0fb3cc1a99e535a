"""A study from its runs to its page."""

import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kindling.config.overrides import parse
from kindling.config.quoting import override
from kindling.config.sources import split
from kindling.errors import UserError
from kindling.folders import PROJECT, near, write_whole
from kindling.studies.page import block, put
from kindling.studies.picture import picture
from kindling.studies.results import PROCESSORS, Result, read_row
from kindling.studies.study import Study, names
from kindling.studies.table import duration, processor, table
from kindling.sweep.processes import share_of_cores


def run(study: Study, root: Path, jobs: int = 1) -> dict[str, Result]:
    """Each row that has not ended, `jobs` at a time, with a line of its command; the others are read.

    Raises:
        UserError: where a command fails before its runs have ended; and, before any run, where the page has no place
            for the table, or a row needs a run of elsewhere that is not there.
    """
    if not study.quick:
        block(study.page, f"study {study.name}")
    found = {row: read_row(study, row, root) for row in study.rows}
    left = [row for row, result in found.items() if result is None]
    for row in left:
        check_needed(study, row)
    at_once = max(1, min(jobs, len(left)))
    with ThreadPoolExecutor(at_once) as pool:
        for row, result in zip(left, pool.map(lambda row: run_row(study, row, root, at_once), left), strict=True):
            found[row] = result
    results = {row: result for row, result in found.items() if result is not None}
    if not any(result.folders for result in results.values()):
        folder = study.folder(next(iter(results)), root).parent
        raise UserError(f"{near(folder)}: every run has failed; the files train.log there say why")
    return results


def check_needed(study: Study, row: str) -> None:
    """Runs that the row begins with or learns from, of other studies than this one.

    Raises:
        UserError: where one is not there.
    """
    for one in parse(split([*study.common, *study.rows[row], *study.less])[1], []):
        value = one.value()
        if not isinstance(value, str) or not re.search(r"(^init_from|\.run)$", one.key_or_group):
            continue
        within = Path(value).parts
        if study.name in within or (PROJECT / value).exists():
            continue
        before = [f"python scripts/study.py {name}" for name in names() if name in within]
        raise UserError(
            f"the row {row} of {study.name} needs {value}, which is not there"
            + (f"; first run: {before[0]}" if before else "")
        )


def run_row(study: Study, row: str, root: Path, at_once: int) -> Result:
    command, folder = study.command(row), study.folder(row, root)
    print(shlex.join(command), flush=True)
    began = time.monotonic()
    said = start(command[2:], folder, at_once)
    print(f"    {row}: {duration(time.monotonic() - began)}", flush=True)
    result = read_row(study, row, root)
    if result is None:
        raise UserError(f"{near(folder)}: the runs of {row} have not ended\n{said}".strip())
    if result.lost:
        print(f"    {len(result.lost)} failed; why is in train.log below {near(folder)}", flush=True)
    return result


def start(argv: list[str], folder: Path, at_once: int) -> str:
    """The sweep of a row, and what it says. Of several rows `at_once` each has its share of the cores."""
    folder.mkdir(parents=True, exist_ok=True)
    file, name = folder / PROCESSORS, processor()
    known = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    if name not in known:
        write_whole(file, "".join(f"{one}\n" for one in [*known, name]))
    place = override("hydra.sweep.dir", str(folder.absolute()))
    command = [sys.executable, "train.py", *argv, place, "sweep.quiet=true"]
    share = share_of_cores(at_once) if at_once > 1 else {}
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**share, **os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode and not (folder / "sweep.yaml").exists():
        raise UserError(f"{shlex.join(command)}\n{done.stdout.strip()}")
    return done.stdout.strip()


def write(study: Study, results: dict[str, Result]) -> Path | None:
    """The table into its page, the figure beside it; where the figure is, if there is one."""
    text = table(study, results)
    figure = picture(study, results).png() if study.figure else None  # before anything is written: it may be refused
    put(study.page, f"study {study.name}", text)
    if figure is None:
        return None
    number = study.page.name.partition("-")[0]
    name = f"{number}-{study.name}" if number.isdecimal() else study.name
    path = study.page.parent / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, figure)
    return path
