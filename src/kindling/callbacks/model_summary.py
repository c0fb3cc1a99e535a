"""What a model is made of."""

import logging

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import model_summary
from torch import nn
from torchmetrics import Metric, MetricCollection

log = logging.getLogger(__name__)


class ModelSummary(Callback):
    """Says it when training starts, on the screen and in train.log: Lightning's table of layers with their parameters,
    and where the model has an `example_input_array`, of the sizes that go in and out.

    Args:
        max_depth: how deep layers within layers are listed; -1: all.
    """

    def __init__(self, max_depth: int = 1) -> None:
        self.max_depth = max_depth

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with torch.random.fork_rng():  # the example goes through the model, which may draw
            log.info(str(Table(pl_module, max_depth=self.max_depth)).rstrip())


class Table(model_summary.ModelSummary):
    """Without metrics, which are no layers."""

    @property
    def named_modules(self) -> list[tuple[str, nn.Module]]:
        modules = super().named_modules
        return [(name, module) for name, module in modules if not isinstance(module, Metric | MetricCollection)]
