"""`python train.py`: a run, or a job of a sweep, which does a few things besides."""

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kindling.config.asked import within_sweep
from kindling.config.checks import several_processes
from kindling.config.quoting import quoted
from kindling.config.sources import Source
from kindling.errors import OF_THE_MACHINE, Pruned, UserError, told
from kindling.folders import PROJECT, part, read_summary
from kindling.locks import is_locked
from kindling.process import INTERRUPTED, SIGNALS, rank, requeue, screens
from kindling.sweep.job_folder import is_unfinished, record_failure
from kindling.text import printable

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

ENDED = ("completed", "failed", "pruned")


def main(cfg: DictConfig) -> float:
    """Train what `cfg` describes; the best `cfg.monitor`.

    Raises:
        SystemExit: with a sentence where the user can mend what is wrong; with 128 + the signal after Ctrl-C, SIGTERM
            and SIGUSR1, and then, under SLURM, after having the job put into the queue once more.
        Exception: of a job, whatever was wrong: its sweep goes on.
    """
    from kindling.running.train import train

    job = job_of(cfg)
    if not within_sweep():
        with put_back_into_the_queue():
            try:
                return job.run() if job else train(cfg).score
            except (UserError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in OF_THE_MACHINE:
                    raise
                text = told(error) if isinstance(error, OSError) else str(error)
                sys.exit(f"error: {printable(text, keep=chr(10))}")
    assert job is not None
    try:
        return run_as_command(cfg) if several_processes(cfg.trainer) else job.run()
    except SystemExit as error:
        if error.code in INTERRUPTED:
            raise
        raise UserError(f"the run ended by sys.exit({error.code!r})") from None  # which is not to end the sweep


@contextmanager
def put_back_into_the_queue() -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        if error.code == 128 + signal.SIGUSR1 and rank() == 0:
            requeue()
        raise


@dataclass(frozen=True)
class Job:
    """One of a sweep, whose folder is that above the run's; `settings` are those of conf/sweep."""

    cfg: DictConfig
    folder: Path
    number: int
    settings: dict[str, Any]

    def run(self) -> float:
        """Like any other run, but that its config has been checked, that it may be pruned, and that it draws nothing:
        the report shows all jobs, and pictures of each would take longer than many a job.
        """
        from kindling.running.train import train

        if is_unfinished(Path(self.cfg.run_dir)):  # by the same job, which was killed or failed
            self.cfg.resume = self.cfg.run_dir
        for node in self.cfg.logger.values():
            if "group" in node and node.group is None:
                node.group = str(self.settings["name"])
        with self.recorded(), off_the_screen():
            try:
                return train(self.cfg, self.callbacks(), draw=False, checked=True).score
            except Pruned:
                return math.nan

    def callbacks(self) -> "list[Callback]":
        if self.cfg.monitor is None or len(self.settings["objectives"] or [self.cfg.monitor]) > 1:
            return []  # Optuna takes no course of several objectives
        from kindling.sweep.pruning import Pruning  # imports Optuna, for which no other run should wait

        return [Pruning(self.folder, self.number, self.settings, self.cfg.monitor)]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """See to it that the job's folder says how the job ended, and the table of the sweep too."""
        from kindling import report

        run_dir = self.folder / str(self.number)
        try:
            yield
        except Exception as error:
            summary = read_summary(run_dir)
            known = summary["status"] == "failed" and part(summary, "error").get("message") == str(error)
            if not known and not is_locked(run_dir / ".lock"):  # else the folder is another process's
                record_failure(run_dir, type(error).__name__, str(error))
            raise
        finally:
            if rank() == 0 and read_summary(run_dir)["status"] in ENDED:
                report.append(self.folder, self.number)


WARNED: set[str] = set()  # what jobs in this process have been warned of


@contextmanager
def off_the_screen() -> Iterator[None]:
    """Where jobs share the screen with their sweep, which shows a line of each: a job warns of what none before it has
    warned of, and its train.log has all.
    """

    def is_news(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        news = record.levelno >= logging.WARNING and text not in WARNED
        WARNED.update([text] * news)
        return news

    handlers = screens() if shares_the_screen() else []
    for handler in handlers:
        handler.addFilter(is_news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_news)


def shares_the_screen() -> bool:
    return within_sweep() and HydraConfig.get().runtime.choices["hydra/launcher"] == "basic"


def job_of(cfg: DictConfig) -> Job | None:
    """The job that the run is, where it is one."""
    if not cfg.get("sweep") or cfg.sweep.trial is None:
        return None
    settings: Any = OmegaConf.to_container(cfg.sweep, resolve=True)
    return Job(cfg, Path(cfg.run_dir).parent, cfg.sweep.trial, settings)


def run_as_command(cfg: DictConfig) -> float:
    """The job as a `python train.py` of its own: Lightning repeats the command for each further process of a run.

    Raises:
        UserError: what the run said, where it failed.
        SystemExit: with its exit code, where a signal ended it.
    """
    hydra = HydraConfig.get()
    overrides = [*hydra.overrides.task, f"hydra.run.dir={quoted(cfg.run_dir)}"]
    command = [sys.executable, str(PROJECT / "train.py"), *Source.of_app(hydra).flags, *overrides]
    # In a session of its own, or that of this process's own: Ctrl-C reaches it through this process alone, and once.
    own_session = os.getsid(0) == os.getpid()
    output = subprocess.DEVNULL if shares_the_screen() else None  # which train.log has too
    process = subprocess.Popen(command, cwd=hydra.runtime.cwd, start_new_session=not own_session, stdout=output)
    handlers = {number: signal.signal(number, lambda number, _: process.send_signal(number)) for number in SIGNALS}
    try:
        code = process.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if code in [128 + number for number in SIGNALS]:
        sys.exit(code)
    summary = read_summary(Path(cfg.run_dir))
    if code != 0:
        error = summary.get("error", {})
        raise UserError(f"{error.get('type', 'exit code')}: {error.get('message', code)}")
    return float(summary["monitor"]["best"])
