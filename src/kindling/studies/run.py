"""A study from its runs to its page."""

import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kindling.errors import UserError
from kindling.folders import PROJECT, near, write_whole
from kindling.studies.page import block, put
from kindling.studies.picture import picture
from kindling.studies.results import PROCESSORS, Result, read_row
from kindling.studies.study import Study
from kindling.studies.table import duration, processor, table


def run(study: Study, root: Path, jobs: int = 1) -> dict[str, Result]:
    """Each row that has not ended, `jobs` at a time, with a line of its command; the others are read.

    Raises:
        UserError: where a command fails before its runs have ended; and, before any run, where the page has no place
            for the table.
    """
    if not study.quick:
        block(study.page, f"study {study.name}")
    found = {row: read_row(study, row, root) for row in study.rows}
    left = [row for row, result in found.items() if result is None]
    with ThreadPoolExecutor(jobs) as pool:
        for row, result in zip(left, pool.map(lambda row: run_row(study, row, root), left), strict=True):
            found[row] = result
    results = {row: result for row, result in found.items() if result is not None}
    if not any(result.folders for result in results.values()):
        folder = study.folder(next(iter(results)), root).parent
        raise UserError(f"{near(folder)}: every run has failed; the files train.log there say why")
    return results


def run_row(study: Study, row: str, root: Path) -> Result:
    command = study.command(row)
    print(shlex.join(command), flush=True)
    began = time.monotonic()
    start(command[2:], study.folder(row, root))
    print(f"    {row}: {duration(time.monotonic() - began)}", flush=True)
    result = read_row(study, row, root)
    if result is None:
        raise UserError(f"{near(study.folder(row, root))}: the runs of {row} have not ended")
    return result


def start(argv: list[str], folder: Path) -> None:
    """The sweep of a row; what it says is shown where it fails. Failed jobs are told in the table."""
    folder.mkdir(parents=True, exist_ok=True)
    file, name = folder / PROCESSORS, processor()
    known = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    if name not in known:
        write_whole(file, "".join(f"{one}\n" for one in [*known, name]))
    command = [sys.executable, "train.py", *argv, f"hydra.sweep.dir={folder.absolute()}", "sweep.quiet=true"]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode and not (folder / "sweep.yaml").exists():
        raise UserError(f"{shlex.join(command)}\n{done.stdout.strip()}")


def write(study: Study, results: dict[str, Result]) -> Path | None:
    """The table into its page, the figure beside it; where the figure is, if there is one."""
    put(study.page, f"study {study.name}", table(study, results))
    if not study.figure:
        return None
    number = study.page.name.partition("-")[0]
    name = f"{number}-{study.name}" if number.isdecimal() else study.name
    path = study.page.parent / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, picture(study, results).png())
    return path
