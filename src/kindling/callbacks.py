"""Callbacks that Lightning does not have."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from kindling import plots


class ConfigInCheckpoint(Callback):
    """Puts the composed config into every checkpoint, as plain containers, so that a checkpoint rebuilds its run."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["config"] = self.config


class Figures(Callback):
    """Draws the learning curves and the task's own pictures into `run_dir`/figures after the test."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:
            plots.draw_all(self.run_dir, pl_module, trainer.datamodule.splits["test"])  # type: ignore[attr-defined]
