"""The record of a run: `summary.json`, written at the start, true after every exit, replaced as a whole."""

import json
import platform
import re
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kindling.config.asked import Asked, within_sweep
from kindling.errors import Pruned, Refused, UserError
from kindling.folders import PROJECT, read_summary, write_whole
from kindling.process import INTERRUPTED, rank

KINDS: dict[str, type] = {"started": str, "resumed": list}
KINDS |= dict.fromkeys(("data", "metrics", "monitor", "seconds", "loggers"), dict)


class Summary(dict[str, Any]):
    """The record of one run, written to `path` on entry, at each `write()`, and on exit with how it ended.

    Only a process where it is `enabled` touches the file.
    """

    def __init__(self, path: Path, enabled: bool, /, **fields: Any) -> None:
        super().__init__({"metrics": {}, "seconds": {}, **fields, "status": "running"})
        self.pop("error", None)
        self.path = path
        self.enabled = enabled

    def write(self) -> None:
        if not self.enabled:
            return
        write_whole(self.path, json.dumps(self, indent=2, default=str) + "\n")

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Seconds add up over the parts of a run that was interrupted."""
        before, start = self["seconds"].get(phase, 0), time.perf_counter()
        try:
            yield
        finally:
            self["seconds"][phase] = round(before + time.perf_counter() - start, 3)
            with suppress(OSError):  # a full disk is told of by what must be written, a checkpoint or the last summary
                self.write()

    def __enter__(self) -> "Summary":
        self.write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if error is None:
            self["status"] = "completed"
        elif isinstance(error, Pruned):
            self["status"] = "pruned"
        elif isinstance(error, SystemExit) and error.code in INTERRUPTED:
            self["status"] = "interrupted"
            self["error"] = {"type": INTERRUPTED[error.code], "message": f"stopped by {INTERRUPTED[error.code]}"}
        else:
            self["status"] = "failed"
            self["error"] = {"type": type(error).__name__, "message": str(error)}
            if not isinstance(error, UserError | SystemExit):
                self["error"]["traceback"] = traceback.format_exception(error)
        self.write()


def open_summary(cfg: DictConfig, asked: Asked, resume: bool = False) -> Summary:
    """Begin the run's folder: the composed config, what was asked for, and the summary; or go on with them.

    Raises:
        UserError: where the folder cannot be written to, or holds another run.
    """
    run_dir, before = Path(cfg.run_dir), dict[str, Any]()
    about = environment(asked)
    enabled = rank() == 0
    if enabled:
        if resume:
            before = known(read_summary(run_dir))
        elif holds_a_run(run_dir):
            raise UserError(
                f"{run_dir} already holds a run; choose another hydra.run.dir, delete it, or go on: resume={run_dir}"
            )
        try:
            write_config(cfg)
            write_whole(run_dir / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(of_the_run(asked))))
        except OSError as error:
            raise UserError(f"the run folder {run_dir} cannot be written to: {error.strerror}") from None
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    history = {"started": before.get("started", now), "resumed": [*before.get("resumed", []), *[now] * resume]}
    return Summary(run_dir / "summary.json", enabled, **{**before, **history, "seed": cfg.seed, **about})


def write_config(cfg: DictConfig) -> None:
    write_whole(Path(cfg.run_dir, "config.yaml"), OmegaConf.to_yaml(cfg, resolve=True))


@contextmanager
def kept_where_refused(run_dir: Path) -> Iterator[None]:
    """What the folder says of a run that is to go on stays where it does not."""
    files = [run_dir / name for name in ("config.yaml", "overrides.yaml", "summary.json")]
    before = {file: file.read_bytes() for file in files if rank() == 0 and file.exists()}
    try:
        yield
    except Refused:
        for file, content in before.items():
            write_whole(file, content)
        raise


@contextmanager
def refused() -> Iterator[None]:
    """What keeps a run from going on, before it does."""
    try:
        yield
    except UserError as error:
        raise Refused(str(error)) from error


def known(summary: dict[str, Any]) -> dict[str, Any]:
    """What is gone on with of a summary that nobody vouches for: fields of the kind that they should be."""
    before: dict[str, Any] = {key: value for key, value in summary.items() if isinstance(value, KINDS.get(key, object))}
    seconds, loggers = before.get("seconds", {}), before.get("loggers", {})
    before["seconds"] = {phase: value for phase, value in seconds.items() if isinstance(value, int | float)}
    before["loggers"] = {name: text for name, text in loggers.items() if re.fullmatch(r"[\w.-]+", str(text))}
    return before


def holds_a_run(run_dir: Path) -> bool:
    """Whether anything would be lost: a run that failed before its first checkpoint has nothing to lose."""
    if not (run_dir / "summary.json").exists():
        return False
    status = read_summary(run_dir).get("status")
    return status != "failed" or (run_dir / "checkpoints").exists()


def environment(asked: Asked) -> dict[str, Any]:
    """What the result depends on besides the config, and the command that repeats it."""
    command = [Path(sys.executable).name, *sys.argv]
    of_a_folder = any(text.startswith(("sweep.", "resume=")) for text in asked.overrides)  # and does nothing anew
    if within_sweep() or of_a_folder or not HydraConfig.initialized():  # the latter: a notebook or a script
        command = ["python", "train.py", *of_the_run(asked)]
    return {"command": shlex.join(command), **versions()}


def of_the_run(asked: Asked) -> list[str]:
    """The flags and overrides without those that say how the run was started."""
    return [*asked.flags, *(text for text in asked.overrides if not re.match(r"resume=|sweep[.=]", text))]


@cache  # of all jobs of one process: they run the code that it has read
def versions() -> dict[str, Any]:
    packages = ("torch", "lightning", "hydra-core", "torchmetrics", "torchvision", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "git": {"revision": _git("rev-parse", "HEAD"), "dirty": _git("status", "--porcelain") not in ("", None)},
    }


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", PROJECT, *args], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
