"""The files of a run folder, read without torch or pandas, and written so that nobody ever sees half of one."""

import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from kindling.errors import UserError, shown

PROJECT = Path(__file__).parents[2]  # where the package is installed to be edited; elsewhere there is no conf/
CONF = PROJECT / "conf"
SPREADS = ("_std", "_min", "_max")  # over the members of a population


def write_whole(path: Path, content: str | bytes) -> None:
    """Or leave what is there, whatever happens on the way. A link at the path is replaced, not followed."""
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}.tmp"[-255:])
    try:
        with temporary.open("xb") as file:  # x: follows no link that lies in wait
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    """Keep other processes from training in the folder, for as long as this one lives.

    Raises:
        UserError: where another process trains there, the folder cannot be written to, or leads elsewhere.
    """
    if (folder / "summary.json").exists():  # else the user has chosen the folder, and nobody has prepared a run there
        check_contained(folder)
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
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {"status": "unreadable"}
    return {"status": "unreadable", **(summary if isinstance(summary, dict) else {})}


def read_overrides(folder: Path) -> list[str]:
    """What was asked for; nothing where that cannot be read."""
    try:
        overrides = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
    except Exception:  # whatever a damaged file makes a parser say
        return []
    return [text for text in overrides if isinstance(text, str)] if isinstance(overrides, list) else []
