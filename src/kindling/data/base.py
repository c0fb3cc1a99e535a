"""Data sets that fit in memory: tensors, one indexed read a batch, an order that depends on (seed, epoch) alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from lightning import LightningDataModule
from pydantic import PositiveInt
from torch import Tensor

from kindling.tasks import Task

SPLIT_SEED = 0  # which rows are held out is part of a data set, not of a run: every seed sees the same splits


@dataclass
class Split:
    """x (N, ...), y (N,) or (N, out_features). Where `mean` and `std` are given, x is standardised as it is read."""

    x: Tensor
    y: Tensor
    mean: float | None = None
    std: float = 1.0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        x = self.x[index]
        if self.mean is not None:
            x = x.to(torch.get_default_dtype()).sub_(self.mean).div_(self.std)
        return x, self.y[index]


class BatchLoader:
    """Iterates over the batches of a split, for one process of `world_size`.

    In training (`shuffle`) the order is drawn from (seed, epoch), and rows are repeated so that every process takes
    equally many steps. In evaluation the order is that of the split and every row is seen exactly once.
    """

    def __init__(
        self, split: Split, batch_size: int, shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.sampler = self  # Lightning announces a new epoch to `loader.sampler`

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._share()) // self.batch_size)

    def _share(self) -> range:
        """Positions, in the order of the epoch, of the rows that this process reads."""
        num_rows = len(self.split)
        if self.shuffle:
            num_rows = -(-num_rows // self.world_size) * self.world_size
        return range(self.rank, num_rows, self.world_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        num_rows = len(self.split)
        if self.shuffle:
            # Large multipliers keep the streams of neighbouring seeds and epochs apart.
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) & 0x7FFF_FFFF_FFFF_FFFF)
            order = torch.randperm(num_rows, generator=generator)
        else:
            order = torch.arange(num_rows)
        share = self._share()
        order = order[torch.arange(share.start, share.stop, share.step) % num_rows]
        for batch in order.split(self.batch_size):
            yield self.split[batch]


class InMemoryDataModule(LightningDataModule):
    """A subclass names its `tasks` and loads its splits; everything else about batches is here.

    Args:
        batch_size: rows a step and device; null takes the whole split.
        seed: of the order of the training batches.
    """

    tasks: ClassVar[tuple[str, ...]]
    source: str = "bundled"  # where the data came from, for the record
    task: Task
    splits: dict[Literal["train", "val", "test"], Split]

    def __init__(self, batch_size: PositiveInt | None = 128, seed: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed

    def load(self) -> None:
        """Set `task` and `splits`."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "splits"):
            self.load()

    @property
    def in_features(self) -> int:
        return self.splits["train"].x[0].numel()

    @property
    def out_features(self) -> int:
        return self.task.out_features

    def _loader(self, split: Split, shuffle: bool = False) -> BatchLoader:
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return BatchLoader(split, self.batch_size or len(split), shuffle, self.seed, rank, world_size)

    def train_dataloader(self) -> BatchLoader:
        overfit = self.trainer is not None and self.trainer.overfit_batches > 0  # the same batches over and over
        return self._loader(self.splits["train"], shuffle=not overfit)

    def val_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["val"])

    def test_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["test"])
