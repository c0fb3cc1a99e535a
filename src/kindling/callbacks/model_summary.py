"""What a model is made of."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import model_summary
from torch import nn
from torchmetrics import Metric, MetricCollection

from kindling.text import columns, fitting

log = logging.getLogger(__name__)


class ModelSummary(Callback):
    """Says it when training starts, on the screen and in train.log: a line for each layer with its kind, its number of
    parameters, and where the model has an `example_input_array`, the sizes that go in and out.

    Args:
        max_depth: how deep layers within layers are listed; -1: all.
    """

    def __init__(self, max_depth: int = 1) -> None:
        self.max_depth = max_depth

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with torch.random.fork_rng():  # the example goes through the model, which may draw
            log.info("\n".join(rows(Table(pl_module, max_depth=self.max_depth), columns())))


def rows(table: "Table", width: int) -> Iterator[str]:
    """What does not fit a line is left out of it, from its end."""
    cells = [["layer", "kind", "parameters", "in", "out"]]
    for name, kind, count, *sizes in zip(
        table.layer_names, table.layer_types, table.param_nums, table.in_sizes, table.out_sizes, strict=True
    ):
        cells.append([name, kind, f"{count:,}" if count else "", *map(size, sizes)])
    told = [column for column in zip(*cells, strict=True) if any(column[1:])]
    for row in zip(*map(aligned, told), strict=True):
        yield "  ".join(filter(None, fitting(row, width + 2))).rstrip()
    total, learning = table.total_parameters, table.trainable_parameters
    yield f"{total:,} parameters" + (f", {learning:,} of them learn" if learning != total else "")


def aligned(column: Sequence[str]) -> list[str]:
    """Counts to the right."""
    width = max(map(len, column))
    return [text.rjust(width) if column[0] == "parameters" else text.ljust(width) for text in column]


def size(shape: Any) -> str:
    """`4x2` for [4, 2]; of several inputs or outputs, each."""
    if isinstance(shape, list) and all(isinstance(number, int) for number in shape):
        return "x".join(map(str, shape))
    return " ".join(map(size, shape)) if isinstance(shape, list) else "" if shape in ("?", None) else str(shape)


class Table(model_summary.ModelSummary):
    """Without metrics, which are no layers."""

    @property
    def named_modules(self) -> list[tuple[str, nn.Module]]:
        modules = super().named_modules
        return [(name, module) for name, module in modules if not isinstance(module, Metric | MetricCollection)]
