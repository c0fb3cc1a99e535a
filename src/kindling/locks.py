"""The lock of a run folder: one process trains in it at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kindling.containment import check_contained
from kindling.errors import UserError


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
                "the run stops and saves nothing more"
            )


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
    for leftover in folder.glob(".*.tmp"):  # half-written, by a process that was killed
        leftover.unlink(missing_ok=True)
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


def is_abandoned(folder: Path) -> bool:
    """Whether no process trains in the folder of a run that has not ended; not where that cannot be told."""
    try:
        return not ((folder / ".lock").exists() and is_locked(folder / ".lock"))
    except OSError:  # of a disk that cannot be written to
        return False
