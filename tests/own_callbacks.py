"""Callbacks that keep weights of their own, as users write them."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback


class Average(Callback):
    """A moving average of the weights, in the model while it is validated and tested, saved in their place."""

    def __init__(self, decay: float = 0.9, saves: bool = True) -> None:
        self.decay, self.saves = decay, saves
        self.average: dict[str, Any] = {}
        self.own: dict[str, Any] = {}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        for name, value in pl_module.state_dict().items():
            before = self.average.get(name, value)
            new = before * self.decay + value * (1 - self.decay) if value.is_floating_point() else value
            self.average[name] = new.clone()

    def _swap(self, pl_module: L.LightningModule) -> None:
        self.own = {name: value.clone() for name, value in pl_module.state_dict().items()}
        pl_module.load_state_dict(self.average)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._swap(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.load_state_dict(self.own)

    on_test_epoch_start = on_validation_start
    on_test_epoch_end = on_validation_end

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average = state_dict["average"]

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.saves:
            checkpoint["raw"] = checkpoint["state_dict"]
            checkpoint["state_dict"] = {name: value.clone() for name, value in self.average.items()}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if "raw" in checkpoint:
            checkpoint["state_dict"] = checkpoint["raw"]


class Halved(Callback):
    """Halves the weights when training ends."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.mul_(0.5)
