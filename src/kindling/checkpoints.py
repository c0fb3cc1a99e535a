"""Checkpoints: written whole or not at all, read without trusting them, and of a known format."""

import logging
import os
import secrets
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from lightning.fabric.utilities.cloud_io import get_filesystem
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import Tensor

from kindling import archive
from kindling.errors import UserError, shown
from kindling.trust import plain_problems

FORMAT = 1  # to be raised by whoever changes what is in a checkpoint so that an older Kindling misreads it

log = logging.getLogger(__name__)


def header() -> dict[str, Any]:
    """What a checkpoint says of itself under the key `kindling`."""
    return {"format": FORMAT, "version": version("kindling")}


def load(path: str | Path) -> dict[str, Any]:
    """A checkpoint of Kindling's, on the CPU: `state_dict` (tensors), `config` (plain data) and what Lightning adds.

    One without a header is from before there was one, and of format 1 otherwise. That the config is plain does not make
    it safe to build from: see `trust.problems()` and `confinement.confined()`.

    Raises:
        UserError: where the file is not such a checkpoint, is damaged, or of a format that is not known here.
    """
    checkpoint = archive.read(Path(path))
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path} is not a checkpoint of Kindling: it holds a {type(checkpoint).__name__}, not a dict")
    about = checkpoint.get("kindling", header())
    written = about.get("format") if isinstance(about, dict) else None
    if not isinstance(written, int) or written < 1:
        raise UserError(f"{path} is not a checkpoint of Kindling: its format is no number from 1")
    if written > FORMAT:
        by = shown(str(about.get("version")))
        raise UserError(
            f"{path} has format {written}, and this Kindling knows up to {FORMAT}; update it to {by} or later"
        )
    for key in ("state_dict", "config"):
        if not isinstance(checkpoint.get(key), dict):
            raise UserError(
                f"{path} is not a checkpoint of Kindling: it has no {key}; use best.ckpt or last.ckpt of a run"
            )
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in checkpoint["state_dict"].items()):
        raise UserError(f"{path} is not a checkpoint of Kindling: its state_dict holds other things than tensors")
    for problem in plain_problems(checkpoint["config"]):
        raise UserError(f"{path} was not loaded: in its config, {problem}")
    return checkpoint


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

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self._failed = False
        if "://" in str(path) or storage_options is not None:  # S3 and the like, where files appear whole
            self._folders.add(os.path.dirname(path))  # noqa: PTH120
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path).absolute()
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
        elsewhere = "://" in str(path) and os.path.dirname(path) not in self._folders  # noqa: PTH120
        if not (self._failed or elsewhere or ".." in Path(path).parts):
            super().remove_checkpoint(path)


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
    """
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
