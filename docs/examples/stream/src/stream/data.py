from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from stream.file import ROW, Bytes, digits, vary, write

Batch = tuple[Tensor, Tensor]


@lru_cache(maxsize=1)
def order_of(number: int, blocks: int) -> Any:
    """Of the blocks, in that pass over the file."""
    return np.random.default_rng(number).permutation(blocks)


def unpack(rows: Bytes) -> Batch:
    """x (N, 784) between 0 and 1, y (N,)."""
    return torch.tensor(rows[:, 1:], dtype=torch.float32) / 255, torch.tensor(rows[:, 0], dtype=torch.long)


class Stream(IterableDataset[Batch]):
    """The file's blocks of rows without an end, each pass in another order. Batch i depends on i alone."""

    def __init__(self, path: Path, rows: int, block: int) -> None:
        self.path = path
        self.blocks = rows // block
        self.block = block

    def batch(self, index: int) -> Batch:
        block = int(order_of(index // self.blocks, self.blocks)[index % self.blocks])
        # A map of this block alone: the pages of a map of the whole file would count as this process's memory.
        rows = np.memmap(self.path, np.uint8, "r", block * self.block * ROW, (self.block, ROW))
        return unpack(rows)

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(index) for index in count())


class StatefulStream(Stream):
    """The same, going on where it was."""

    position = 0

    def __iter__(self) -> Iterator[Batch]:
        while True:
            self.position += 1  # before the yield, while which the state may be asked for
            yield self.batch(self.position - 1)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.position = state_dict["position"]


class StreamData(L.LightningDataModule):
    """Batches x (N, 784), y (N,) of a file of any size, made of 4,000 handwritten digits; one process reads it. The other
    1,000 are for validation and the test, moved and noisy likewise.
    """

    def __init__(self, folder: str, megabytes: int, batch_size: int, stateful: bool) -> None:
        super().__init__()
        self.rows = megabytes * 1_000_000 // ROW
        self.path = Path(folder) / f"digits_{megabytes}MB.bin"
        self.batch_size = batch_size
        self.stateful = stateful

    def prepare_data(self) -> None:
        if not self.path.exists():
            images, labels = digits()
            write(self.path, images[:4000], labels[:4000], self.rows)

    def setup(self, stage: str) -> None:
        images, labels = digits()
        kind = StatefulStream if self.stateful else Stream
        self.train = kind(self.path, self.rows, self.batch_size)
        self.val, self.test = (
            TensorDataset(*unpack(vary(images[part], labels[part], 2000, seed)))
            for part, seed in ((slice(4000, 4500), 1), (slice(4500, 5000), 2))
        )

    def first(self, rows: int) -> Batch:
        """The first rows of the file."""
        return unpack(np.memmap(self.path, np.uint8, "r", 0, (min(rows, self.rows), ROW)))

    def train_dataloader(self) -> DataLoader:
        if self.stateful:
            from torchdata.stateful_dataloader import StatefulDataLoader  # only this needs torchdata

            return StatefulDataLoader(self.train, batch_size=None)
        return DataLoader(self.train, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=500)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=500)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
