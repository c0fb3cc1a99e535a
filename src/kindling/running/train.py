"""One run: check, build, fit, test, summarise."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf, open_dict

from kindling.checkpoints.weights import start_from
from kindling.config.asked import Asked, take_asked, within_sweep
from kindling.config.checks import groups_are_idle, idle_parts, problems, resolved
from kindling.config.places import located
from kindling.config.resume import flat
from kindling.config.sizes import size_problems
from kindling.data.identity import loader_sizes
from kindling.errors import Pruned, UserError, listed
from kindling.locks import locked
from kindling.process import INTERRUPTED, exit_codes, quiet, rank
from kindling.reopening.run import Run
from kindling.running import facts
from kindling.running.best import best_weights
from kindling.running.build import Parts, build
from kindling.running.closing import closing, stopped
from kindling.running.leave import leave, page_of_stopped
from kindling.running.log import log_to
from kindling.running.loggers import begin_logging, finished_loggers
from kindling.running.outlook import Outlook
from kindling.running.resumed import Before, budget_for, go_on, take_up
from kindling.running.summary import Summary, kept_where_refused, open_summary, refused, write_config
from kindling.running.testing import test
from kindling.running.watch import num_samples
from kindling.trust.targets import unknown_packages

log = logging.getLogger(__name__)


def train(cfg: DictConfig, callbacks: Sequence[Callback] = (), draw: bool = True, checked: bool = False) -> Run:
    """Train and test what `cfg` describes, and leave everything about it in the folder `cfg.run_dir`.

    Args:
        cfg: from `compose`, or from Hydra's app. It is not changed.
        callbacks: besides those of the config.
        draw: figures, where the config has them.
        checked: the config has been checked already, as a sweep does with its jobs.

    Raises:
        UserError: in a sentence, where the user can mend what is wrong.
        SystemExit: with 128 + the signal after Ctrl-C, SIGTERM and SIGUSR1.
    """
    quiet()
    cfg = copy.deepcopy(cfg)
    asked = take_asked(cfg)
    with open_dict(cfg):
        cfg.pop("sweep", None)
    resume, cfg.resume = cfg.resume, None  # how a run was started once more is no part of what it is
    check(cfg, asked, resume, checked)
    leave_out_idle_parts(cfg)
    keep_places(cfg)
    before = take_up(cfg, resume)
    if before.checkpoint and not cfg.train:
        raise UserError(f"train=false: resume={resume} trains on; init_from={resume} measures its weights")
    run_dir = Path(cfg.run_dir)
    lock = locked(run_dir) if rank() == 0 else nullcontext()
    with lock, log_to(run_dir), finished_loggers(run_dir):
        kept = kept_where_refused(run_dir) if resume else nullcontext()
        with kept:
            opened = open_summary(cfg, asked, bool(resume))
            with page_of_stopped(cfg), opened as summary, exit_codes(), told_how_to_go_on(cfg, asked):
                parts = run(cfg, asked, before, callbacks, summary)
        with exit_codes():
            leave(cfg, parts, draw)
    return Run(run_dir)


def run(cfg: DictConfig, asked: Asked, before: Before, callbacks: Sequence[Callback], summary: Summary) -> Parts:
    """From the parts to the test; how it went is in the summary."""
    with summary.timed("setup"):
        with refused() if summary["resumed"] else nullcontext():
            parts = set_up(cfg, asked, before, callbacks, summary.get("loggers", {}))
        summary.update(facts.before_training(cfg, asked, parts.trainer, parts.datamodule, parts.model))
        begin_logging(parts.trainer.loggers, asked, summary)
        log.info(facts.headline(cfg.run_dir, summary))
        if not before.checkpoint:
            begin(cfg, parts)
    with summary.timed("fit"), pruned_later() as pruned, in_a_sentence():
        if cfg.train:
            parts.trainer.fit(parts.model, datamodule=parts.datamodule, ckpt_path=before.checkpoint)
    with in_a_sentence():
        best = best_weights(cfg, parts)
    summary.update(facts.after_training(cfg, parts, best))
    summarise_data(summary, parts)
    if pruned:
        raise pruned[0]
    with summary.timed("test"), in_a_sentence():
        summary["metrics"] = test(cfg, parts, best)
    log.info(closing(cfg, asked, summary))
    return parts


def check(cfg: DictConfig, asked: Asked, resume: str | None, checked: bool) -> None:
    """Raises:
    UserError: with every mistake in the config, and where it goes on with what a folder says, all that is too large.
    """
    found = [] if checked else problems(cfg, asked)
    if resume and not found:
        found += size_problems(resolved(cfg))
    if found:
        run_dir = Path(cfg.run_dir)
        if run_dir.is_dir() and not any(run_dir.iterdir()):
            run_dir.rmdir()  # Hydra made it
        raise UserError(listed(found))


def leave_out_idle_parts(cfg: DictConfig) -> None:
    """What the model does not take is no part of the run, nor of its record."""
    idle = idle_parts(cfg)
    for key in [key for key in cfg if key not in idle and OmegaConf.is_config(cfg[key])]:
        OmegaConf.resolve(cfg[key])  # which may use what is left out
    if groups_are_idle(cfg):
        cfg.param_groups = {}
    for part in idle:
        cfg[part] = {} if part == "metrics" else None


def keep_places(cfg: DictConfig) -> None:
    """Where the data are, wherever the run is come back to from."""
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    for key, value in flat(data, "data."):
        if located(key, value) != value:
            OmegaConf.update(cfg, key, located(key, value))


def set_up(
    cfg: DictConfig, asked: Asked, before: Before, callbacks: Sequence[Callback], logger_ids: Mapping[str, str]
) -> Parts:
    """The parts of the run, which are those that it goes on with if it has begun before."""
    outlook = Outlook(asked.choice("scheduler", cfg) if cfg.scheduler else None)
    budget = budget_for(cfg, before.checkpoint)
    parts = build(cfg, [*callbacks, outlook], logger_ids, before.checkpoint, budget)
    go_on(before, cfg, parts)
    if rank() == 0:
        write_config(cfg)  # once more, with what the data have decided
    return parts


def begin(cfg: DictConfig, parts: Parts) -> None:
    """What a run does at its start alone."""
    for package in sorted(unknown_packages(OmegaConf.to_container(cfg), cfg.allowed_packages)):
        log.info(
            f"{package} is not from this checkout: to come back to this run, name it in allowed_packages "
            "(conf/train.yaml, or allowed_packages=[...])"
        )
    if cfg.init_from:
        if cfg.population > 1:
            raise UserError(f"init_from={cfg.init_from}: a population has many weights; set population=1")
        log.info(start_from(parts.model, cfg.init_from, whole=not cfg.train))
    elif not cfg.train:
        log.warning(
            "WARNING: train=false without init_from: what is measured are the weights that the model is made with"
        )


def summarise_data(summary: dict[str, Any], parts: Parts) -> None:
    seconds, samples = summary["seconds"]["fit"], num_samples(parts.trainer, parts.model)
    if samples:
        summary["samples_per_second"] = round(samples / max(seconds, 1e-3))
    if not summary["data"]["sizes"]:
        summary["data"]["sizes"] = loader_sizes(parts.trainer)


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """What Lightning says of settings that do not go together, and of packages that they need."""
    try:
        yield
    except (MisconfigurationException, ModuleNotFoundError, ValueError) as error:
        if isinstance(error, ValueError) and "`val_check_interval`" not in str(error):
            raise
        raise UserError(" ".join(str(error).split())) from error


@contextmanager
def told_how_to_go_on(cfg: DictConfig, asked: Asked) -> Iterator[None]:
    """After a signal. Of a job its sweep says so."""
    try:
        yield
    except SystemExit as error:
        if error.code in INTERRUPTED and not within_sweep():
            log.info(stopped(cfg, asked))
        raise


@contextmanager
def pruned_later() -> Iterator[list[Pruned]]:
    """Keeps back that the run was given up, until what it has reached is in its summary."""
    pruned: list[Pruned] = []
    try:
        yield pruned
    except Pruned as reason:
        pruned.append(reason)
