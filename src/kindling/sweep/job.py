"""What a run does besides, where it is a job of a sweep."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from kindling import report
from kindling.errors import Pruned, UserError
from kindling.resume import quoted
from kindling.run_folder import read_summary, write_whole
from kindling.signals import SIGNALS
from kindling.summary import PROJECT, rank

ENDED = ("completed", "failed", "pruned")


@dataclass(frozen=True)
class Job:
    """One of a sweep, whose folder is that above the run's; `settings` are those of conf/sweep."""

    folder: Path
    number: int
    settings: dict[str, Any]

    def callbacks(self, monitor: str) -> list[Callback]:
        if self.settings["pruner"] == "none":
            return []
        from kindling.sweep.pruning import Pruning  # imports Optuna, for which no other run should wait

        return [Pruning(self, monitor)]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """See to it that the job's folder says how the job ended, and the table of the sweep too."""
        run_dir = self.folder / str(self.number)
        try:
            yield
        except Pruned:
            raise
        except Exception as error:
            summary = read_summary(run_dir)
            if summary["status"] != "failed" or summary["error"]["message"] != str(error):
                record_failure(run_dir, type(error).__name__, str(error))
            raise
        finally:
            if rank() == 0 and read_summary(run_dir)["status"] in ENDED:
                report.append(self.folder, self.number)


def take_job(cfg: DictConfig) -> Job | None:
    """The job that the run is, where it is one. How a run came about is no part of its config, and is taken out."""
    job = None
    if cfg.get("sweep") and cfg.sweep.trial is not None:
        settings: Any = OmegaConf.to_container(cfg.sweep, resolve=True)
        job = Job(Path(cfg.run_dir).parent, cfg.sweep.trial, settings)
        if is_unfinished(Path(cfg.run_dir)):  # by the same job, which was killed or failed
            cfg.resume = cfg.run_dir
    with open_dict(cfg):
        cfg.pop("sweep", None)
    return job


def is_unfinished(run_dir: Path) -> bool:
    """Whether the folder holds a run that stopped before its end."""
    return read_summary(run_dir)["status"] in ("running", "interrupted", "failed")


def within_sweep() -> bool:
    """Whether this process is that of a sweep, or one that a launcher has started for it."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def run_as_command(cfg: DictConfig) -> float:
    """The job as a `python train.py` of its own: Lightning repeats the command for each further process of a run.

    Raises:
        UserError: what the run said, where it failed.
        SystemExit: with its exit code, where a signal ended it.
    """
    overrides = [*HydraConfig.get().overrides.task, f"hydra.run.dir={quoted(cfg.run_dir)}"]
    command = [sys.executable, str(PROJECT / "train.py"), *overrides]
    # In a session of its own, or that of this process's own: Ctrl-C reaches it through this process alone, and once.
    own_session = os.getsid(0) == os.getpid()
    process = subprocess.Popen(command, cwd=HydraConfig.get().runtime.cwd, start_new_session=not own_session)
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


def record_failure(run_dir: Path, kind: str, message: str) -> None:
    """In the summary of a job that could not do so itself."""
    summary = {**read_summary(run_dir), "status": "failed", "error": {"type": kind, "message": message}}
    write_whole(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
