"""Stopping jobs that look hopeless."""

from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import optuna
from hydra.utils import instantiate
from optuna.samplers import RandomSampler
from optuna.trial import Trial

from kindling.errors import Pruned
from kindling.running.callbacks import Late
from kindling.sweep.study import open_study, reopened


class Pruning(Late):
    """Tells the study of the monitored metric after each epoch, when the best has been saved, and ends the run where
    the study says so."""

    def __init__(self, folder: Path, number: int, settings: dict[str, Any], monitor: str) -> None:
        self.folder = folder
        self.number = number
        self.settings = settings
        self.monitor = monitor
        self.trial: Trial | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            study = study_of(self.folder, self.settings["name"], self.settings["storage"])
            study.pruner = instantiate(self.settings["pruners"][self.settings["pruner"]])
            self.trial = reopened(study, self.number)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        score, hopeless = trainer.callback_metrics.get(self.monitor), False
        if self.trial and score is not None:
            self.trial.report(float(score), trainer.current_epoch)
            hopeless = self.trial.should_prune()
        if trainer.strategy.broadcast(hopeless):
            raise Pruned(f"after epoch {trainer.current_epoch}")


@cache
def study_of(folder: Path, name: str, url: str | None) -> optuna.Study:
    return open_study(folder, name, url, RandomSampler())  # a job draws nothing
