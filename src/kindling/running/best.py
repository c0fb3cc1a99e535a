"""The best weights of a run, and the score that they have."""

import logging
import math
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging
from omegaconf import DictConfig

from kindling.checkpoints.last import LastCheckpoint
from kindling.errors import UserError
from kindling.lightning_internals import put_average
from kindling.locks import check_still_held
from kindling.population.model import Population
from kindling.running.build import Parts
from kindling.running.callbacks import of_kind
from kindling.running.record import Record
from kindling.running.weights import DIVIDED

log = logging.getLogger(__name__)


@dataclass
class Best:
    """Those in the checkpoint at `path`, or, without one, those that the model has."""

    score: float  # nan where there is no monitor
    path: str | None = None
    epoch: int | None = None  # with step: where the score was measured, the row of metrics.csv
    step: int | None = None
    content: Mapping[str, Any] | None = None  # of the checkpoint, unless the model is divided


def best_weights(cfg: DictConfig, parts: Parts) -> Best:
    """Those of the checkpoint with the best `cfg.monitor`; the last ones where none is saved by it.

    One that could not be saved counts as none: what is at its path has another score.

    Raises:
        UserError: where the score is not a finite number.
    """
    trainer, model = parts.trainer, parts.model
    if not cfg.train:
        best = measured(cfg, parts)
    elif isinstance(model, Population) and model.best_values:
        model.restore_best()
        best = Best(float(model.best_scores[model.best_scores.isfinite()].mean()))
    else:
        best = saved_best(cfg, trainer) or last_weights(cfg, parts)
        for callback in of_kind(trainer, StochasticWeightAveraging):
            put_average(callback, model)
            best = better_average(cfg, parts, best)
    if cfg.monitor and not math.isfinite(best.score):
        raise UserError(f"monitor={cfg.monitor}: the value is {best.score}, not a finite number")
    if best.path:
        place(best.path, Path(cfg.run_dir) / "checkpoints" / "best.ckpt", trainer)
    return best


def saved_best(cfg: DictConfig, trainer: L.Trainer) -> Best | None:
    for callback in trainer.checkpoint_callbacks:
        if not isinstance(callback, ModelCheckpoint) or callback.monitor != cfg.monitor:
            continue
        path, score = callback.best_model_path, callback.best_model_score
        if not path or not saved(trainer, path):
            continue
        best = Best(math.nan if score is None else float(score), path)
        if not isinstance(trainer.strategy, DIVIDED):
            content = trainer.strategy.checkpoint_io.load_checkpoint(path)
            best.content, best.epoch, best.step = content, content["epoch"], content["global_step"]
        return best
    return None


def saved(trainer: L.Trainer, path: str) -> bool:
    """Whether what should be at `path` is there. Every process needs the answer of the one that saves."""
    unsaved = getattr(trainer.strategy.checkpoint_io, "unsaved", ())
    return trainer.strategy.broadcast(Path(path).absolute() not in unsaved)


def last_weights(cfg: DictConfig, parts: Parts) -> Best:
    """Those that a run ends with: of its last checkpoint, if that is of the last step."""
    best = measured(cfg, parts)
    last = next(iter(of_kind(parts.trainer, LastCheckpoint)), None)
    if last and last.path.exists() and not isinstance(parts.trainer.strategy, DIVIDED):
        content = parts.trainer.strategy.checkpoint_io.load_checkpoint(last.path)
        if content["global_step"] == parts.trainer.global_step:
            best.content = content
    return best


def measured(cfg: DictConfig, parts: Parts, again: bool = False) -> Best:
    """The weights in the model with their score: validated once more where the last validation was of others."""
    if cfg.monitor is None:
        return Best(math.nan)
    trainer = parts.trainer
    (record,) = of_kind(trainer, Record)
    if again or record.places.get(cfg.monitor, (0, -1))[1] != trainer.global_step:
        trainer.validate(parts.model, datamodule=parts.datamodule, verbose=False)
    score = trainer.callback_metrics.get(cfg.monitor)
    if score is None:
        reason = "the trainer's limits leave nothing to measure" if cfg.train else "train=false validates alone"
        raise UserError(f"monitor={cfg.monitor}: was not measured, since {reason}; monitor=null does without")
    epoch, step = record.places.get(cfg.monitor, (None, None))
    return Best(float(score), None, epoch, step)


def better_average(cfg: DictConfig, parts: Parts, best: Best) -> Best:
    """The weights that StochasticWeightAveraging has left in the model, where they are better than the best epoch's:
    it puts them there after the last validation.
    """
    average = measured(cfg, parts, again=True)
    better = average.score < best.score if cfg.mode == "min" else average.score > best.score
    if cfg.monitor:
        comparison = "better" if better else "not better"
        log.info(f"averaged weights: {cfg.monitor} {average.score:.4g}, {comparison} than {best.score:.4g}")
    if not better and cfg.monitor:
        return best
    average.path = f"{cfg.run_dir}/checkpoints/average.ckpt"
    parts.trainer.save_checkpoint(average.path)
    average.content = parts.trainer.strategy.checkpoint_io.load_checkpoint(average.path)
    return average


def place(path: str, name: Path, trainer: L.Trainer) -> None:
    """Let the file be found as best.ckpt too, whatever it is called, without taking the disk twice where possible."""
    if not trainer.is_global_zero or "://" in path or not Path(path).is_file():  # a folder: of divided models
        return
    if name.exists() and name.samefile(path):
        return
    check_still_held()
    name.parent.mkdir(parents=True, exist_ok=True)
    temporary = name.with_name(f".{secrets.token_hex(4)}.ckpt.tmp")
    try:
        os.link(path, temporary)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, temporary)
    temporary.replace(name)
