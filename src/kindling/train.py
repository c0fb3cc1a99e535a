"""One run: check, build, fit, test, summarise."""

import errno
import logging
import math
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import TorchCheckpointIO
from omegaconf import DictConfig, OmegaConf

from kindling import checkpoints, config, trust
from kindling.callbacks import ConfigInCheckpoint
from kindling.checkpoints import AtomicCheckpointIO
from kindling.data.base import InMemoryDataModule
from kindling.errors import UserError, did_you_mean, listed
from kindling.init_from import start_from
from kindling.last_checkpoint import SIGNALS
from kindling.loggers import finished_loggers, same_run
from kindling.models.base import SupervisedModule
from kindling.models.population import Population
from kindling.population import member_callbacks, populate
from kindling.resume import locked
from kindling.steps import steps_per_call
from kindling.summary import description, footer, headline, open_summary, rank, results

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float:
    """Train and test what `cfg` describes, leave everything about it in `cfg.run_dir`, return the best `cfg.monitor`.

    Raises:
        SystemExit: with a sentence where the user can mend what is wrong; with 128 + the signal after Ctrl-C, SIGTERM
            and SIGUSR1, and then, under SLURM, after having the job put into the queue once more.
    """
    quiet()
    try:
        return run(cfg)
    except SystemExit as error:
        if error.code == 128 + signal.SIGUSR1 and rank() == 0:
            requeue()
        raise
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        sys.exit(f"error: {error}")


def run(cfg: DictConfig) -> float:
    run_dir = Path(cfg.run_dir)
    resume, cfg.resume = cfg.resume, None  # how a run was started once more is no part of what it is
    problems = config.problems(cfg)
    if resume:
        problems += trust.problems(OmegaConf.to_container(cfg, resolve=True))
    if problems:
        if run_dir.is_dir() and not any(run_dir.iterdir()):
            run_dir.rmdir()  # Hydra made it
        raise UserError(listed(problems))
    lock = locked(run_dir) if rank() == 0 else nullcontext()
    with lock, open_summary(cfg, run_dir, bool(resume)) as summary, finished_loggers(), exit_codes():
        with summary.timed("setup"):
            checkpoint = last_checkpoint(resume) if resume else None
            trainer, datamodule, model = build(cfg, summary.get("loggers", {}))
            summary.update(description(cfg, trainer, datamodule, model))
            log.info(headline(summary))
        with summary.timed("fit"):
            trainer.fit(model, datamodule=datamodule, ckpt_path=checkpoint)
        best, score = best_checkpoint(cfg, trainer, datamodule, model)
        summary.update(results(cfg, trainer, model, summary["seconds"]["fit"], score))
        with summary.timed("test"):
            (summary["metrics"],) = trainer.test(model, datamodule=datamodule, ckpt_path=best, verbose=False)
        log.info(footer(cfg, summary))
    return score


def last_checkpoint(resume: str) -> Path | None:
    """What to go on from: the checkpoint named, or that of the run; None where it stopped before its first.

    Raises:
        UserError: where the checkpoint cannot be used.
    """
    path = Path(resume)
    if path.is_dir():
        path = path / "checkpoints" / "last.ckpt"
        if not path.exists():
            return None
    if "progress" not in checkpoints.load(path):
        raise UserError(f"resume={path}: holds weights alone; init_from={path} starts a new run from them")
    return path


def best_checkpoint(
    cfg: DictConfig, trainer: L.Trainer, datamodule: InMemoryDataModule, model: SupervisedModule
) -> tuple[str | None, float]:
    """The path of the checkpoint with the best `cfg.monitor` and its score; no path, and the last score, without one.

    One that could not be saved counts as none: what is at its path has another score.

    Raises:
        UserError: where the score is not a finite number.
    """
    if isinstance(model, Population) and model.best_values:
        model.restore_best()
        return None, float(model.best_scores[model.best_scores.isfinite()].mean())
    path, score = None, trainer.callback_metrics.get(cfg.monitor)
    for callback in trainer.checkpoint_callbacks:
        if not isinstance(callback, ModelCheckpoint) or callback.monitor != cfg.monitor:
            continue
        if callback.best_model_path and saved(trainer, callback.best_model_path):
            path, score = callback.best_model_path, callback.best_model_score
    if score is None:  # training ended before the first validation
        trainer.validate(model, datamodule=datamodule, verbose=False)
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


def quiet() -> None:
    """Keep advertising, and warnings that nobody here can act on, off the screen."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if rank() != 0:
        logging.getLogger("kindling").setLevel(logging.ERROR)  # once is enough
    for message in (
        r".*LeafSpec.*",  # Lightning's use of torch.utils._pytree
        r".*smaller than the logging interval.*",
        r".*Checkpoint directory .* exists and is not empty.*",
        r".*available but not used.*",  # trainer=cpu on a machine with a GPU is a choice
        r".*sync_dist=True.*",  # what is logged has been computed over all processes
        r".*could not find the monitored key.*",  # best_checkpoint() sees to it
    ):
        warnings.filterwarnings("ignore", message)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Leave with 128 + the signal, as schedulers expect. Lightning's own codes are 1 and 0."""
    previous = {number: signal.signal(number, lambda number, _: sys.exit(128 + number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def requeue() -> None:
    """SLURM sends SIGUSR1 (`#SBATCH --signal=SIGUSR1@90`) before the time is up; `resume=auto` goes on next time."""
    job = os.environ.get("SLURM_JOB_ID")
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job and subprocess.run(["scontrol", "requeue", job], check=False).returncode != 0:
        log.warning(f"scontrol could not requeue job {job}")


def build(
    cfg: DictConfig, logger_ids: Mapping[str, str] = MappingProxyType({})
) -> tuple[L.Trainer, InMemoryDataModule, SupervisedModule]:
    """The parts of a run; `logger_ids` are those of the run that is gone on with."""
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")  # TensorFloat-32 where a GPU has it; nothing changes elsewhere
    datamodule = construct("data", cfg.data)
    datamodule.prepare_data()
    datamodule.setup()
    model = build_model(cfg, datamodule)
    check_monitor(cfg, model)
    if cfg.init_from:
        log.info(start_from(model, cfg.init_from))
    if cfg.compile:
        model.compile()  # in place: the names in checkpoints stay
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = [construct(f"callbacks.{name}", node) for name, node in cfg.callbacks.items()]
    loggers = [
        construct(f"logger.{name}", node, **same_run(node, logger_ids.get(name))) for name, node in cfg.logger.items()
    ]
    callbacks.append(ConfigInCheckpoint(plain))
    if isinstance(model, Population):
        datamodule.num_members = cfg.population
        datamodule.own_orders = cfg.population_order == "own"
        callbacks = member_callbacks(cfg, callbacks)
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
