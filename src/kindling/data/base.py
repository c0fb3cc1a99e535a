"""Data sets that fit in memory: a subclass loads its rows as tensors, and their batches are made here."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from kindling.data.identity import digest
from kindling.data.loader import BatchLoader, fits
from kindling.data.splits import Split, SplitName, check_fold, check_weights, some_rows, with_fold
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Regression, Task
from kindling.errors import UserError


class InMemoryDataModule(SupervisedDataModule):
    """A subclass names its `tasks` and loads its splits; everything else about batches is here.

    Args:
        batch_size: rows a training step and process; null divides the whole split among the processes.
        seed: of the order of the training batches.
        num_repeats: passes over the training split that make an epoch. More than one where a pass is so short that
            validating and saving after each would take longer than the pass.
        device_resident: whether the rows lie on the device that trains, so that reading a batch copies nothing to it;
            auto: where they take up less than half of what it has free.
        num_workers: processes that read batches ahead where the rows are not on the device; no more than there are
            processors.
        fold: for cross-validation, from 0: training and validation rows together are divided into `num_folds` parts,
            the same for every seed, of which this one is for validation and the rest for training. The test split
            stays. null keeps the splits as they are.
        num_folds: parts; each row is in one of them, and each class is spread evenly over them.
        num_train: rows to train on, drawn from those there are: the same for every seed, and a larger number has those
            of a smaller one and more. Validation and test stay. null takes them all.

    Raises:
        UserError: where there is no such fold, or there are not so many rows.
    """

    source = "in memory"
    splits: dict[SplitName, Split]

    def __init__(
        self,
        batch_size: PositiveInt | None = 128,
        seed: int = 0,
        num_repeats: PositiveInt = 1,
        device_resident: bool | Literal["auto"] = "auto",
        num_workers: NonNegativeInt = 0,
        fold: NonNegativeInt | None = None,
        num_folds: Annotated[int, Field(ge=2)] = 5,
        num_train: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        check_fold(fold, num_folds)
        self.batch_size = batch_size
        self.seed = seed
        self.num_repeats = num_repeats
        self.device_resident = device_resident
        self.num_workers = num_workers
        self.fold = fold
        self.num_folds = num_folds
        self.num_train = num_train
        self.steps_per_call = 1  # in training
        self.num_members = 1  # of a population
        self.own_orders = False  # of the training batches, for each member

    def load(self) -> None:
        """Set `splits`, and `task` where nothing in it is fitted."""
        raise NotImplementedError

    def fit(self) -> None:
        """Put into `splits` and `task` what is fitted on the rows of `splits["train"]`: called once they are final."""

    def contents(self) -> Iterator[Any]:
        """Tensors, data frames and texts that tell these rows from others, before anything is fitted on them."""
        for name, split in self.splits.items():
            yield from (name, split.x, split.y)
            yield from () if split.weight is None else (split.weight,)
        yield from getattr(getattr(self, "task", None), "classes", ())

    def groups(self) -> Tensor | None:
        """A number for each row of training, then of validation: those with equal ones stay in one fold."""
        return None

    def _prepare(self) -> None:
        task = self.task if self.state else None
        self.load()
        check_weights(self.splits)
        if self.fold is not None:
            self.hold_out(self.fold)
        if self.num_train is not None:
            self.leave_out(self.num_train)
        check_weights(self.splits)  # those that were left may be 0 alone
        self.digest = digest(self.contents())
        train, test = self.splits["train"], self.splits.get("test")
        self.same_rows = test is not None and torch.equal(train.x, test.x) and torch.equal(train.y, test.y)
        self.fit()
        if task is not None:
            self._fit_in(task)
        if self.row_dtype is torch.float64:
            self.splits = {name: replace(split, dtype=self.row_dtype) for name, split in self.splits.items()}

    def hold_out(self, fold: int) -> None:
        """Divide the rows of training and validation anew, before anything is fitted on them."""
        self._check_not_fitted(f"data.fold={fold}", "divided into folds")
        self.splits = with_fold(self.splits, fold, self.num_folds, type(self).__name__, self.groups())

    def leave_out(self, num_train: int) -> None:
        """Keep so many rows of training, before anything is fitted on them."""
        self._check_not_fitted(f"data.num_train={num_train}", "chosen")
        train = self.splits["train"]
        if num_train > len(train) and self.state is None:  # other rows, to be measured with a model, may be fewer
            raise UserError(f"data.num_train={num_train}: {type(self).__name__} has {len(train)} rows for training")
        self.splits = {**self.splits, "train": some_rows(train, num_train)}

    def _check_not_fitted(self, key: str, later: str) -> None:
        name, task = type(self).__name__, getattr(self, "task", None)
        fitted = isinstance(task, Regression) and bool(task.mean.any() or (task.std != 1).any())
        if self.state is None and (fitted or self.splits["train"].mean is not None):
            raise UserError(
                f"{key}: {name} standardises in load(), by rows that are {later} only later; fit() is the place for it"
            )

    def _rows(self) -> tuple[list[int], torch.dtype, Any, Any]:
        train = self.splits["train"]
        return list(train.x.shape[1:]), train.x.dtype, train.mean, train.std

    def _fit_in(self, task: Task) -> None:
        """Put the checkpoint's task and statistics in the place of those that these rows have."""
        self.check_fit(task, self._rows()[0])
        assert self.state is not None
        mean, std = self.state["mean"], self.state["std"]
        self.task = task
        self.splits = {name: replace(split, mean=mean, std=std) for name, split in self.splits.items()}

    @property
    def class_counts(self) -> list[Any] | None:
        """Rows of training by class; of several labels, a pair for each: those without it, and with it."""
        return self.task.counts(self.splits["train"].y)

    def raw_inputs(self, split: SplitName) -> Tensor:
        x = self.splits[split].x
        return x if self.state_dict()["tokens"] else x.to(self.row_dtype)

    def raw_row(self, split: SplitName, row: int) -> Tensor:
        return self.splits[split].x[row]

    def batches(self, split: SplitName) -> Iterator[tuple[Tensor, ...]]:
        rows_of_split = self.splits[split]
        return (rows_of_split[rows] for rows in torch.arange(len(rows_of_split)).split(1024))

    def _loader(self, split: Split, train: bool = False) -> BatchLoader:
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        resident = fits(split, device) if self.device_resident == "auto" else self.device_resident
        batch_size = self.batch_size or -(-len(split.x) // world_size)
        if not train:
            batch_size *= 4  # where no gradients are kept, so many rows take no more memory than training does
        # Overfitting on purpose means the same batches over and over.
        shuffle = train and not (trainer and trainer.overfit_batches > 0)  # type: ignore[attr-defined]
        # The same rows in another order make no other batch: drawing orders of whole splits would be idle.
        own_orders = shuffle and self.own_orders and batch_size % len(split.x) != 0
        return BatchLoader(
            split.to(device) if resident else split,
            min(batch_size, max(len(split.x), 1)),
            shuffle,
            self.seed,
            self.num_repeats if train else 1,
            rank,
            world_size,
            self.steps_per_call if train else 1,
            self.num_members,
            num_orders=self.num_members if own_orders else 1,
            num_workers=0 if resident and device.type != "cpu" else min(self.num_workers, os.cpu_count() or 1),
            pin_memory=device.type == "cuda" and not resident,
        )
