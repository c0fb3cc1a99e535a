"""Data sets that fit in memory: a subclass loads its rows as tensors, and their batches are made here."""

import os
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from lightning import LightningDataModule
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from kindling.data import inputs
from kindling.data.identity import digest
from kindling.data.loader import BatchLoader, fits
from kindling.data.splits import Split, SplitName, with_fold
from kindling.data.tasks import Regression, Task, restored
from kindling.errors import UserError


class InMemoryDataModule(LightningDataModule):
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

    Raises:
        UserError: where there is no such fold.
    """

    tasks: ClassVar[tuple[str, ...]]
    source: str = "in memory"  # where the data came from, for the record
    digest: str | None = None  # of the rows, once they are loaded
    same_rows: bool = False  # whether the test split is the training split
    task: Task
    splits: dict[SplitName, Split]
    state: dict[str, Any] | None = None  # out of a checkpoint
    row_dtype: torch.dtype = torch.float32  # of numbers that are no tokens: that of the run, where it is double

    def __init__(
        self,
        batch_size: PositiveInt | None = 128,
        seed: int = 0,
        num_repeats: PositiveInt = 1,
        device_resident: bool | Literal["auto"] = "auto",
        num_workers: NonNegativeInt = 0,
        fold: NonNegativeInt | None = None,
        num_folds: Annotated[int, Field(ge=2)] = 5,
    ) -> None:
        super().__init__()
        if fold is not None and not 0 <= fold < num_folds:
            raise UserError(f"data.fold={fold}: should be from 0 to {num_folds - 1}, for data.num_folds={num_folds}")
        self.batch_size = batch_size
        self.seed = seed
        self.num_repeats = num_repeats
        self.device_resident = device_resident
        self.num_workers = num_workers
        self.fold = fold
        self.num_folds = num_folds
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
        yield from getattr(getattr(self, "task", None), "classes", ())

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "splits"):
            before = vars(self).copy()
            try:
                self._prepare()
            except BaseException:
                self.__dict__ = before  # half prepared is not prepared: in a notebook there may be a second attempt
                raise

    def groups(self) -> Tensor | None:
        """A number for each row of training, then of validation: those with equal ones stay in one fold."""
        return None

    def _prepare(self) -> None:
        task = self.task if self.state else None
        self.load()
        if self.fold is not None:
            self.hold_out(self.fold)
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
        name, task = type(self).__name__, getattr(self, "task", None)
        fitted = isinstance(task, Regression) and bool(task.mean.any() or (task.std != 1).any())
        if self.state is None and (fitted or self.splits["train"].mean is not None):
            raise UserError(
                f"data.fold={fold}: {name} standardises in load(), by rows that are divided into folds only later; "
                "fit() is the place for it"
            )
        self.splits = with_fold(self.splits, fold, self.num_folds, name, self.groups())

    def state_dict(self) -> dict[str, Any]:
        """What a model needs of the data besides their rows, as plain data: every checkpoint carries it."""
        train = self.splits["train"]
        shape = list(train.x.shape[1:])
        tokens = train.mean is None and not train.x.is_floating_point()  # whole numbers, which stay such
        return {
            "row_shape": shape,
            "mean": train.mean,
            "std": train.std,
            "tokens": tokens,
            "task": self.task.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows that are loaded later are prepared as those were that the model learned from; if ever they are."""
        if not hasattr(self, "splits"):
            if not all(isinstance(state_dict[key], float | int | Tensor | None) for key in ("mean", "std")):
                raise TypeError("mean and std should be numbers")
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
    def sizes(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(split.x) for name, split in self.splits.items()}

    @property
    def row_shape(self) -> list[int]:
        """Of one row of x."""
        return list(self.state["row_shape"] if self.state else self.splits["train"].x.shape[1:])

    def read_inputs(self, path: Path) -> Tensor:
        """New rows of x from a file, as they are before they are standardised: `row_dtype`, or int64 tokens, (N, ...).

        Raises:
            UserError: where they cannot be read, or are not what the model takes.
        """
        tokens = bool((self.state or self.state_dict()).get("tokens"))
        return inputs.read_array(path, self.row_shape, torch.int64 if tokens else self.row_dtype)

    def raw_inputs(self, split: SplitName) -> Tensor:
        """The x of a split as `read_inputs` would give them."""
        x = self.splits[split].x
        return x if self.state_dict()["tokens"] else x.to(self.row_dtype)

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

    def train_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["train"], train=True)

    def val_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["val"])

    def test_dataloader(self) -> BatchLoader:
        return self._loader(self.splits["test"])

    def predict_dataloader(self) -> BatchLoader:
        """The rows of the test split."""
        return self.test_dataloader()

    def evaluation_loader(self, split: SplitName) -> BatchLoader:
        """The batches of any split, as those of the test are read."""
        return self._loader(self.splits[split])
