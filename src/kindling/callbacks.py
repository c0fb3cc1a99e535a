"""Callbacks that Lightning does not have."""

import logging
import sys
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.strategies import FSDPStrategy

from kindling import plots
from kindling.checkpoints import header
from kindling.models.population import Population

log = logging.getLogger(__name__)


class ConfigInCheckpoint(Callback):
    """Puts the composed config into every checkpoint, as plain containers, so that a checkpoint rebuilds its run.

    And beside it the format that the checkpoint is in.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["kindling"] = header()
        checkpoint["config"] = self.config


class BestMember(Checkpoint):
    """Saves each member of a population that becomes the best so far, as an ordinary checkpoint, to `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        best = pl_module.best_member
        if int(pl_module.best_values["epoch"][best]) < trainer.current_epoch:
            return  # has been saved
        checkpoint = pl_module.member_checkpoint(trainer._checkpoint_connector.dump_checkpoint(False), best)
        checkpoint["config"] = member_config(checkpoint["config"], best)
        trainer.strategy.save_checkpoint(checkpoint, self.path)


class MemberTable(Callback):
    """Writes members.csv after the test."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            pl_module.table().to_csv(self.run_dir / "members.csv", index=False)


def member_config(config: dict[str, Any], place: int) -> dict[str, Any]:
    """The config of the ordinary run that does what the member at that place does."""
    data = dict(config["data"])
    if config["population_order"] == "own":
        data["seed"] = data.get("seed", 0) + place
    return {**config, "data": data, "seed": config["seed"] + place, "population": 1}


class Figures(Callback):
    """Draws the learning curves and the task's own pictures into `run_dir`/figures after the test."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        plots.draw_learning_curves(self.run_dir)
        if isinstance(pl_module, Population):
            plots.draw_members(self.run_dir)
            pl_module = pl_module.member(pl_module.best_member)
        if not isinstance(trainer.strategy, FSDPStrategy):  # one process alone cannot run a model that is divided
            plots.draw_predictions(self.run_dir, pl_module, trainer.datamodule.splits["test"])  # type: ignore[attr-defined]


class ProgressBar(TQDMProgressBar):
    """A bar for each epoch of training in a terminal; a line for each epoch where the output goes to a file."""

    def __init__(self, refresh_rate: int = 50) -> None:
        super().__init__(refresh_rate, leave=True)
        self.in_terminal = sys.stdout.isatty()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        steps_per_call = trainer.datamodule.steps_per_call  # type: ignore[attr-defined]
        self._refresh_rate = max(1, self.refresh_rate // steps_per_call)  # the bar counts Lightning's calls

    def init_train_tqdm(self) -> Tqdm:
        return super().init_train_tqdm() if self.in_terminal else Tqdm(disable=True)

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)  # over before it can be read

    def init_test_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if not self.in_terminal and trainer.is_global_zero:
            metrics = self.get_metrics(trainer, pl_module)
            log.info("epoch %d  %s", trainer.current_epoch, "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
