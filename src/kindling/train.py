"""One run: check, build, fit, test, summarise."""

import logging
import math
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from kindling import checkpoints, config, trust
from kindling.build import build
from kindling.data.base import InMemoryDataModule
from kindling.errors import OF_THE_MACHINE, Pruned, UserError, listed
from kindling.init_from import start_from
from kindling.loggers import finished_loggers
from kindling.models.base import SupervisedModule
from kindling.models.population import Population
from kindling.resume import locked
from kindling.signals import exit_codes, requeue
from kindling.steps import several_processes
from kindling.summary import INTERRUPTED, description, footer, headline, open_summary, rank, results
from kindling.sweep.job import Job, run_as_command, take_job, within_sweep

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float:
    """Train and test what `cfg` describes, leave everything about it in `cfg.run_dir`, return the best `cfg.monitor`.

    Raises:
        SystemExit: with a sentence where the user can mend what is wrong; with 128 + the signal after Ctrl-C, SIGTERM
            and SIGUSR1, and then, under SLURM, after having the job put into the queue once more.
        Exception: within a sweep, which goes on, whatever was wrong.
    """
    quiet()
    job = take_job(cfg)
    try:
        if job and within_sweep() and several_processes(cfg.trainer):
            return run_as_command(cfg)
        with job.recorded() if job else nullcontext():
            return run(cfg, job)
    except Pruned:
        return math.nan
    except SystemExit as error:
        if within_sweep() and error.code not in INTERRUPTED:  # the run's own, which is not to end the sweep
            raise UserError(f"the run ended by sys.exit({error.code!r})") from None
        if error.code == 128 + signal.SIGUSR1 and rank() == 0:
            requeue()
        raise
    except (UserError, OSError) as error:
        if within_sweep() or (isinstance(error, OSError) and error.errno not in OF_THE_MACHINE):
            raise
        sys.exit(f"error: {error}")


def run(cfg: DictConfig, job: Job | None = None) -> float:
    run_dir = Path(cfg.run_dir)
    resume, cfg.resume = cfg.resume, None  # how a run was started once more is no part of what it is
    problems = [] if job else config.problems(cfg)  # a sweep has checked its jobs before the first
    if resume:
        problems += trust.problems(OmegaConf.to_container(cfg, resolve=True), cfg.allowed_packages)
    if problems:
        if run_dir.is_dir() and not any(run_dir.iterdir()):
            run_dir.rmdir()  # Hydra made it
        raise UserError(listed(problems))
    checkpoint = last_checkpoint(resume) if resume else None
    lock = locked(run_dir) if rank() == 0 else nullcontext()
    with lock, open_summary(cfg, run_dir, bool(resume)) as summary, finished_loggers(), exit_codes():
        with summary.timed("setup"):
            trainer, datamodule, model = build(cfg, summary.get("loggers", {}), job)
            summary.update(description(cfg, trainer, datamodule, model))
            log.info(headline(summary))
            if cfg.init_from and not checkpoint:
                log.info(start_from(model, cfg.init_from))
        with summary.timed("fit"), pruned_later() as pruned:
            trainer.fit(model, datamodule=datamodule, ckpt_path=checkpoint)
        best, score = best_checkpoint(cfg, trainer, datamodule, model)
        summary.update(results(cfg, trainer, model, summary["seconds"]["fit"], score))
        if pruned:
            summary["epochs"] += 1  # Lightning has not counted the one that it was given up after
            raise pruned[0]
        with summary.timed("test"):
            (summary["metrics"],) = trainer.test(model, datamodule=datamodule, ckpt_path=best, verbose=False)
        log.info(footer(cfg, summary))
    return score


@contextmanager
def pruned_later() -> Iterator[list[Pruned]]:
    """Keeps back that the run was given up, until what it has reached is in its summary."""
    pruned: list[Pruned] = []
    try:
        yield pruned
    except Pruned as reason:
        pruned.append(reason)


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
    path, score = None, trainer.callback_metrics.get(cfg.monitor)
    if isinstance(model, Population) and model.best_values:
        model.restore_best()
        score = model.best_scores[model.best_scores.isfinite()].mean()
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
