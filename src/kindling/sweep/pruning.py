"""Stopping jobs that look hopeless."""

import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import optuna
from hydra.utils import instantiate
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.trial import Trial

from kindling.errors import Pruned
from kindling.running.callbacks import Late
from kindling.sweep.study import latest, open_study, reopened


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
            self.trial = reopened(study, latest(study)[self.number].number)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        score = trainer.callback_metrics.get(self.monitor)
        hopeless = self.trial is not None and score is not None and self.tell(float(score), trainer.current_epoch)
        if trainer.strategy.broadcast(hopeless):
            raise Pruned(f"after epoch {trainer.current_epoch}")

    def tell(self, score: float, epoch: int) -> bool:
        """Whether the run looks hopeless then. An epoch that is done again has been told already, and a study that
        somebody has told how the run ended takes no more of it."""
        assert self.trial is not None
        with warnings.catch_warnings(), suppress(UpdateFinishedTrialError):
            warnings.filterwarnings("ignore", message=".*is already reported.*")
            self.trial.report(score, epoch)
            return self.trial.should_prune()
        return False


@cache
def study_of(folder: Path, name: str, url: str | None) -> optuna.Study:
    return open_study(folder, name, url, RandomSampler())  # a job draws nothing
