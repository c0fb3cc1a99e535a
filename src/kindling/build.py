"""The parts of a run, made from its config."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.plugins import TorchCheckpointIO
from omegaconf import DictConfig, OmegaConf

from kindling import config
from kindling.callbacks import ConfigInCheckpoint, Figures
from kindling.checkpoints import AtomicCheckpointIO
from kindling.data.base import InMemoryDataModule
from kindling.errors import UserError, did_you_mean
from kindling.last_checkpoint import LastCheckpoint
from kindling.loggers import same_run
from kindling.models.base import SupervisedModule
from kindling.models.population import Population
from kindling.population import member_callbacks, populate
from kindling.steps import steps_per_call
from kindling.sweep.job import Job


def build(
    cfg: DictConfig, logger_ids: Mapping[str, str] = MappingProxyType({}), job: Job | None = None
) -> tuple[L.Trainer, InMemoryDataModule, SupervisedModule]:
    """The parts of a run; `logger_ids` are those of the run that is gone on with, `job` is what it is in a sweep."""
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")  # TensorFloat-32 where a GPU has it; nothing changes elsewhere
    datamodule = construct("data", cfg.data)
    datamodule.prepare_data()
    datamodule.setup()
    model = build_model(cfg, datamodule)
    check_monitor(cfg, model)
    if cfg.compile:
        model.compile()  # in place: the names in checkpoints stay
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = [construct(f"callbacks.{name}", node) for name, node in cfg.callbacks.items()]
    loggers = [
        construct(f"logger.{name}", node, **same_run(node, logger_ids.get(name))) for name, node in cfg.logger.items()
    ]
    if job:  # the report of a sweep shows all of its jobs; pictures of each would take longer than many a job
        callbacks = [callback for callback in callbacks if not isinstance(callback, Figures)] + job.callbacks(
            cfg.monitor
        )
    callbacks.append(ConfigInCheckpoint(plain))
    if isinstance(model, Population):
        datamodule.num_members = cfg.population
        datamodule.own_orders = cfg.population_order == "own"
        callbacks = member_callbacks(cfg, callbacks)
    callbacks.sort(key=lambda callback: isinstance(callback, LastCheckpoint))  # it saves what the others have come to
    datamodule.steps_per_call = steps_per_call(cfg, model, callbacks)
    model.automatic_optimization = datamodule.steps_per_call == 1
    trainer = construct("trainer", cfg.trainer, callbacks=callbacks, logger=loggers)
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else it is the user's choice, or the accelerator's
        trainer.strategy.checkpoint_io = AtomicCheckpointIO(cfg.on_save_error)
    for logger in trainer.loggers:
        logger.log_hyperparams(plain)
    return trainer, datamodule, model


def build_model(cfg: DictConfig, datamodule: InMemoryDataModule) -> SupervisedModule:
    make_model = construct(
        "model",
        cfg.model,
        _partial_=True,
        in_features=datamodule.in_features,
        out_features=datamodule.out_features,
        task=datamodule.task,
        monitor=cfg.monitor,
        **{part: construct(part, cfg[part]) for part in ("loss", "optimizer", "scheduler")},
    )
    return make_model() if cfg.population == 1 else populate(cfg, make_model)


def check_monitor(cfg: DictConfig, model: SupervisedModule) -> None:
    metrics = {**dict(model.train_metrics.items()), **dict(model.val_metrics.items())}
    if cfg.monitor not in metrics:
        raise UserError(
            f"monitor={cfg.monitor}: {cfg.model._target_} measures no such thing, only {', '.join(metrics)}"
            f"{did_you_mean(cfg.monitor, metrics)}"
        )
    mode = "max" if metrics[cfg.monitor].higher_is_better else "min"
    if cfg.mode != mode:
        raise UserError(f"mode={cfg.mode}: for monitor={cfg.monitor} the best is the {mode}imum; set mode={mode}")


def construct(path: str, node: DictConfig, **handed_over: Any) -> Any:
    try:
        return instantiate(node, _convert_="all", **handed_over)
    except InstantiationException as error:
        if path in ("data", "model"):  # yours: a bug in it needs its traceback
            raise error.__cause__ or error from None
        raise UserError(config.construction_problem(path, {str(k): v for k, v in node.items()}, error)) from None
