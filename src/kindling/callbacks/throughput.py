"""How fast a run learns."""

import time
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.data import extract_batch_size

from kindling import abilities


class Throughput(Callback):
    """Logs of each epoch how many samples a second all processes have trained on, without the time of validations, as
    `samples_per_second`, and on an NVIDIA GPU the most memory that was taken, as `memory_mib`.
    """

    def __init__(self) -> None:
        self._begun = False  # not in an epoch that was begun before the run stopped
        self._samples: int | None = 0  # of the epoch; None where batches cannot be measured
        self._before = 0
        self._seconds = 0.0
        self._since: float | None = None  # None: the clock stands still

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begun, self._samples, self._seconds, self._since = True, 0, 0.0, time.perf_counter()
        if abilities.offers(pl_module, "progress"):
            self._before = int(pl_module.num_samples)  # type: ignore[arg-type]
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if abilities.offers(pl_module, "progress") or self._samples is None:
            return
        try:
            self._samples += extract_batch_size(batch) * trainer.world_size
        except MisconfigurationException:
            self._samples = None

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pause(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_last_batch:
            self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pause(pl_module)
        if not self._begun:
            return
        if abilities.offers(pl_module, "progress"):
            self._samples = int(pl_module.num_samples) - self._before  # type: ignore[arg-type]
        if self._samples:
            pl_module.log("samples_per_second", self._samples / max(self._seconds, 1e-6), sync_dist=True)
        if pl_module.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(pl_module.device) / 2**20
            pl_module.log("memory_mib", memory, sync_dist=True, reduce_fx="max")

    def _pause(self, pl_module: L.LightningModule) -> None:
        if self._since is None:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)  # what was asked of it has been done only then
        self._seconds += time.perf_counter() - self._since
        self._since = None
