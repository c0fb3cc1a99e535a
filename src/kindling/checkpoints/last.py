"""The checkpoint that a run goes on from as if it had never stopped: to the bit on a processor."""

import logging
import signal
import sys
import time
from collections.abc import Callable, Set
from functools import partial, wraps
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint, StochasticWeightAveraging
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torchmetrics import Metric

from kindling import lightning_internals as internals
from kindling.abilities import offers
from kindling.process import SIGNALS

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Saves the state of the run at the end of epochs, now and then within one, and on a signal that ends the process.

    A signal is heeded after the step, or after the validation, that is under way; a second one at once.

    Args:
        dirpath: the folder.
        filename: without .ckpt.
        every_n_epochs: counts ends of epochs.
        every_n_minutes: within epochs; 0: never.
        every_n_steps: calls of training_step within epochs; 0: never.
    """

    def __init__(
        self,
        dirpath: str,
        filename: str = "last",
        every_n_epochs: PositiveInt = 1,
        every_n_minutes: NonNegativeFloat = 0.0,
        every_n_steps: NonNegativeInt = 0,
    ) -> None:
        self.path = Path(dirpath) / f"{filename}.ckpt"
        self.every_n_epochs = every_n_epochs
        self.every_n_minutes = every_n_minutes
        self.every_n_steps = every_n_steps
        self.signal: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._saved_at = time.monotonic()
        self._steps_since = 0
        self._steps = 0  # of the optimizers, at the last batch
        self._stepped = True  # with the last batch
        self._state: dict[str, Any] | None = None  # to go on from

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        for name in ("on_train_batch_end", "on_validation_end"):
            vars(pl_module).pop(name, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            sys.exit(128 + number)
        self.signal = signal.Signals(number)
        log.warning(f"{self.signal.name}: saving when the step is done; a second signal stops at once")

    def after_batch(self, trainer: L.Trainer) -> None:
        self._steps_since += 1
        self._stepped, self._steps = trainer.global_step != self._steps, trainer.global_step
        if not internals.validates_now(trainer):  # else after the validation, which would be left out
            self._save_within(trainer)

    def after_validation(self, trainer: L.Trainer) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._save_within(trainer)

    def _save_within(self, trainer: L.Trainer) -> None:
        # The end of the epoch is near after its last batch. Gradients that are being accumulated cannot be saved, nor
        # where a step is that reads its batches itself.
        by_hand = not trainer.lightning_module.automatic_optimization
        if trainer.is_last_batch or internals.accumulates(trainer) or internals.step_reads(trainer):
            return
        if by_hand and not self._stepped:
            return
        due = 0 < 60 * self.every_n_minutes < time.monotonic() - self._saved_at
        due |= 0 < self.every_n_steps <= self._steps_since
        if internals.any_process(trainer, due or self.signal is not None):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        internals.end_restart(trainer)
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if internals.any_process(trainer, due or self.signal is not None):
            self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved_at, self._steps_since = time.monotonic(), 0
        if internals.any_process(trainer, self.signal is not None):
            sys.exit(128 + (self.signal or signal.SIGTERM))

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        epoch_done = internals.epoch_is_done(trainer)
        internals.write_steps_for_both(checkpoint, trainer.global_step)
        checkpoint["progress"] = {
            "epoch_done": epoch_done,
            "epoch": trainer.current_epoch,
            "measured": {name: value.item() for name, value in trainer.callback_metrics.items()},
            "logged": internals.of_all_processes(trainer, {} if epoch_done else internals.logged_so_far(trainer)),
            "metrics": internals.of_all_processes(
                trainer, metric_states(pl_module, internals.about_to_be_reset(trainer))
            ),
            "should_stop": trainer.should_stop,
            "unsaved": [str(path) for path in getattr(trainer.strategy.checkpoint_io, "unsaved", ())],
            "model": pl_module.progress() if offers(pl_module, "progress") else {},
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit" and "progress" in checkpoint:
            self._state = checkpoint["progress"]
            if self._state["epoch_done"]:
                internals.begin_next_epoch(checkpoint["loops"]["fit_loop"])
            else:
                internals.go_on_within_epoch(checkpoint["loops"]["fit_loop"])
            trainer.should_stop = self._state["should_stop"]
            if self._state["unsaved"]:
                trainer.strategy.checkpoint_io.unsaved.update(map(Path, self._state["unsaved"]))  # type: ignore[attr-defined]
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, ModelCheckpoint) and callback.state_key in checkpoint["callbacks"]:
                    move(checkpoint["callbacks"][callback.state_key], str(callback.dirpath))

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        # Not earlier: only now has Lightning set handlers of its own, which would leave with the exit code 0.
        self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        # Callbacks come before the module's own hooks, which are not called again where a run goes on.
        for name, then in (("on_train_batch_end", self.after_batch), ("on_validation_end", self.after_validation)):
            setattr(pl_module, name, followed_by(getattr(pl_module, name), partial(then, trainer)))
        self._steps = trainer.global_step
        state, self._state = self._state, None
        if state is None:
            return
        if offers(pl_module, "restore_progress"):
            pl_module.restore_progress(state["model"])
        restore_metrics(pl_module, internals.of_this_process(trainer, state["metrics"]))
        internals.add_when_logged(trainer, internals.of_this_process(trainer, state["logged"]))
        restore_measured(trainer, state)
        if state["epoch_done"]:
            internals.make_plateau_steps(trainer, state["epoch"])
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, StochasticWeightAveraging) and not state["epoch_done"]:
                callback.on_train_epoch_start(trainer, pl_module)  # where it makes its scheduler; not called once more

    def on_fit_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if self._state:  # all epochs were done before
            if self._state["model"]:
                pl_module.num_samples = self._state["model"]["num_samples"]
            restore_measured(trainer, self._state)
        if self.signal is not None:  # it came during the last save
            sys.exit(128 + self.signal)


def restore_measured(trainer: L.Trainer, state: dict[str, Any]) -> None:
    measured = {name: torch.tensor(value, dtype=torch.float64) for name, value in state["measured"].items()}
    trainer.callback_metrics.update(measured)  # every digit of a run in double precision


def followed_by(hook: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    @wraps(hook)
    def both(*args: Any, **kwargs: Any) -> Any:
        result = hook(*args, **kwargs)
        then()
        return result

    return both


def metric_states(model: L.LightningModule, without: Set[int]) -> dict[str, Any]:
    """Of every metric that is part of the model, `without` those of these ids: what they have counted so far is no part
    of its state_dict.
    """
    return {
        name: {"count": metric._update_count, "states": dict(metric.metric_state)}
        for name, metric in model.named_modules()
        if isinstance(metric, Metric) and metric._update_count and id(metric) not in without
    }


def restore_metrics(model: L.LightningModule, saved: dict[str, Any]) -> None:
    modules = dict(model.named_modules())
    for name, content in saved.items():
        metric: Any = modules[name]
        metric._update_count = content["count"]
        for key, value in content["states"].items():  # copies, which some metrics change in place
            own = [v.to(metric.device, copy=True) for v in value] if isinstance(value, list) else None
            setattr(metric, key, value.to(metric.device, copy=True) if own is None else own)


def move(state: dict[str, Any], folder: str) -> None:
    """Let a ModelCheckpoint find its files where the folder of the run is now."""

    def here(path: str) -> str:
        return str(Path(folder) / Path(path).name) if path else path

    state["dirpath"] = folder
    state["best_k_models"] = {here(path): score for path, score in state["best_k_models"].items()}
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = here(state[key])
