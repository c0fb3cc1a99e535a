"""The end of a run: which weights are its best, and what the test makes of them."""

import logging
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig

from kindling.errors import UserError
from kindling.population.model import Population
from kindling.random_state import seeded
from kindling.running.build import Parts
from kindling.running.figures import DIVIDED

log = logging.getLogger(__name__)


def best_checkpoint(cfg: DictConfig, parts: Parts) -> tuple[str | None, float]:
    """The path of the checkpoint with the best `cfg.monitor` and its score; no path, and the last score, without one.

    One that could not be saved counts as none: what is at its path has another score. Without a monitor the last is the
    best, and its score nan.

    Raises:
        UserError: where the score is not a finite number.
    """
    trainer, model = parts.trainer, parts.model
    path, score = None, trainer.callback_metrics.get(cfg.monitor) if cfg.monitor else math.nan
    if isinstance(model, Population) and model.best_values:
        model.restore_best()
        score = model.best_scores[model.best_scores.isfinite()].mean()
    for callback in trainer.checkpoint_callbacks:
        if not isinstance(callback, ModelCheckpoint) or callback.monitor != cfg.monitor:
            continue
        if callback.best_model_path and saved(trainer, callback.best_model_path):
            path, score = callback.best_model_path, callback.best_model_score if cfg.monitor else math.nan
    if cfg.monitor is None:
        return path, math.nan
    if score is None:  # training ended before the first validation
        trainer.validate(model, datamodule=parts.datamodule, verbose=False)
        score = trainer.callback_metrics.get(cfg.monitor)
    if score is None:
        raise UserError(f"monitor={cfg.monitor}: was not measured, since the trainer's limits leave nothing to measure")
    if not math.isfinite(score):
        raise UserError(f"monitor={cfg.monitor}: the value is {float(score)}, not a finite number")
    return path, float(score)


def saved(trainer: L.Trainer, path: str) -> bool:
    """Whether what should be at `path` is there. Every process needs the answer of the one that saves."""
    unsaved = getattr(trainer.strategy.checkpoint_io, "unsaved", ())
    return trainer.strategy.broadcast(Path(path).absolute() not in unsaved)


def test(cfg: DictConfig, parts: Parts, checkpoint: str | None) -> dict[str, float]:
    """What the test measures of the weights in the checkpoint, or of those that the model has; nothing where there is
    no test. Random numbers that the model draws are the same whenever it is tested.

    Weights are put into the model here, and not by `trainer.test`: callbacks that keep two sets of them, such as an
    average, would bring back the set that the score was not measured with.
    """
    trainer, model = parts.trainer, parts.model
    divided = isinstance(trainer.strategy, DIVIDED)
    if checkpoint and not divided:
        content = trainer.strategy.checkpoint_io.load_checkpoint(checkpoint)
        model.on_load_checkpoint(content)
        model.load_state_dict(content["state_dict"], strict=model.strict_loading)
    missing = untested(parts.datamodule, model)
    if missing:
        log.info(f"no test: {missing}")
        return {}
    with seeded(cfg.seed):
        measured: list[Any] = trainer.test(
            model, datamodule=parts.datamodule, ckpt_path=checkpoint if divided else None, verbose=False
        )
    return {name: value for metrics in measured for name, value in metrics.items()}


def untested(datamodule: L.LightningDataModule, model: L.LightningModule) -> str | None:
    """Why there is no test, where there is none."""
    for part, method in ((model, "test_step"), (datamodule, "test_dataloader")):
        if not is_overridden(method, part):
            return f"{type(part).__name__} has no {method}"
    return None
