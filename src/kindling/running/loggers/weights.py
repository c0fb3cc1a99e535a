"""Weights and gradients, for the loggers that draw histograms of them."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer


class Gradients(Callback):
    """Keeps those of the last step, which are gone when the epoch ends. With it one step is taken at a time."""

    def __init__(self) -> None:
        self.last: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        for name, parameter in pl_module.named_parameters():
            if parameter.grad is not None:
                self.last[f"gradients/{name}"] = parameter.grad.detach().clone()


def weights_of(model: L.LightningModule, callbacks: list[Any]) -> dict[str, Tensor]:
    """Each parameter, and its gradient at the last step."""
    found = {f"weights/{name}": parameter.detach() for name, parameter in model.named_parameters()}
    for callback in callbacks:
        found |= callback.last if isinstance(callback, Gradients) else {}
    return found
