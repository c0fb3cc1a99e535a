"""Checkpoints, written whole or not at all."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from lightning.fabric.utilities.cloud_io import get_filesystem
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import Tensor

from kindling.checkpoints import archive
from kindling.errors import UserError
from kindling.locks import check_still_held

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint by a complete one, or leaves it as it is: whatever kills the process or fills the disk.

    A half-written file is hidden, does not end in .ckpt, and the next process that saves into the folder removes it.

    Args:
        on_save_error: stop raises a UserError where a checkpoint cannot be written; continue warns and trains on.
    """

    def __init__(self, on_save_error: Literal["stop", "continue"] = "stop") -> None:
        self.on_save_error = on_save_error
        self.unsaved: set[Path] = set()  # what should be at these paths could not be saved
        self._folders: set[str] = set()  # saved into
        self._failed = False  # the latest save
        self._looked = False  # at what a checkpoint holds: what one does, all do

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self._failed = False
        if not self._looked:
            check_can_be_read(checkpoint)
            self._looked = True
        if "://" in str(path) or storage_options is not None:  # S3 and the like, where files appear whole
            self._folders.add(os.path.dirname(path))  # noqa: PTH120
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path).absolute()
        check_still_held()
        try:
            self._prepare(path.parent)
            write(checkpoint, path)
            self.unsaved.discard(path)
        except OSError as error:
            self._failed = True
            self.unsaved.add(path)
            problem = f"{path} cannot be saved: {error.strerror or error}"
            if self.on_save_error == "stop":
                raise UserError(f"{problem}; on_save_error=continue would train on without it") from None
            log.warning("WARNING: %s; training goes on, and what was saved before stays", problem)

    def _prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if str(folder) not in self._folders:
            for leftover in folder.glob(".*.ckpt.tmp"):
                leftover.unlink(missing_ok=True)
            self._folders.add(str(folder))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        if "://" in str(path):
            with get_filesystem(path).open(
                str(path)
            ) as file:  # Lightning's own executes what is in a file from the web
                return torch.load(file, map_location="cpu", weights_only=True)
        return archive.read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Not what a save that failed should have replaced.

        And no way up, nor an address that was not saved to: the checkpoint that a run is resumed from tells Lightning
        what to remove next, and Lightning looks no closer than whether a path begins with the folder.
        """
        elsewhere = ("://" in str(path) or "::" in str(path)) and os.path.dirname(path) not in self._folders  # noqa: PTH120
        if not (self._failed or elsewhere or ".." in Path(path).parts):
            super().remove_checkpoint(path)


def check_can_be_read(value: Any, key: str = "") -> None:
    """Raises:
    UserError: where something is in the checkpoint that reading it would refuse, at its first save already.
    """
    if isinstance(value, (*archive.SCALARS, Tensor)):
        return
    if type(value) not in archive.CONTAINERS:
        raise UserError(
            f"the checkpoint could not be read again: {key} in it is a {type(value).__name__}; what on_save_checkpoint "
            "and state_dict give should be plain data: numbers, texts, lists, dicts and tensors"
        )
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in items:
        check_can_be_read(child, f"{key}.{name}" if key else str(name))


class Sink:
    """A file for torch.save. What goes wrong is kept for later: its C++ writer turns it into an error of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self.file.write(data)
            except BaseException as error:  # a full disk, or a signal
                self.error = error
        return len(data)

    def flush(self) -> None:
        pass


def write(content: Any, path: Path) -> None:
    """By torch.save, into a file beside `path` that takes its place once it is complete and on the disk.

    Raises:
        OSError: where that fails; then nothing has changed.
        UserError: where the folder that this process trains in is no longer its own.
    """
    check_still_held()
    temporary = path.with_name(f".{secrets.token_hex(4)}.ckpt.tmp")
    try:
        with temporary.open("xb") as file:  # x: follows no link that lies in wait
            sink = Sink(file)
            torch.save(content, sink)  # type: ignore[arg-type]  # which needs no more of a file than this
            if sink.error is not None:
                raise sink.error
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every file system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else a power failure may undo the renaming
        finally:
            os.close(folder)
