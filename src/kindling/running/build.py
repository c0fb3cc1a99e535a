"""The parts of a run, made from its config."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    Callback,
    DeviceStatsMonitor,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
    ThroughputMonitor,
    WeightAveraging,
)
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from omegaconf import DictConfig, OmegaConf

from kindling import abilities
from kindling.callbacks.grad_norm import GradNorm
from kindling.checkpoints import archive
from kindling.checkpoints.format import load
from kindling.checkpoints.last import LastCheckpoint
from kindling.checkpoints.loaders import ResumableLoaders
from kindling.checkpoints.weights import file_of
from kindling.checkpoints.write import AtomicCheckpointIO
from kindling.config.construct import construct
from kindling.data.base import InMemoryDataModule
from kindling.data.setup import attribute, make_datamodule, set_up_where_told
from kindling.data.tabular import TabularDataModule
from kindling.errors import UserError, listed
from kindling.lightning_internals import leave_epochs_to_the_record
from kindling.models.base import SupervisedModule
from kindling.models.build import model_maker
from kindling.population.build import populate
from kindling.population.callbacks import member_callbacks
from kindling.reopening.run import describe
from kindling.running.augmentation import check_augmentation
from kindling.running.callbacks import Late, Origin
from kindling.running.epoch_lines import EpochLines
from kindling.running.loggers import same_run
from kindling.running.loggers.weights import Gradients
from kindling.running.outlook import Outlook
from kindling.running.progress import ProgressBar as OurBar
from kindling.running.record import Record
from kindling.running.saving import name_files, saving_problems, tell_apart
from kindling.running.steps import steps_per_call
from kindling.running.watch import Watch
from kindling.running.watched import Monitors, mode_of, monitor_problems, watched
from kindling.running.weights import OneSetOfWeights

ASK_FOR_A_LOGGER = (LearningRateMonitor, DeviceStatsMonitor, ThroughputMonitor)
OF_ALL_WEIGHTS = (WeightAveraging, StochasticWeightAveraging, GradNorm)


@dataclass
class Parts:
    trainer: L.Trainer
    datamodule: L.LightningDataModule
    model: L.LightningModule
    chosen: Mapping[str, Callback]  # those of the config, by name


def build(
    cfg: DictConfig,
    more_callbacks: Sequence[Callback] = (),
    logger_ids: Mapping[str, str] = MappingProxyType({}),
    checkpoint: Path | None = None,
    within: AbstractContextManager[Any] = nullcontext(),  # noqa: B008  # it holds nothing
) -> Parts:
    """The parts of a run; `logger_ids` and `checkpoint` are those of the run that it goes on with, if any; then its
    model is made `within` a budget.

    Raises:
        UserError: where parts refuse their arguments, or do not go together.
    """
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")  # TensorFloat-32 where a GPU has it; nothing changes elsewhere
    datamodule = make_datamodule(cfg)
    if checkpoint and isinstance(datamodule, TabularDataModule):
        describe(datamodule, load(checkpoint), checkpoint)  # the columns that the model learns from stay
        attribute(datamodule, "splits", needed=True)
    if cfg.init_from and not cfg.train:
        as_learned(datamodule, cfg.init_from)
    make_model, told = model_maker(cfg, datamodule, within=within)
    with within:
        model = make_model() if cfg.population == 1 else populate(cfg, datamodule, make_model)
    if str(cfg.trainer.get("precision")).startswith("64"):
        model.double()  # Lightning does so only after it has read the weights of a checkpoint, in single precision
    chosen = chosen_callbacks(cfg, model)
    set_up_where_told(datamodule)
    check_augmentation(datamodule, model)
    cfg.data.update({key: value for key, value in abilities.resolved(datamodule).items() if key in cfg.data})
    if cfg.compile:
        model.compile()  # in place: the names in checkpoints stay
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = callbacks_of(cfg, chosen, [Origin(plain, told), *more_callbacks])
    steps = steps_per_call(cfg, model, datamodule, callbacks)
    if isinstance(model, SupervisedModule) and isinstance(datamodule, InMemoryDataModule):
        datamodule.steps_per_call = steps
        model.automatic_optimization &= steps == 1
    trainer = make_trainer(cfg, callbacks, logger_ids)
    for logger in trainer.loggers:
        logger.log_hyperparams(plain)
    return Parts(trainer, datamodule, model, chosen)


def as_learned(datamodule: L.LightningDataModule, source: str) -> None:
    """Prepare the data as those weights have learned them, if they are of a run: what is measured is what
    scripts/evaluate.py says of it."""
    path = file_of(source)
    content = archive.read(path)
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        describe(datamodule, load(path), path)


def make_trainer(cfg: DictConfig, callbacks: Sequence[Callback], logger_ids: Mapping[str, str]) -> L.Trainer:
    loggers = [
        construct(f"logger.{name}", node, **same_run(node, logger_ids.get(name))) for name, node in cfg.logger.items()
    ]
    late = [c for c in callbacks if isinstance(c, Late) and cfg.trainer.get("enable_checkpointing") is False]
    others = [callback for callback in callbacks if callback not in late]
    barless = not any(isinstance(callback, ProgressBar) for callback in callbacks)
    off = {"enable_progress_bar": False} if barless and "enable_progress_bar" not in cfg.trainer else {}
    trainer: L.Trainer = construct("trainer", cfg.trainer, callbacks=others, logger=loggers, **off)
    all_callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    all_callbacks += late  # which Lightning would take for checkpoints
    all_callbacks.sort(key=lambda callback: isinstance(callback, ProgressBar) - isinstance(callback, Monitors))
    leave_epochs_to_the_record(trainer)
    if not trainer.loggers and any(isinstance(callback, ASK_FOR_A_LOGGER) for callback in callbacks):
        trainer.loggers = [DummyLogger()]  # they refuse to run without one
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else it is the user's choice, or the accelerator's
        trainer.strategy.checkpoint_io = AtomicCheckpointIO(cfg.on_save_error)
    return trainer


def callbacks_of(cfg: DictConfig, chosen: Mapping[str, Callback], more: Sequence[Callback]) -> list[Callback]:
    """Those of the config and those of every run, in the order that their work needs.

    The record comes before every checkpoint, and the checkpoint that a run goes on from last: it saves what the others
    have come to. After it what says how it goes on, and saves nothing.
    """
    for callback in chosen.values():
        if isinstance(callback, ModelCheckpoint):
            name_files(callback)
    tell_apart(chosen)
    monitors = Monitors(watched(cfg, chosen))
    every = [ResumableLoaders(cfg.seed), Watch(), monitors, OneSetOfWeights(), Record(Path(cfg.run_dir))]
    for bar in [callback for callback in chosen.values() if isinstance(callback, OurBar)]:
        bar.score = cfg.monitor
        every.append(EpochLines(cfg.monitor, cfg.mode))
    histograms = any(node.get("histograms") for node in cfg.logger.values())
    callbacks = [*every, *[Gradients()] * histograms, *chosen.values(), *more]
    if cfg.population > 1:
        callbacks = member_callbacks(cfg, callbacks)
    return sorted(callbacks, key=lambda callback: isinstance(callback, LastCheckpoint | Outlook))


def chosen_callbacks(cfg: DictConfig, model: L.LightningModule) -> dict[str, Callback]:
    """Those of the config, by name.

    Raises:
        UserError: with all that is wrong in what they watch and save, as far as the model says what it logs.
    """
    nodes = {name: node for name, node in cfg.callbacks.items() if node is not None}
    chosen: dict[str, Callback] = {
        name: construct(f"callbacks.{name}", node, **mode_of(name, node, cfg, model)) for name, node in nodes.items()
    }
    found = [
        *monitor_problems(cfg, model, chosen),
        *saving_problems(cfg, model, chosen),
        *average_problems(cfg, chosen),
    ]
    for name, callback in chosen.items():
        if isinstance(callback, LearningRateFinder | BatchSizeFinder):
            found.append(
                f"callbacks.{name}: a {type(callback).__name__} would change settings that the run has recorded; leave "
                "it out, and compare values with -m"
            )
        if cfg.population > 1 and isinstance(callback, OF_ALL_WEIGHTS):
            found.append(
                f"callbacks.{name}: {type(callback).__name__} takes the members of a population for one model; leave "
                "it out, or set population=1"
            )
    if found:
        raise UserError(listed(found))
    return chosen


def average_problems(cfg: DictConfig, chosen: Mapping[str, Callback]) -> Iterator[str]:
    """Averages of the weights that would not come about."""
    swa = [name for name, callback in chosen.items() if isinstance(callback, StochasticWeightAveraging)]
    others = [name for name, callback in chosen.items() if isinstance(callback, WeightAveraging)]
    if swa and others:
        yield f"callbacks.{swa[0]}: its average would be lost to that of callbacks.{others[0]}; leave one of them out"
    epochs = cfg.trainer.get("max_epochs")
    for name in swa:
        start = cfg.callbacks[name].get("swa_epoch_start")
        if type(start) is int and type(epochs) is int and 0 <= epochs <= start:
            yield f"callbacks.{name}.swa_epoch_start={start}: the run has trainer.max_epochs={epochs}; begin earlier"
