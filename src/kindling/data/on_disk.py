"""Data sets too large for memory: a subclass gives torch Datasets, and their batches are made here."""

import os
from collections.abc import Iterator
from math import prod
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from kindling.data.identity import digest
from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Multilabel, Regression, Task
from kindling.errors import UserError

SHOWN = 2**26  # bytes of raw inputs at once, in single precision


class OnDiskDataModule(SupervisedDataModule):
    """A subclass names its `tasks` and gives a Dataset for each split; everything else about batches is here.

    A row of a dataset is (x, y): x a tensor or array, of the same shape in every row and as it is before it is
    standardised; y the index of a class, or numbers (out_features,). Any more of it is handed on.

    Args:
        batch_size: rows a training step and process.
        num_workers: processes that read batches ahead; no more than there are processors. 0 reads them in this one.
    """

    source = "on disk"
    rows_draw: ClassVar[bool] = True  # whether reading one may draw random numbers; else workers of evaluation stay
    splits: dict[SplitName, Dataset[Any]]
    mean: float | Tensor | None = None  # of x, to be broadcast with a row; None: x is not standardised
    std: float | Tensor = 1.0

    def __init__(self, batch_size: PositiveInt = 32, num_workers: NonNegativeInt = 2) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.num_workers = num_workers

    def load(self) -> None:
        """Set `splits`, and `task` where nothing in it is fitted."""
        raise NotImplementedError

    def fit(self) -> None:
        """Set `mean` and `std`, or the task of a regression, by rows of `splits["train"]` alone."""

    def contents(self) -> Iterator[Any]:
        """Texts and tensors that tell these rows from others, such as `identity.of_files`; else their number does."""
        return iter(())

    def _prepare(self) -> None:
        known = self.task if self.state else None
        self.load()
        self.same_rows = self.splits.get("test") is self.splits["train"]
        found = digest(self.contents())
        self.digest = None if found == digest(()) else found
        if self.state is None:
            self.fit()
        x, y = self._first()
        self._row = list(x.shape), x.dtype
        if known is not None and self.state is not None:
            if hasattr(self, "task"):
                self.check_fit(known, list(x.shape))
            self.task, self.mean, self.std = known, self.state["mean"], self.state["std"]
        numbers = self.task.out_features if isinstance(self.task, Regression | Multilabel) else 1
        if y.numel() != numbers:
            raise UserError(f"data: {type(self).__name__} has {y.numel()} numbers in y, and its task {numbers}")

    def _first(self) -> tuple[Tensor, Tensor]:
        row = self.splits["train"][0]
        if not isinstance(row, tuple | list) or len(row) < 2 or not isinstance(row[0], Tensor | np.ndarray):
            kinds = [type(part).__name__ for part in (row if isinstance(row, tuple | list) else [row])]
            raise UserError(
                f"data: {type(self).__name__} has rows of {', '.join(kinds)}, and (x, y) with a tensor x is needed"
            )
        return torch.as_tensor(row[0]), torch.as_tensor(row[1])

    def _rows(self) -> tuple[list[int], torch.dtype, Any, Any]:
        return *self._row, self.mean, self.std

    def raw_row(self, split: SplitName, row: int) -> Tensor:
        return torch.as_tensor(self.splits[split][row][0])

    def raw_inputs(self, split: SplitName) -> Tensor:
        most = max(1, SHOWN // (4 * prod(self.row_shape)))
        x = torch.stack([self.raw_row(split, row) for row in range(min(self.sizes[split], most))])
        return x if self.state_dict()["tokens"] else x.to(self.row_dtype)

    def _loader(self, split: Dataset[Any], train: bool = False) -> DataLoader[Any]:
        trainer = self.trainer
        num_workers = min(self.num_workers, os.cpu_count() or 1)
        lasting = not (train or self.rows_draw)
        return DataLoader(
            split,
            batch_size=self.batch_size,  # by name: Lightning makes some loaders anew, with its own of some arguments
            # Overfitting on purpose means the same batches over and over.
            shuffle=train and not (trainer and trainer.overfit_batches > 0),  # type: ignore[attr-defined]
            num_workers=num_workers,
            collate_fn=Collate(self.preprocessing(), self.task, self.row_dtype, self.state_dict()["tokens"]),
            pin_memory=bool(trainer) and trainer.strategy.root_device.type == "cuda",  # type: ignore[union-attr]
            # Those of training are new in each epoch, as what rows draw in them is: see checkpoints/loaders.py.
            persistent_workers=lasting and num_workers > 0,
            generator=torch.Generator() if lasting else None,  # else seeded in each epoch, or by the run
        )


class Collate:
    """Makes a batch of rows, as the model takes them: in the worker that reads them."""

    def __init__(self, preprocessing: nn.Module, task: Task, dtype: torch.dtype, tokens: bool) -> None:
        self.preprocessing = preprocessing
        self.task = task
        self.dtype = dtype
        self.tokens = tokens

    def __call__(self, rows: list[Any]) -> list[Any]:
        x, y, *more = default_collate(rows)
        x = x if self.tokens else self.preprocessing(x.to(self.dtype))
        if isinstance(self.task, Regression):
            return [x, y.to(self.dtype).reshape(len(y), -1), *more]
        return [x, y.long().reshape(len(y), *[-1] * isinstance(self.task, Multilabel)), *more]
