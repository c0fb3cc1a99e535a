from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from stream.file import ROW, Bytes, vary, write


def unpack(rows: Bytes) -> list[Tensor]:
    """x (N, 784) between 0 and 1, y (N,)."""
    return [torch.tensor(rows[:, 1:], dtype=torch.float32) / 255, torch.tensor(rows[:, 0], dtype=torch.long)]


class Stream(IterableDataset[list[Tensor]]):
    """The file's batches in their order, again and again. Where it is, is its state, for a loader that asks for it."""

    def __init__(self, path: Path, batches: int, batch_size: int) -> None:
        self.path, self.batches, self.batch_size = path, batches, batch_size
        self.start = self.position = 0

    def __iter__(self) -> Iterator[list[Tensor]]:
        self.position = self.start
        while True:
            offset = self.position % self.batches * self.batch_size * ROW
            self.position += 1  # before the yield, while which the state may be asked for
            # A map of this batch alone: one of the whole file would count each page read as this process's memory.
            yield unpack(np.memmap(self.path, np.uint8, "r", offset, (self.batch_size, ROW)))

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.start = state_dict["position"]


class StreamData(L.LightningDataModule):
    """Batches x (N, 784), y (N,) of a file of any size; one process reads it."""

    def __init__(self, folder: str, megabytes: int, batch_size: int, stateful: bool) -> None:
        super().__init__()
        self.path, self.rows = Path(folder) / f"digits_{megabytes}MB.bin", megabytes * 1_000_000 // ROW
        self.batch_size, self.stateful = batch_size, stateful

    def prepare_data(self) -> None:
        if not self.path.exists():
            write(self.path, 0, 4000, self.rows)

    def setup(self, stage: str) -> None:
        self.train = Stream(self.path, self.rows // self.batch_size, self.batch_size)
        self.beginning = Stream(self.path, 1, min(self.rows, 10_000))
        parts = (vary(first, first + 500, 2000, seed=first) for first in (4000, 4500))
        self.val, self.test = (TensorDataset(*unpack(rows)) for rows in parts)

    def train_dataloader(self) -> DataLoader:
        if self.stateful:
            from torchdata.stateful_dataloader import StatefulDataLoader  # only this needs torchdata

            return StatefulDataLoader(self.train, batch_size=None)
        return DataLoader(self.train, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=500)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=500)
