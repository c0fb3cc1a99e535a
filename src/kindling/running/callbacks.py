"""Callbacks that Lightning does not have."""

from typing import Any, TypeVar

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint

from kindling.checkpoints.format import about, plain_part
from kindling.data.identity import check_same, identity, loader_sizes

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
