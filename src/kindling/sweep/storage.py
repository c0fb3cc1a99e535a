"""Where the study of a sweep is kept."""

import json
from pathlib import Path

from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from kindling.containment import follow_no_link
from kindling.errors import UserError, shown

DAMAGED = "is damaged; delete it, and what the jobs have done is read from their folders"


class JournalLock(JournalFileSymlinkLock):
    """One that the system lets go of when its process is killed. Optuna's own would block all others for 30 s."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path.with_name(".journal.lock"))

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def open_storage(folder: Path, url: str | None) -> BaseStorage:
    """What Optuna keeps the study in: journal.log in the folder of the sweep, unless there is a `url`.

    Raises:
        UserError: where the file is damaged, or the URL leads to no storage.
    """
    if url:
        try:
            return get_storage(url)
        except Exception as error:  # whatever its driver says
            first = str(error).partition("\n")[0]
            raise UserError(f"sweep.storage: cannot be opened ({type(error).__name__}: {first})") from None
    path = folder / "journal.log"
    lock = JournalLock(path)
    with lock.lock:
        check_journal(path)
        try:
            return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
        except Exception as error:  # whatever Optuna says of a line that is none of its own
            raise UserError(f"{path}: {DAMAGED} ({type(error).__name__}: {shown(str(error))})") from None


def check_journal(path: Path) -> None:
    """Cut a last line short of its end, as a full disk leaves one: with it, the whole file would count as damaged.

    Raises:
        UserError: where another line is none.
    """
    written = path.read_bytes() if path.exists() else b""
    whole = written[: written.rfind(b"\n") + 1]
    if whole != written:
        with open(path, "r+b", opener=follow_no_link) as file:
            file.truncate(len(whole))
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            json.loads(line)
        except ValueError:
            raise UserError(f"{path}: {DAMAGED} (line {number})") from None
