"""The jobs of a sweep, run one after the other or side by side, and what came of them."""

import gc
import logging
import math
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial, TrialState
from tqdm import tqdm

from kindling import report
from kindling.config.quoting import override, quoted
from kindling.config.sources import split
from kindling.config.sweep_record import Record
from kindling.errors import UserError, did_you_mean, some
from kindling.folders import number as measured
from kindling.folders import part, read_overrides, read_summary, write_whole
from kindling.process import exit_codes, no_less_than
from kindling.reopening.run import Run
from kindling.running import figures
from kindling.sweep.job_folder import clear, facts, is_unfinished, lacking, left_behind, record_failure
from kindling.sweep.space import Space
from kindling.sweep.study import Queue, job_of
from kindling.text import columns, in_terminal, in_width, printable


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
        self.flags, _ = split(record.command)
        self.trials: dict[int, Trial] = {}
        self.began, self.ended_here = time.monotonic(), 0

    def run(self) -> None:
        """Raises:
        SystemExit: with a sentence where jobs are failed, by whichever process; with 128 + the signal after one.
        """
        jobs = f"{self.record.n_trials} job{'s' * (self.record.n_trials != 1)}"
        self.say(f"{self.folder}: {jobs}, {self.queue.count_done()} of them done")
        go_on = shlex.join(["python", "train.py", "-m", *self.flags, override("sweep.resume", str(self.folder))])
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
        self.say(*contents.lines()[:-1])
        print(contents.lines()[-1], flush=True)
        draw_best(self.folder)
        failed = self.queue.failed()
        left = self.record.n_trials - self.queue.count_done() - len(failed)
        if left and self.has_failed_enough():
            print(f"{left} jobs were not run, since sweep.max_failures={self.settings.max_failures}", flush=True)
        elif left:
            print(f"{left} jobs are with other processes", flush=True)
        if failed:
            numbers = some(failed)
            sys.exit(f"error: {len(failed)} of {self.record.n_trials} jobs failed ({numbers}); to try again: {go_on}")

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
            number = job_of(trial)
            self.trials[number] = trial
            run_dir = self.folder.absolute() / str(number)
            status = left_behind(run_dir)
            if lacking(run_dir) or self.space.values(read_overrides(run_dir)) not in ({}, trial.params):
                clear(run_dir)  # there may be nothing yet, or what is left of a job
            elif status in ("completed", "pruned"):
                self.settle(number, None)
                continue
            if is_unfinished(run_dir):
                self.say(f"job {number}: {self.swept(number)}  (goes on)")
            overrides = self.space.overrides(trial.params)
            run_dir.mkdir(exist_ok=True)
            write_whole(run_dir / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create([*self.flags, *overrides])))
            identity = [f"sweep.name={quoted(self.record.name)}", f"sweep.trial={number}"]
            place = [f"hydra.sweep.dir={quoted(run_dir.parent)}", f"hydra.sweep.subdir={number}"]
            yield number, [*overrides, *identity, *place]

    def has_failed_enough(self) -> bool:
        most = self.settings.max_failures
        return most is not None and len(self.queue.failed()) >= most

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
            self.queue.tell(trial, TrialState.PRUNED, None, facts(run_dir))
        elif summary["status"] == "completed":
            self.queue.tell(trial, TrialState.COMPLETE, cast(list[float], list(values.values())), facts(run_dir))
        else:
            self.queue.tell(trial, TrialState.FAIL, None, facts(run_dir))
            gc.collect()  # the error's traceback holds what the job had on the GPU
        self.ended_here += 1
        if summary["status"] not in ("completed", "pruned"):
            print(in_width(f"job {number}: {outcome(summary, values)}  {self.swept(number)}"), flush=True)
            return
        told, progress = f"job {number}: {outcome(summary, values)}", self.progress()
        room = columns() - len(f"{told}    {progress}") if in_terminal() else None
        self.say("  ".join(filter(None, [told, shortened(self.swept(number), room), progress])))

    def say(self, *lines: str) -> None:
        if not self.settings.quiet:
            print(*map(in_width, lines) if in_terminal() else lines, sep="\n", flush=True)

    def swept(self, number: int) -> str:
        return printable("  ".join(self.space.drawn(self.trials[number].params)))

    def progress(self) -> str:
        """Of all jobs, whoever runs them; the time left is that of this process alone, at the pace that it has kept."""
        ended = self.queue.count_done() + len(self.queue.failed())
        left = self.record.n_trials - ended
        seconds = (time.monotonic() - self.began) / self.ended_here * left
        time_left = f", {tqdm.format_interval(seconds)} left" if left > 0 else ""
        return f"[{ended} of {self.record.n_trials}{time_left}]"


def shortened(text: str, width: int | None) -> str:
    """Overrides, for so many columns; None: as they are. Without their sections, and where that is not enough, cut."""
    if width is None or len(text) <= width:
        return text
    text = re.sub(r"(^|  )[+~]*[\w.]*\.(\w+=)", r"\1\2", text)
    return text if len(text) <= width else f"{text[: width - 3]}..." if width > 8 else ""


def check_measured(values: dict[str, float | None], summary: dict[str, Any], folder: Path) -> None:
    """Raises:
    UserError: where an objective is nothing that a run measures.
    """
    known = [
        *part(summary, "last_epoch"),
        *part(summary, "metrics"),
        "parameters",
        "epochs",
        "seconds",
        "samples_per_second",
    ]
    for name, value in values.items():
        if value is None:
            raise UserError(
                f"sweep.objectives: no run measures {name}, only {some(known)}{did_you_mean(name, known)}; "
                f"start anew with another sweep.name, or delete {folder}"
            )


def outcome(summary: dict[str, Any], values: dict[str, float | None]) -> str:
    told = [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
    if error := part(summary, "error"):
        told = [f"{error.get('type')}: {error.get('message')}"]
    seconds = sum(filter(None, map(measured, part(summary, "seconds").values())))
    return printable("  ".join([str(summary["status"]), *told, f"({seconds:.1f} s)"]))


def draw_best(folder: Path) -> None:
    """The pictures of the best run, which no job of a sweep draws by itself."""
    for number in report.best(folder)["job"].tolist():
        run_dir = folder / str(number)
        if (run_dir / "checkpoints" / "best.ckpt").exists() and not (run_dir / "figures").exists():
            # A model that may not be opened unasked; and what the data say of themselves, the jobs have said already.
            with suppress(UserError), no_less_than(logging.ERROR, "kindling"):
                run = Run(run_dir)
                split = figures.split_of(run.cfg)
                figures.draw(run_dir, run.model, run.datamodule, figures.trace_in(run.content), split=split)
            if (run_dir / "report.html").exists():
                report.write_run(run_dir)  # with them
