"""Callbacks that Lightning does not have."""

import logging
import sys
from typing import Any, TypeVar

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from kindling.checkpoints.format import about, plain_part
from kindling.data.identity import check_same, identity, loader_sizes
from kindling.errors import some
from kindling.lightning_internals import fresh, latest

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=Callback)


def of_kind(trainer: L.Trainer, kind: type[Kind]) -> list[Kind]:
    """The callbacks of the trainer that are of that class."""
    return [callback for callback in trainer.callbacks if isinstance(callback, kind)]  # type: ignore[attr-defined]


class Origin(Callback):
    """Puts into every checkpoint what rebuilds its run: the composed config, and what the model was told of the data.

    Beside it, the format that the checkpoint is in. A run goes on with the data alone that the checkpoint tells of.
    """

    def __init__(self, config: dict[str, Any], told: dict[str, Any]) -> None:
        self.config = config
        self.told = told
        self.data: dict[str, Any] = {}  # what is plain of the datamodule, looked at once: it may be long
        self.before: dict[str, Any] = {}  # the same of the checkpoint that the run goes on from

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["kindling"] = about()
        checkpoint["config"] = self.config
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not self.data:
            public = {name: value for name, value in vars(datamodule).items() if not name.startswith("_")}
            known = identity(datamodule)
            known["sizes"] = known["sizes"] or loader_sizes(trainer)
            self.data = {"attributes": plain_part(public), "told": plain_part(self.told), **plain_part(known)}
        checkpoint["data"] = self.data
        for part in (pl_module, datamodule):  # save_hyperparameters() takes whole modules, which state_dict has already
            if part.CHECKPOINT_HYPER_PARAMS_KEY in checkpoint:
                plain = plain_part(dict(checkpoint[part.CHECKPOINT_HYPER_PARAMS_KEY]))
                checkpoint[part.CHECKPOINT_HYPER_PARAMS_KEY] = plain
            checkpoint.pop(part.CHECKPOINT_HYPER_PARAMS_TYPE, None)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit" and isinstance(checkpoint.get("data"), dict):
            self.before = checkpoint["data"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_loaders(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_loaders(trainer)  # of a run that had no epoch left to train

    def _check_loaders(self, trainer: L.Trainer) -> None:
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not identity(datamodule)["sizes"]:  # else they have been looked at before
            check_same(self.before, {"sizes": loader_sizes(trainer)}, datamodule, self.config["run_dir"])


class Late(Checkpoint):
    """Called after other callbacks, when everything has been logged and saved. It saves nothing itself: Lightning calls
    what is a Checkpoint last."""


class ProgressBar(TQDMProgressBar):
    """A bar for each epoch of training in a terminal; a line for each epoch where the output goes to a file."""

    def __init__(self, refresh_rate: int = 50) -> None:
        super().__init__(refresh_rate, leave=True)
        self.validated: set[str] = set()  # what the validation of this epoch has measured
        self.in_terminal = sys.stdout is not None and sys.stdout.isatty()  # a daemon may have none

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        steps_per_call = getattr(trainer.datamodule, "steps_per_call", 1)  # type: ignore[attr-defined]
        self._refresh_rate = max(1, self.refresh_rate // steps_per_call)  # the bar counts Lightning's calls

    def init_train_tqdm(self) -> Tqdm:
        return super().init_train_tqdm() if self.in_terminal else Tqdm(disable=True)

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)  # over before it can be read

    def init_test_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def init_predict_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        self.validated = set(fresh(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        new, self.validated = self.validated | fresh(trainer).keys(), set()
        if not self.in_terminal and trainer.is_global_zero:
            metrics = self.get_metrics(trainer, pl_module) or latest(trainer)
            told = some((f"{name} {value:.4g}" for name, value in metrics.items() if name in new), "  ")
            if told:  # else the epoch was not validated
                log.info(f"epoch {trainer.current_epoch}  {told}")
