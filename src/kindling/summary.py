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
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from kindling.config import choice
from kindling.data.base import InMemoryDataModule
from kindling.errors import Pruned, UserError
from kindling.models.base import SupervisedModule
from kindling.models.population import Population
from kindling.run_folder import write_whole
from kindling.signals import SIGNALS

PROJECT = Path(__file__).parents[2]  # where the package is installed to be edited; elsewhere there is no revision
INTERRUPTED = {128 + number: number.name for number in SIGNALS}  # exit codes, as shells count them


class Summary(dict[str, Any]):
    """The record of one run, written to `path` on entry, at each `write()`, and on exit with how it ended.

    Only a process where it is `enabled` touches the file.
    """

    def __init__(self, path: Path, enabled: bool, **fields: Any) -> None:
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


def rank() -> int:
    """Of this process among those of the run; also before Lightning has started them."""
    return int(getattr(rank_zero_only, "rank", 0))


def open_summary(cfg: DictConfig, run_dir: Path, resume: bool = False) -> Summary:
    """Begin the run's folder: the composed config, what was asked for, and the summary; or go on with them.

    Raises:
        UserError: where the folder cannot be written to, or holds another run.
    """
    before: dict[str, Any] = {}
    enabled = rank() == 0
    if enabled:
        if resume:
            before = json.loads((run_dir / "summary.json").read_text())
        elif holds_a_run(run_dir):
            raise UserError(
                f"{run_dir} already holds a run; choose another hydra.run.dir, delete it, or go on: resume={run_dir}"
            )
        overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
        overrides = [text for text in overrides if not re.match(r"resume=|sweep[.=]", text)]
        try:
            write_whole(run_dir / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
            write_whole(run_dir / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(overrides)))
        except OSError as error:
            raise UserError(f"the run folder {run_dir} cannot be written to: {error.strerror}") from None
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    history = {"started": before.get("started", now), "resumed": [*before.get("resumed", []), *[now] * resume]}
    return Summary(run_dir / "summary.json", enabled, **{**before, **history, "seed": cfg.seed, **environment()})


def holds_a_run(run_dir: Path) -> bool:
    """Whether anything would be lost: a run that failed before its first checkpoint has nothing to lose."""
    if not (run_dir / "summary.json").exists():
        return False
    status = json.loads((run_dir / "summary.json").read_text()).get("status")
    return status != "failed" or (run_dir / "checkpoints").exists()


@cache  # of all jobs of one process: they run the code that it has read
def environment() -> dict[str, Any]:
    """What the result depends on besides the config."""
    packages = ("torch", "lightning", "hydra-core", "torchmetrics", "torchvision", "numpy")
    return {
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "git": {"revision": _git("rev-parse", "HEAD"), "dirty": _git("status", "--porcelain") not in ("", None)},
    }


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", PROJECT, *args], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def description(
    cfg: DictConfig, trainer: L.Trainer, datamodule: InMemoryDataModule, model: SupervisedModule
) -> dict[str, Any]:
    """What is known before training."""
    device = trainer.strategy.root_device
    return {
        "model": choice("model", cfg),
        "parameters": sum(parameter.numel() for parameter in model.parameters()) // cfg.population,
        "population": cfg.population,
        "data": {
            "name": choice("data", cfg),
            "source": datamodule.source,
            "sizes": {name: len(split) for name, split in datamodule.splits.items()},
        },
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "num_devices": trainer.world_size,
        "loggers": {name: logger.version for name, logger in zip(cfg.logger, trainer.loggers, strict=False)},
    }


def results(
    cfg: DictConfig, trainer: L.Trainer, model: SupervisedModule, seconds: float, score: float
) -> dict[str, Any]:
    """What is known after training."""
    monitor = {"name": cfg.monitor, "mode": cfg.mode, "best": score}
    if isinstance(model, Population) and model.best_values:
        best, scores = model.best_member, model.best_scores
        monitor["best_seed"] = model.seeds[best]
        monitor["best_member"] = float(scores[best])
        monitor["diverged"] = int((~scores.isfinite()).sum())
    return {
        "monitor": monitor,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "samples_per_second": round(model.num_samples / seconds),
        "last_epoch": {name: float(value) for name, value in trainer.callback_metrics.items()},
    }


def headline(summary: Summary) -> str:
    data, population = summary["data"], summary["population"]
    sizes = " / ".join(f"{size:,}" for size in data["sizes"].values())
    return (
        f"{summary['model']} on {data['name']} ({data['source']}: {sizes} rows), "
        f"{summary['parameters']:,} parameters{f' x {population:,}' if population > 1 else ''}, {summary['device']}"
    )


def footer(cfg: DictConfig, summary: Summary) -> str:
    metrics = summary["metrics"]
    names = [name for name in metrics if name.rpartition("_")[0] not in metrics]
    spread = {name: f" ± {metrics[f'{name}_std']:.2g}" if f"{name}_std" in metrics else "" for name in names}
    tested = "  ".join(f"{name} {metrics[name]:.4g}{spread[name]}" for name in names)
    epochs = f"{summary['epochs']} epoch{'s' * (summary['epochs'] != 1)}"
    return f"{tested}  ({epochs} in {summary['seconds']['fit']:.1f} s)\n{cfg.run_dir}"
