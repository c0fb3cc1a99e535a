"""The jobs of a sweep, run one after the other or side by side, and what came of them."""

import gc
import logging
import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial, TrialState

from kindling import report
from kindling.config.resume import quoted
from kindling.config.sweep_record import Record
from kindling.errors import UserError, did_you_mean
from kindling.folders import is_locked, read_summary, write_whole
from kindling.process import exit_codes
from kindling.reopening.run import Run
from kindling.running import figures
from kindling.sweep.job import is_unfinished, record_failure
from kindling.sweep.space import Space
from kindling.sweep.study import Queue
from kindling.text import printable


class Sweep:
    """Takes trials from the queue, has their jobs run, and tells the study what came of them."""

    def __init__(
        self, folder: Path, record: Record, space: Space, queue: Queue, launcher: Launcher, config: DictConfig
    ) -> None:
        self.folder = folder
        self.record = record
        self.space = space
        self.queue = queue
        self.launcher = launcher
        self.settings = config.sweep
        self.hydra = config.hydra
        self.trials: dict[int, Trial] = {}
        self.failed: list[int] = []

    def run(self) -> None:
        """Raises:
        SystemExit: with a sentence where jobs failed; with 128 + the signal after one.
        """
        print(f"{self.folder}: {self.record.n_trials} jobs, {self.queue.count_done()} of them done", flush=True)
        go_on = f"python train.py -m sweep.resume={shlex.quote(str(self.folder))}"
        try:
            with self.queue.working(), exit_codes():
                for number, error in self.ended():
                    self.settle(number, error)
        except SystemExit:
            done = self.queue.count_done()
            print(f"stopped, {done} of {self.record.n_trials} jobs done; to go on: {go_on}", flush=True)
            raise
        finally:
            contents = report.write(self.folder)
        print(*contents.lines(), sep="\n", flush=True)
        draw_best(self.folder)
        left = self.record.n_trials - self.queue.count_done() - len(self.failed)
        if left and self.has_failed_enough():
            print(f"{left} jobs were not run, since sweep.max_failures={self.settings.max_failures}", flush=True)
        elif left:
            print(f"{left} jobs are with other processes", flush=True)
        if self.failed:
            numbers = ", ".join(map(str, self.failed))
            sys.exit(
                f"error: {len(self.failed)} of {self.record.n_trials} jobs failed ({numbers}); to try again: {go_on}"
            )

    def ended(self) -> Iterator[tuple[int, Exception | None]]:
        """The numbers of the jobs, as they end, and what their process died of."""
        option = self.hydra.runtime.choices["hydra/launcher"]  # not its class: Hydra imports plugins a second time
        if option == "processes":
            for number, result in cast(Any, self.launcher).stream(self.jobs()):
                yield number, result._return_value if result.status is JobStatus.FAILED else None
            return
        for name in ("hydra._internal", "hydra_plugins"):  # their launchers list every job, as jobs() does
            logging.getLogger(name).setLevel(logging.WARNING)
        jobs = self.jobs()
        batch_size = 1 if option == "basic" else self.settings.batch_size
        while batch := list(islice(jobs, batch_size)):
            died = None
            try:
                self.launcher.launch([overrides for _, overrides in batch], batch[0][0])
            except Exception as error:  # of a cluster's launcher, about any of the jobs
                died = error
            for number, _ in batch:
                left_behind(self.folder / str(number))  # where one dies, its launcher does not wait for the others
                yield number, died

    def jobs(self) -> Iterator[tuple[int, list[str]]]:
        """Number and overrides of what is to be run; what a dead process has finished is settled on the way."""
        while not self.has_failed_enough() and (trial := self.queue.take(self.record.n_trials)):
            self.trials[trial.number] = trial
            run_dir = self.folder.absolute() / str(trial.number)
            status = left_behind(run_dir)
            if status in ("completed", "pruned"):
                self.settle(trial.number, None)
                continue
            swept = "  ".join(f"{key}={trial.params[key]}" for key in self.space.swept)
            print(
                f"job {trial.number}: {printable(swept)}{'  (goes on)' if is_unfinished(run_dir) else ''}", flush=True
            )
            overrides = self.space.overrides(trial.params)
            run_dir.mkdir(exist_ok=True)
            write_whole(run_dir / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(overrides)))
            identity = [f"sweep.name={quoted(self.record.name)}", f"sweep.trial={trial.number}"]
            place = [f"hydra.sweep.dir={quoted(run_dir.parent)}", f"hydra.sweep.subdir={trial.number}"]
            yield trial.number, [*overrides, *identity, *place]

    def has_failed_enough(self) -> bool:
        return self.settings.max_failures is not None and len(self.failed) >= self.settings.max_failures

    def settle(self, number: int, died_of: Exception | None) -> None:
        """Tell the study what the job's folder says."""
        run_dir, trial = self.folder / str(number), self.trials[number]
        summary = read_summary(run_dir)
        values = {name: report.objective(summary, name) for name in self.record.objectives}
        wrong = None
        if summary["status"] in ("running", "unreadable"):
            wrong = ("Killed", str(died_of or "the process ended before the run did"))
        elif summary["status"] == "completed":
            check_measured(values, summary, self.folder)
            if not all(map(math.isfinite, cast(dict[str, float], values).values())):
                wrong = ("NotFinite", ", ".join(f"{name} is {value}" for name, value in values.items()))
        if wrong:
            record_failure(run_dir, *wrong)
            report.append(self.folder, number)
            summary = read_summary(run_dir)
        if summary["status"] == "pruned":
            self.queue.study.tell(trial, state=TrialState.PRUNED)
        elif summary["status"] == "completed":
            self.queue.study.tell(trial, cast(list[float], list(values.values())))
        else:
            self.failed.append(number)
            gc.collect()  # the error's traceback holds what the job had on the GPU
        print(f"job {number}: {outcome(summary, values)}", flush=True)


def check_measured(values: dict[str, float | None], summary: dict[str, Any], folder: Path) -> None:
    """Raises:
    UserError: where an objective is nothing that a run measures.
    """
    known = [*summary["last_epoch"], *summary["metrics"], "parameters", "epochs", "seconds", "samples_per_second"]
    for name, value in values.items():
        if value is None:
            raise UserError(
                f"sweep.objectives: no run measures {name}, only {', '.join(known)}{did_you_mean(name, known)}; "
                f"start anew with another sweep.name, or delete {folder}"
            )


def outcome(summary: dict[str, Any], values: dict[str, float | None]) -> str:
    told = [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
    if "error" in summary:
        told = [f"{summary['error']['type']}: {summary['error']['message']}"]
    seconds = sum(summary.get("seconds", {}).values())
    return printable("  ".join([str(summary["status"]), *told, f"({seconds:.1f} s)"]))


def left_behind(run_dir: Path) -> str | None:
    """The status of a job that another process began, once nothing trains in its folder any more."""
    if not (run_dir / "summary.json").exists():
        return None
    if is_locked(run_dir / ".lock"):
        print(f"waiting for {run_dir}, where a process still trains", flush=True)
        with FileLock(run_dir / ".lock"):
            pass
    return str(read_summary(run_dir)["status"])


def draw_best(folder: Path) -> None:
    """The pictures of the best run, which no job of a sweep draws by itself."""
    for number in report.best(folder)["job"].tolist():
        run_dir = folder / str(number)
        if (run_dir / "checkpoints" / "best.ckpt").exists() and not (run_dir / "figures").exists():
            with suppress(UserError):  # of a model that may not be opened unasked
                run = Run(run_dir)
                figures.draw(run_dir, run.model, run.datamodule)
