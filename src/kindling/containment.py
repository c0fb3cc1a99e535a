"""What is written into a folder stays there, whoever has made the folder."""

import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from kindling.errors import UserError, shown


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
