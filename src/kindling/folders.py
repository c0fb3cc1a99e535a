"""The files of a run folder, read without torch or pandas, and written so that nobody ever sees half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kindling.errors import UserError
from kindling.files import read_json, read_yaml

PROJECT = Path(__file__).parents[2]  # where the package is installed to be edited; elsewhere there is no conf/
CONF = PROJECT / "conf"
SPREADS = ("_std", "_min", "_max")  # over the members of a population


def write_whole(path: Path, content: str | bytes) -> None:
    """Or leave what is there, whatever happens on the way."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # several processes may write the same file
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in the folder, for as long as this one lives.

    Raises:
        UserError: where another process trains there, or the folder cannot be written to.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"{folder}: another process is training there") from None
    except OSError as error:
        raise UserError(f"the run folder {folder} cannot be written to: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


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
        return {"status": "unreadable"}
    return summary if isinstance(summary, dict) else {"status": "unreadable"}


def read_overrides(folder: Path) -> list[str]:
    """What was asked for; nothing where that cannot be read."""
    try:
        overrides = read_yaml(folder / "overrides.yaml")
    except (OSError, UserError):
        return []
    return [text for text in overrides if isinstance(text, str)] if isinstance(overrides, list) else []
