"""Loggers that Lightning does not have."""

import csv
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class CSVLogger(Logger):
    """`metrics.csv` in the run folder: one row an epoch, training and validation side by side.

    Lightning's own writes a row a call, with holes, and empties a folder that it finds.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"
        self._row: dict[str, float] = {}
        self._columns: list[str] = []

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if any(name.startswith("test/") for name in metrics):
            return  # no part of the course of training; summary.json has them
        epoch = int(metrics.get("epoch", self._row.get("epoch", 0)))
        if self._row and epoch != self._row["epoch"]:
            self._write_row()
        self._row.update({"epoch": epoch, "step": step or 0, **{k: v for k, v in metrics.items() if k != "epoch"}})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._row:
            self._write_row()

    def _write_row(self) -> None:
        new = [name for name in self._row if name not in self._columns]
        if new:
            self._rewrite(new)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(self._row)
        self._row = {}

    def _rewrite(self, new: list[str]) -> None:
        """A metric that comes up later gets a column of its own, empty in the rows before.

        Where a run goes on, the epochs before this one stay.
        """
        rows: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                reader = csv.DictReader(file)
                rows = [row for row in reader if int(row["epoch"]) < self._row["epoch"]]
                self._columns = list(reader.fieldnames or [])
        self._columns += [name for name in new if name not in self._columns]
        temporary = self.path.with_suffix(".csv.tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self.path)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder has config.yaml."""


def wandb_logger(save_dir: str, project: str, **kwargs: Any) -> WandbLogger:
    """Weights & Biases: online where a key is configured, else offline with a line that says how to upload later.

    `mode` and the environment variable WANDB_MODE overrule both. Further arguments are those of `wandb.init`.
    """
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # already before init(), to which Lightning passes what W&B warns of
    mode = kwargs.pop("mode", None) or os.environ.get("WANDB_MODE")
    if mode is None:
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    if mode in ("offline", "dryrun"):
        log.info(f"W&B is offline; to upload the run: wandb sync {save_dir}/wandb/offline-run-*")
    run_id = kwargs.pop("id", None) or wandb.sdk.lib.runid.generate_id()
    settings = wandb.Settings(silent=True, console="off")
    return WandbLogger(save_dir=save_dir, project=project, id=run_id, mode=mode, settings=settings, **kwargs)


def same_run(node: DictConfig, version: str | None) -> dict[str, str]:
    """What makes a logger go on with the run that it knows by `version`; the others write to the same files anyway."""
    return {"id": version} if version and node._target_.endswith("wandb_logger") else {}


@contextmanager
def finished_loggers() -> Iterator[None]:
    """Close W&B's run on every way out: one left open would take in the metrics of the next run of the process."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if "wandb" in sys.modules:
            sys.modules["wandb"].finish(exit_code=exit_code)
