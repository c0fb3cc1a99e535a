"""Several optimizer steps in one call of Lightning, which takes about as long for a call as a small net for a step."""

from collections.abc import Iterator
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import (
    Callback,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
)
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig

from kindling.callbacks.throughput import Throughput
from kindling.checkpoints.last import LastCheckpoint
from kindling.checkpoints.loaders import ResumableLoaders
from kindling.config.checks import several_processes
from kindling.config.since import is_default
from kindling.data.augmented import AugmentedDataModule
from kindling.data.base import InMemoryDataModule
from kindling.errors import UserError
from kindling.models.base import SupervisedModule
from kindling.running.watch import Watch

AT_ONCE = 32  # steps: with these, Lightning's millisecond is three hundredths of one for each

# Settings of the trainer that mean the same whether it is handed one step or several. Any other turns the option off,
# unless it is Lightning's own.
INDIFFERENT = {
    "_target_",
    "accelerator",
    "barebones",
    "benchmark",
    "callbacks",
    "check_val_every_n_epoch",
    "default_root_dir",
    "deterministic",
    "devices",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "inference_mode",
    "limit_test_batches",
    "limit_val_batches",
    "logger",
    "max_epochs",
    "min_epochs",
    "num_sanity_val_steps",
    "precision",
    "strategy",
}
OF_BATCHES = (L.LightningDataModule, AugmentedDataModule)  # whose hooks take the batches of a chunk one by one
# What a model or a callback may do at each step; with several steps in a call it would not be asked.
PER_STEP_HOOKS = [
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
]
BATCH_HOOKS = ["on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"]
PER_STEP_METHODS = ["step", "training_step", "configure_optimizers", "optimizer_step", "lr_scheduler_step", "backward"]


def steps_per_call(cfg: DictConfig, model: L.LightningModule, datamodule: Any, callbacks: list[Callback]) -> int:
    """How many steps to hand Lightning at once: as many as make its share small where it changes nothing else.

    Raises:
        UserError: where the config asks for several and something else in it does not allow that.
    """
    obstacle = next(_obstacles(cfg, model, datamodule, callbacks), None)
    if cfg.steps_per_call == "auto":
        return 1 if obstacle else AT_ONCE
    if cfg.steps_per_call > 1 and obstacle:
        raise UserError(f"steps_per_call={cfg.steps_per_call}: not possible with {obstacle}; set it to 1 or auto")
    return int(cfg.steps_per_call)


def _obstacles(cfg: DictConfig, model: L.LightningModule, datamodule: Any, callbacks: list[Callback]) -> Iterator[str]:
    trainer = cfg.trainer
    if not (isinstance(model, SupervisedModule) and isinstance(datamodule, InMemoryDataModule)):
        yield f"{cfg.model._target_} on {cfg.data._target_}, which take one step a call"
        return
    set_here = {key: value for key, value in trainer.items() if not is_default("lightning.Trainer", key, value)}
    yield from (f"trainer.{key}={value}" for key, value in set_here.items() if key not in INDIFFERENT)
    if several_processes(trainer):
        yield "several processes"
    if str(trainer.get("precision", "32-true")) not in ("32-true", "32"):
        yield f"trainer.precision={trainer.precision}"
    if cfg.optimizer and isinstance(cfg.optimizer.get("_target_"), str) and cfg.optimizer._target_.endswith("LBFGS"):
        yield "an optimizer that evaluates the model several times a step"
    if cfg.scheduler and cfg.scheduler._target_.endswith("ReduceLROnPlateau"):
        yield "a scheduler that waits for validation"
    for name in [*PER_STEP_HOOKS, *PER_STEP_METHODS]:
        if getattr(type(model), name) is not getattr(SupervisedModule, name):
            yield f"the model's own {name}"
    for name in BATCH_HOOKS:
        if is_overridden(name, model):
            yield f"the model's own {name}"
        if getattr(type(datamodule), name) not in (getattr(cls, name) for cls in OF_BATCHES):
            yield f"the data's own {name}"
    for callback in callbacks:
        if isinstance(callback, GradientAccumulationScheduler):
            yield "gradients that are accumulated"
        if isinstance(callback, StochasticWeightAveraging) and callback.pl_module_contains_batch_norm(model):
            yield "StochasticWeightAveraging of a model with BatchNorm, for which it reads the data once more"
        acts = any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in PER_STEP_HOOKS)
        if acts and not _is_indifferent(callback):
            yield f"{type(callback).__name__}, which acts at every step"


def _is_indifferent(callback: Callback) -> bool:
    """Whether it does the same where it is asked once for several steps."""
    if isinstance(callback, ModelCheckpoint):
        return not callback._every_n_train_steps and not callback._train_time_interval
    if isinstance(callback, LearningRateMonitor):
        return callback.logging_interval == "epoch"
    return isinstance(callback, ProgressBar | LastCheckpoint | ResumableLoaders | Watch | Throughput)
