"""The checkpoint that a run goes on from as if it had never stopped: to the bit on a processor."""

import logging
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from pydantic import NonNegativeFloat, PositiveInt

from kindling.signals import SIGNALS

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Saves the state of the run at the end of epochs, now and then within one, and on a signal that ends the process.

    A signal is heeded after the step, or after the validation, that is under way; a second one at once.

    Args:
        dirpath: the folder.
        filename: without .ckpt.
        every_n_epochs: counts ends of epochs.
        every_n_minutes: within epochs; 0: never.
    """

    def __init__(
        self,
        dirpath: str,
        filename: str = "last",
        every_n_epochs: PositiveInt = 1,
        every_n_minutes: NonNegativeFloat = 0.0,
    ) -> None:
        self.path = Path(dirpath) / f"{filename}.ckpt"
        self.every_n_epochs = every_n_epochs
        self.every_n_minutes = every_n_minutes
        self.signal: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._saved_at = time.monotonic()
        self._state: dict[str, Any] | None = None  # to go on from

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            sys.exit(128 + number)
        self.signal = signal.Signals(number)
        log.warning(f"{self.signal.name}: saving when the step is done; a second signal stops at once")

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        # The end of the epoch is near after its last batch; a loader that cannot say where it is has only that. Nor
        # can gradients be saved that are being accumulated.
        resumable = hasattr(trainer.train_dataloader, "load_state_dict") and not trainer.fit_loop._should_accumulate()
        if trainer.is_last_batch or not resumable:
            return
        due = 0 < 60 * self.every_n_minutes < time.monotonic() - self._saved_at
        if any_process(trainer, due or self.signal is not None):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if any_process(trainer, due or self.signal is not None):
            self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved_at = time.monotonic()
        if any_process(trainer, self.signal is not None):
            sys.exit(128 + (self.signal or signal.SIGTERM))

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        progress: Any = trainer.fit_loop.epoch_progress.current
        loader: Any = trainer.train_dataloader
        checkpoint["progress"] = {
            "epoch_done": progress.processed > progress.completed,
            "epoch": trainer.current_epoch,
            "measured": {name: value.item() for name, value in trainer.callback_metrics.items()},
            "random_state": random_state(),
            "should_stop": trainer.should_stop,
            "unsaved": [str(path) for path in getattr(trainer.strategy.checkpoint_io, "unsaved", ())],
            "model": pl_module.progress(),
            "loader": loader.state_dict() if hasattr(loader, "load_state_dict") else {},
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit" and "progress" in checkpoint:
            self._state = checkpoint["progress"]
            if self._state["epoch_done"]:
                begin_next_epoch(checkpoint["loops"]["fit_loop"])
            trainer.should_stop = self._state["should_stop"]
            if self._state["unsaved"]:
                trainer.strategy.checkpoint_io.unsaved.update(map(Path, self._state["unsaved"]))  # type: ignore[attr-defined]
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, ModelCheckpoint) and callback.state_key in checkpoint["callbacks"]:
                    moved(checkpoint["callbacks"][callback.state_key], str(callback.dirpath))

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        # Not earlier: only now has Lightning set handlers of its own, which would leave with the exit code 0, and is
        # everything drawn at random that comes before training.
        self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        if self._state is None:
            return
        pl_module.restore_progress(self._state["model"])
        set_random_state(self._state["random_state"])
        if not self._state["epoch_done"]:
            # Lightning does so itself, unless a scheduler has asked for the length of the run before.
            loader: Any = trainer.train_dataloader
            loader.load_state_dict(self._state["loader"])
        self._log_measured(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if self._state:  # all epochs were done before
            pl_module.num_samples = self._state["model"]["num_samples"]
            self._log_measured(trainer)
        if self.signal is not None:  # it came during the last save
            sys.exit(128 + self.signal)

    def _log_measured(self, trainer: L.Trainer) -> None:
        """Of the last epoch: the process may have died before the loggers heard of it."""
        if self._state and self._state["epoch_done"]:
            measured = self._state["measured"]
            for logger in trainer.loggers:
                logger.log_metrics({**measured, "epoch": self._state["epoch"]}, trainer.global_step - 1)
            trainer.callback_metrics.update({name: torch.tensor(value) for name, value in measured.items()})
        self._state = None


def any_process(trainer: L.Trainer, own: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(own, all=False) if trainer.world_size > 1 else own


def moved(state: dict[str, Any], folder: str) -> None:
    """Let a ModelCheckpoint find its files where the folder of the run is now."""

    def here(path: str) -> str:
        return str(Path(folder) / Path(path).name) if path else path

    state["dirpath"] = folder
    state["best_k_models"] = {here(path): score for path, score in state["best_k_models"].items()}
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = here(state[key])


def begin_next_epoch(loop: dict[str, Any]) -> None:
    """Turn the progress of Lightning's fit loop, saved at the end of an epoch, into that of the start of the next.

    Lightning would do what it does at the end of an epoch once more.
    """
    for counts in (loop["epoch_progress"]["total"], loop["epoch_progress"]["current"]):
        counts["completed"] = counts["processed"]
    batches = loop["epoch_loop.batch_progress"]
    batches["is_last_batch"] = False
    for progress in (batches, loop["epoch_loop.scheduler_progress"]):
        progress["current"] = dict.fromkeys(progress["current"], 0)
    for loader in loop["state_dict"].get("combined_loader", []):
        loader["position"] = 0


def random_state() -> dict[str, Any]:
    """Of all generators that training may draw from, as plain data."""
    state: Any = np.random.get_state(legacy=True)
    _, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": [torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():  # another machine may have more or fewer
        torch.cuda.set_rng_state_all(state["cuda"])
