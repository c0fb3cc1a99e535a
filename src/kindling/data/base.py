"""Data sets that fit in memory: tensors, one indexed read a batch, an order that depends on (seed, epoch) alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from lightning import LightningDataModule
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler

from kindling.data import inputs
from kindling.errors import UserError
from kindling.tasks import Task, restored

SPLIT_SEED = 0  # which rows are held out is part of a data set, not of a run: every seed sees the same splits


SplitName = Literal["train", "val", "test"]


def split_rows(num_rows: int, stratify: Any = None) -> dict[SplitName, np.ndarray]:
    """Row numbers: a tenth, and at least two, for validation and test each; `stratify` holds the class of every row."""
    from sklearn.model_selection import train_test_split  # takes half a second to import: only those who split pay

    held_out = max(2, num_rows // 10)
    rest, test = train_test_split(np.arange(num_rows), test_size=held_out, random_state=SPLIT_SEED, stratify=stratify)
    stratify = None if stratify is None else stratify[rest]
    train, val = train_test_split(rest, test_size=held_out, random_state=SPLIT_SEED, stratify=stratify)
    return {"train": train, "val": val, "test": test}


@dataclass
class Split:
    """x (N, ...), y (N,) or (N, out_features). Where `mean` and `std` are given, x is standardised as it is read."""

    x: Tensor
    y: Tensor
    mean: float | None = None
    std: float = 1.0

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> "Split":
        return replace(self, x=self.x.to(device), y=self.y.to(device))

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        x, y = at(self.x, rows), at(self.y, rows)
        if self.mean is not None:
            x = x.to(torch.get_default_dtype()).sub_(self.mean).div_(self.std)
        return x, y


def at(values: Tensor, rows: Tensor) -> Tensor:
    """`values[rows]` in a tenth of the time for bytes."""
    taken = values.index_select(0, rows.flatten())
    return taken if rows.ndim == 1 else taken.unflatten(0, rows.shape)


def fits(split: Split, device: torch.device) -> bool:
    """Whether the split takes up less than half of the memory that the device has free. XLA devices hold none."""
    if device.type == "cuda":
        return 2 * (split.x.nbytes + split.y.nbytes) < torch.cuda.mem_get_info(device)[0]
    return device.type in ("cpu", "mps")


@dataclass
class Chunk:
    """Several batches in a row, each read when its turn comes, for `SupervisedModule.training_step` to step through."""

    batches: Iterator[tuple[Tensor, Tensor]]


class BatchLoader:
    """Iterates over the batches of a split, for one process of `world_size`; over chunks of `steps_per_call` batches,
    where that is more than one.

    In training (`shuffle`) an epoch is `num_repeats` passes over the rows, each in an order of its own that is drawn
    from (seed, epoch); every process takes equally many steps, for which a few rows may come once more. In evaluation
    the order is that of the split and every row is seen exactly once.

    With several `num_members`, x is (num_members, batch_size, ...) and y likewise: a batch for each member of a
    population, in as many orders, of the seeds from `seed` on, as `num_orders` says (one for all, or one each).
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        num_repeats: int = 1,
        rank: int = 0,
        world_size: int = 1,
        steps_per_call: int = 1,
        num_members: int = 1,
        num_orders: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        num_rows = len(split) * num_repeats
        if shuffle:
            num_rows += -num_rows % world_size
        self.num_repeats = num_repeats
        self.steps_per_call = steps_per_call
        self.num_members = num_members
        self.num_orders = num_orders
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.share = slice(rank, num_rows, world_size)  # of the order, for this process
        self.position = 0  # in the epoch: batches handed out
        self.start = 0  # position of the next epoch to be iterated over
        self.num_batches = -(-len(range(num_rows)[self.share]) // batch_size)
        # What Lightning looks at in a loader: it announces each epoch to `sampler`, and takes all but one kind of it
        # for shuffling.
        self.sampler = self if shuffle else SequentialSampler(split)
        self.batch_sampler = None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch to be iterated over in its middle."""
        self.start = state["position"]

    def __len__(self) -> int:
        return -(-self.num_batches // self.steps_per_call)

    def order(self, seed: int) -> Tensor:
        """The rows of this epoch, for all processes together."""
        if not self.shuffle:
            return torch.arange(len(self.split)).repeat(self.num_repeats)
        # A large multiplier keeps the streams of neighbouring seeds and epochs apart.
        generator = torch.Generator().manual_seed((seed * 1_000_003 + self.epoch) % 2**63)
        passes = [torch.randperm(len(self.split), generator=generator) for _ in range(self.num_repeats)]
        order = torch.cat(passes)
        return torch.cat([order, order[: self.share.stop - len(order)]])

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.num_members == 1:
            return self._read(self.order(self.seed)[self.share])
        orders = torch.stack([self.order(seed)[self.share] for seed in range(self.seed, self.seed + self.num_orders)])
        shape = self.num_members, -1
        return ((x.expand(*shape, *x.shape[2:]), y.expand(*shape, *y.shape[2:])) for x, y in self._read(orders))

    def _read(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        order = order[..., self.position * self.batch_size :]
        rows_of_batches = order.to(self.split.x.device).split(self.batch_size, dim=-1)
        if not (self.num_workers or self.pin_memory):
            return (self.split[rows] for rows in rows_of_batches)
        # Its own generator: a DataLoader that draws from the global one would change what dropout draws.
        return iter(
            DataLoader(
                self.split,  # type: ignore[arg-type]
                sampler=rows_of_batches,
                batch_size=None,
                num_workers=self.num_workers,
                pin_memory=self.pin_memory,
                generator=torch.Generator(),
            )
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor] | Chunk]:
        # A generator: Lightning asks for the iterator of the first epoch before it says which epoch that is.
        self.position, self.start = self.start, 0
        batches = self.batches()
        while self.position < self.num_batches:
            self.position = min(self.position + self.steps_per_call, self.num_batches)
            yield next(batches) if self.steps_per_call == 1 else Chunk(islice(batches, self.steps_per_call))


class InMemoryDataModule(LightningDataModule):
    """A subclass names its `tasks` and loads its splits; everything else about batches is here.

    Args:
        batch_size: rows a training step and process; null divides the whole split among the processes.
        seed: of the order of the training batches.
        num_repeats: passes over the training split that make an epoch. More than one where a pass is so short that
            validating and saving after each would take longer than the pass.
        device_resident: whether the rows lie on the device that trains, so that reading a batch copies nothing to it;
            auto: where they take up less than half of what it has free.
        num_workers: processes that read batches ahead where the rows are not on the device.
    """

    tasks: ClassVar[tuple[str, ...]]
    source: str = "in memory"  # where the data came from, for the record
    task: Task
    splits: dict[SplitName, Split]
    state: dict[str, Any] | None = None  # out of a checkpoint

    def __init__(
        self,
        batch_size: PositiveInt | None = 128,
        seed: int = 0,
        num_repeats: PositiveInt = 1,
        device_resident: bool | Literal["auto"] = "auto",
        num_workers: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        self.num_repeats = num_repeats
        self.device_resident = device_resident
        self.num_workers = num_workers
        self.steps_per_call = 1  # in training
        self.num_members = 1  # of a population
        self.own_orders = False  # of the training batches, for each member

    def load(self) -> None:
        """Set `task` and `splits`."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "splits"):
            task = self.task if self.state else None
            self.load()
            if task is not None:
                self._fit_in(task)

    def state_dict(self) -> dict[str, Any]:
        """What a model needs of the data besides their rows, as plain data: every checkpoint carries it."""
        train = self.splits["train"]
        shape = list(train.x.shape[1:])
        return {"row_shape": shape, "mean": train.mean, "std": train.std, "task": self.task.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows that are loaded later are prepared as those were that the model learned from; if ever they are."""
        if not hasattr(self, "splits"):
            self.state = state_dict
            self.task = restored(state_dict["task"])

    def _fit_in(self, task: Task) -> None:
        """Put the checkpoint's task and statistics in the place of those that these rows have."""
        assert self.state is not None
        loaded, shape = self.task, self.splits["train"].x.shape[1:]
        if type(loaded) is not type(task) or loaded.out_features != task.out_features:
            raise UserError(
                f"data: are {loaded.name} with {loaded.out_features} outputs, and the model has learned "
                f"{task.name} with {task.out_features}"
            )
        if list(shape) != self.state["row_shape"]:
            raise UserError(f"data: have rows of shape {list(shape)}, and the model takes {self.state['row_shape']}")
        mean, std = self.state["mean"], self.state["std"]
        self.task = task
        self.splits = {name: replace(split, mean=mean, std=std) for name, split in self.splits.items()}

    @property
    def row_shape(self) -> list[int]:
        """Of one row of x."""
        return list(self.state["row_shape"] if self.state else self.splits["train"].x.shape[1:])

    def read_inputs(self, path: Path) -> Tensor:
        """New rows of x from a file, as they are before they are standardised: float32 (N, ...).

        Raises:
            UserError: where they cannot be read, or are not what the model takes.
        """
        return inputs.read_array(path, self.row_shape)

    def raw_inputs(self, split: SplitName) -> Tensor:
        """The x of a split as `read_inputs` would give them."""
        return self.splits[split].x.float()

    def preprocessing(self) -> nn.Module:
        """From what `read_inputs` gives to what the model takes."""
        state = self.state or self.state_dict()
        if state["mean"] is None:
            return nn.Identity()
        return inputs.Standardize(torch.tensor(state["mean"]), torch.tensor(state["std"]))

    @property
    def in_features(self) -> int:
        return prod(self.row_shape)

    @property
    def out_features(self) -> int:
        return self.task.out_features

    def _loader(self, split: Split, train: bool = False) -> BatchLoader:
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        resident = fits(split, device) if self.device_resident == "auto" else self.device_resident
        batch_size = self.batch_size or -(-len(split) // world_size)
        if not train:
            batch_size *= 4  # where no gradients are kept, so many rows take no more memory than training does
        # Overfitting on purpose means the same batches over and over.
        shuffle = train and not (trainer and trainer.overfit_batches > 0)  # type: ignore[attr-defined]
        # The same rows in another order make no other batch: drawing orders of whole splits would be idle.
        own_orders = shuffle and self.own_orders and batch_size % len(split) != 0
        return BatchLoader(
            split.to(device) if resident else split,
            batch_size,
            shuffle,
            self.seed,
            self.num_repeats if train else 1,
            rank,
            world_size,
            self.steps_per_call if train else 1,
            self.num_members,
            num_orders=self.num_members if own_orders else 1,
            num_workers=0 if resident and device.type != "cpu" else self.num_workers,
            pin_memory=device.type == "cuda" and not resident,
        )

    def train_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["train"], train=True)

    def val_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["val"])

    def test_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["test"])

    def evaluation_loader(self, split: SplitName) -> BatchLoader:
        """The batches of any split, as those of the test are read."""
        return self._loader(self.splits[split])
