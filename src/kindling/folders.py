"""The files of a run folder, read without torch or pandas, and written so that nobody ever sees half of one."""

import csv
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kindling.errors import UserError, shown
from kindling.files import MAX_RECORD, check_file, read_json, read_yaml

PROJECT = Path(__file__).parents[2]  # where the package is installed to be edited; elsewhere there is no conf/
CONF = PROJECT / "conf"
SPREADS = ("_std", "_min", "_max")  # over the members of a population


def write_whole(path: Path, content: str | bytes) -> None:
    """Or leave what is there, whatever happens on the way. A link at the path is replaced, not followed.

    Raises:
        OSError: with the name of the file, where that fails.
        UserError: where the folder that this process trains in is no longer its own.
    """
    check_still_held()
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}.tmp"[-255:])
    try:
        with temporary.open("xb") as file:  # x: follows no link that lies in wait
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Hold:
    """A folder that this process trains in, or is about to."""

    lock: FileLock
    file: tuple[int, int]  # that is locked: device and inode
    pid: int  # a process that is forked does not hold what its parent holds


_held: dict[Path, Hold] = {}


def holds(folder: Path) -> bool:
    hold = _held.get(folder.absolute())
    return hold is not None and hold.pid == os.getpid()


def take(folder: Path) -> bool:
    """Keep other processes from training in the folder, until `let_go` or for as long as this one lives.

    Returns: False where another process has it.
    """
    if holds(folder):
        return True
    lock = FileLock(folder.absolute() / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    _held[folder.absolute()] = Hold(lock, file_at(folder / ".lock"), os.getpid())
    return True


def let_go(folder: Path) -> None:
    _held.pop(folder.absolute()).lock.release()


def file_at(path: Path) -> tuple[int, int]:
    """Device and inode, which tell a file from another of the same name; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def check_still_held() -> None:
    """Raises:
    UserError: where a folder of this process was moved, or lost its lock, so that another process may train there.
    """
    for folder, hold in _held.items():
        if hold.pid == os.getpid() and file_at(folder / ".lock") != hold.file:
            raise UserError(
                f"{folder} is no longer this run's: its .lock was deleted or replaced, or the folder moved; "
                "the run stops and writes nothing more"
            )


def follow_no_link(path: str, flags: int) -> int:
    """The opener, for `open`, of a file that is written where it is."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def check_contained(folder: Path, shared: bool = False) -> None:
    """That what is written into the folder stays there: what others have made may hold links that lie in wait.

    Args:
        shared: other processes may be at work in it.

    Raises:
        UserError: where a link leads out of it, a file is known by another name too, or is no file at all.
    """
    root = Path(os.path.realpath(folder))
    for parent, folders, files in os.walk(root):
        if of_wandb(parent, shared):
            folders.clear()
            continue
        for path in (Path(parent, name) for name in (*folders, *files)):
            with suppress(FileNotFoundError):  # of another process, which was quicker
                if problem := way_out(path, path.lstat(), root):
                    raise UserError(f"{folder}: {shown(str(path.relative_to(root)))} {problem}")


def of_wandb(folder: str, shared: bool) -> bool:
    """Whether it is that of a W&B run, which holds links to W&B's own logs, and is never written to by another run.

    Its name says when it began. One of the future may lie in wait for a run that is about to begin.
    """
    match = re.search(r"/wandb/(?:offline-)?run-(\d{8}_\d{6})-[^/]*$", folder)
    return match is not None and (shared or match[1] < time.strftime("%Y%m%d_%H%M%S"))


def way_out(path: Path, status: os.stat_result, root: Path) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        inside = Path(os.path.realpath(path)).is_relative_to(root)
        return None if inside else "is a link that leads out of the folder; remove it, or put there what it leads to"
    if stat.S_ISREG(status.st_mode):
        own = status.st_nlink == 1 or path.suffix == ".ckpt"  # which is replaced, and never changed
        return None if own else "has another name (a hard link), where it would change too; go on with a copy: cp -r"
    return None if stat.S_ISDIR(status.st_mode) else "is a device or a pipe; remove it"


def is_name(text: str) -> bool:
    """Whether folders below another one can be called that: `a`, `team/a`."""
    parts = text.split("/")
    plain = text.isprintable() and len(text) <= 200 and not any(sign in text for sign in ("\\", "${"))
    return plain and all(part == part.strip() and part not in ("", ".", "..") for part in parts)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the folder meanwhile.

    Raises:
        UserError: where another process trains there, the folder cannot be written to, or leads elsewhere.
    """
    if (folder / "summary.json").exists():  # else the user has chosen the folder, and nobody has prepared a run there
        check_contained(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = take(folder)
    except OSError as error:
        raise UserError(f"the run folder {folder} cannot be written to: {error.strerror}") from None
    if not taken:
        raise UserError(f"{folder}: another process is training there")
    try:
        yield
    finally:
        let_go(folder)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock; it lets go of it when it dies, however it does."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def read_summary(folder: Path) -> dict[str, Any]:
    """The record of a run. One that cannot be read counts as that of a run of which nothing else is known."""
    try:
        summary = read_json(folder / "summary.json")
    except (OSError, UserError):
        summary = None
    return summary if isinstance(summary, dict) and "status" in summary else {"status": "unreadable"}


def part(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of it; nothing where there is no such section."""
    value = summary.get(name)
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float | None:
    """A score as it stands in a summary; None where something else does, or a number beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, float) or abs(value) <= sys.float_info.max else None


def read_course(folder: Path) -> str:
    """metrics.csv without what is incomplete: lines that end early, as on a full disk, and those that hold no numbers.

    Raises:
        UserError: where no column is the epoch.
    """
    check_file(folder / "metrics.csv", MAX_RECORD)
    lines = (folder / "metrics.csv").read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    header = next(csv.reader(lines[:1]), [])
    if "epoch" not in header:
        raise UserError(f"{folder / 'metrics.csv'}: is damaged, it has no column epoch")

    def complete(line: str) -> bool:
        values = next(csv.reader([line]), [])
        try:
            [float(value) for value in values if value]
        except ValueError:
            return False
        return line.endswith("\n") and len(values) == len(header) and values[header.index("epoch")].isdecimal()

    return lines[0] + "".join(line for line in lines[1:] if complete(line))


def read_overrides(folder: Path) -> list[str]:
    """What was asked for; nothing where that cannot be read."""
    try:
        overrides = read_yaml(folder / "overrides.yaml")
    except (OSError, UserError):
        return []
    return [text for text in overrides if isinstance(text, str)] if isinstance(overrides, list) else []
