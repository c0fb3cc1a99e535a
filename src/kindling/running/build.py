"""The parts of a run, made from its config."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, DeviceStatsMonitor, LearningRateMonitor, ThroughputMonitor
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from omegaconf import DictConfig, OmegaConf

from kindling import abilities
from kindling.checkpoints.last import LastCheckpoint
from kindling.checkpoints.loaders import ResumableLoaders
from kindling.checkpoints.write import AtomicCheckpointIO
from kindling.config.construct import construct
from kindling.data.base import InMemoryDataModule
from kindling.data.setup import set_up_once
from kindling.errors import UserError, did_you_mean
from kindling.models.base import SupervisedModule
from kindling.models.build import model_maker
from kindling.population.build import populate
from kindling.population.callbacks import member_callbacks
from kindling.running.callbacks import Late, Origin
from kindling.running.loggers import same_run
from kindling.running.record import Record
from kindling.running.steps import steps_per_call
from kindling.running.watch import Watch

ASK_FOR_A_LOGGER = (LearningRateMonitor, DeviceStatsMonitor, ThroughputMonitor)


@dataclass
class Parts:
    trainer: L.Trainer
    datamodule: L.LightningDataModule
    model: L.LightningModule


def build(
    cfg: DictConfig,
    more_callbacks: Sequence[Callback] = (),
    logger_ids: Mapping[str, str] = MappingProxyType({}),
    within: AbstractContextManager[Any] = nullcontext(),  # noqa: B008  # it holds nothing
) -> Parts:
    """The parts of a run; `logger_ids` are those of the run that it goes on with; its model is made `within` a budget.

    Raises:
        UserError: where parts refuse their arguments, or do not go together.
    """
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")  # TensorFloat-32 where a GPU has it; nothing changes elsewhere
    datamodule = construct("data", cfg.data)
    set_up_once(datamodule, cfg.seed)
    make_model, told = model_maker(cfg, datamodule, within=within)
    with within:
        model = make_model() if cfg.population == 1 else populate(cfg, datamodule, make_model)
    check_monitor(cfg, model)
    if cfg.compile:
        model.compile()  # in place: the names in checkpoints stay
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = callbacks_of(cfg, [Origin(plain, told), *more_callbacks])
    loggers = [
        construct(f"logger.{name}", node, **same_run(node, logger_ids.get(name))) for name, node in cfg.logger.items()
    ]
    steps = steps_per_call(cfg, model, datamodule, callbacks)
    if isinstance(model, SupervisedModule) and isinstance(datamodule, InMemoryDataModule):
        datamodule.steps_per_call = steps
        model.automatic_optimization &= steps == 1
    late = [c for c in callbacks if isinstance(c, Late) and cfg.trainer.get("enable_checkpointing") is False]
    others = [callback for callback in callbacks if callback not in late]
    trainer = construct("trainer", cfg.trainer, callbacks=others, logger=loggers)
    trainer.callbacks += late  # which Lightning would take for checkpoints
    if not trainer.loggers and any(isinstance(callback, ASK_FOR_A_LOGGER) for callback in callbacks):
        trainer.loggers = [DummyLogger()]  # they refuse to run without one
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else it is the user's choice, or the accelerator's
        trainer.strategy.checkpoint_io = AtomicCheckpointIO(cfg.on_save_error)
    for logger in trainer.loggers:
        logger.log_hyperparams(plain)
    return Parts(trainer, datamodule, model)


def callbacks_of(cfg: DictConfig, more: Sequence[Callback]) -> list[Callback]:
    """Those of the config and those of every run, in the order that their work needs.

    The record comes before every checkpoint, and the checkpoint that a run goes on from last: it saves what the others
    have come to.
    """
    chosen = [construct(f"callbacks.{name}", node) for name, node in cfg.callbacks.items() if node is not None]
    callbacks = [ResumableLoaders(cfg.seed), Watch(), Record(Path(cfg.run_dir), cfg.monitor), *chosen, *more]
    if cfg.population > 1:
        callbacks = member_callbacks(cfg, callbacks)
    return sorted(callbacks, key=lambda callback: isinstance(callback, LastCheckpoint))


def check_monitor(cfg: DictConfig, model: L.LightningModule) -> None:
    """Raises:
    UserError: where the model says what it logs, and the monitor is nothing of that, or its best the other one.
    """
    scores = abilities.scores(model)
    if not scores or cfg.monitor is None:
        return
    if cfg.monitor not in scores:
        raise UserError(
            f"monitor={cfg.monitor}: {cfg.model._target_} measures no such thing, only {', '.join(scores)}"
            f"{did_you_mean(cfg.monitor, scores)}"
        )
    if scores[cfg.monitor] not in (None, cfg.mode):
        best = scores[cfg.monitor]
        raise UserError(f"mode={cfg.mode}: for monitor={cfg.monitor} the best is the {best}imum; set mode={best}")
