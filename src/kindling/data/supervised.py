"""What data in memory and data on disk share: a task, splits, and what a model needs to know of their rows."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningDataModule
from torch import Tensor, nn

from kindling.data import inputs
from kindling.data.splits import SplitName
from kindling.data.tasks import Task, restored
from kindling.errors import UserError


class SupervisedDataModule(LightningDataModule):
    """y to be learned from x. Its subclasses say where the rows lie, and make batches of them."""

    tasks: ClassVar[tuple[str, ...]]
    greys: ClassVar[str] = "gray_r"  # how a figure shows a picture of one channel; gray: 0 is black
    source: str  # where the data came from, for the record
    digest: str | None = None  # of the rows, once they are set up
    same_rows: bool = False  # whether the test split is the training split
    task: Task
    splits: dict[SplitName, Any]
    state: dict[str, Any] | None = None  # out of a checkpoint
    row_dtype: torch.dtype = torch.float32  # of numbers that are no tokens: that of the run, where it is double

    def _prepare(self) -> None:
        """Set `splits`, `task` and `digest`, as the checkpoint says where there is one."""
        raise NotImplementedError

    def _rows(self) -> tuple[list[int], torch.dtype, Any, Any]:
        """Shape and type of a row of x as it is kept, and the mean and std that it is standardised with, or None."""
        raise NotImplementedError

    def _loader(self, split: Any, train: bool = False) -> Any:
        """The batches of one of the `splits`, in their order or, in training, in that of an epoch."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "splits"):
            before = vars(self).copy()
            try:
                self._prepare()
            except BaseException:
                self.__dict__ = before  # half prepared is not prepared: in a notebook there may be a second attempt
                raise

    def state_dict(self) -> dict[str, Any]:
        """What a model needs of the data besides their rows, as plain data: every checkpoint carries it."""
        shape, dtype, mean, std = self._rows()
        tokens = mean is None and not dtype.is_floating_point  # whole numbers, which stay such
        return {"row_shape": shape, "mean": mean, "std": std, "tokens": tokens, "task": self.task.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows that are loaded later are prepared as those were that the model learned from; if ever they are."""
        if not hasattr(self, "splits"):
            if not all(isinstance(state_dict[key], float | int | Tensor | None) for key in ("mean", "std")):
                raise TypeError("mean and std should be numbers")
            for key in ("mean", "std"):
                if isinstance(value := state_dict[key], Tensor):
                    value.expand([1, *state_dict["row_shape"]])  # fails where it is not one of rows
            self.state = state_dict
            self.task = restored(state_dict["task"])

    def check_fit(self, task: Task, shape: list[int]) -> None:
        """Raises:
        UserError: where the rows are not what the model has learned from: those of a checkpoint's `task` and state.
        """
        assert self.state is not None
        loaded = self.task
        if type(loaded) is not type(task) or loaded.out_features != task.out_features:
            raise UserError(
                f"data: are {loaded.name} with {loaded.out_features} outputs, and the model has learned "
                f"{task.name} with {task.out_features}"
            )
        if shape != self.state["row_shape"]:
            raise UserError(f"data: have rows of shape {shape}, and the model takes {self.state['row_shape']}")

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(split) for name, split in self.splits.items()}

    @property
    def row_shape(self) -> list[int]:
        """Of one row of x."""
        return list(self.state["row_shape"]) if self.state else self._rows()[0]

    @property
    def in_features(self) -> int:
        return prod(self.row_shape)

    @property
    def out_features(self) -> int:
        return self.task.out_features

    def read_inputs(self, path: Path) -> Tensor:
        """New rows of x from a file, as they are before they are standardised: `row_dtype`, or int64 tokens, (N, ...).

        Raises:
            UserError: where they cannot be read, or are not what the model takes.
        """
        tokens = bool((self.state or self.state_dict()).get("tokens"))
        return inputs.read_array(path, self.row_shape, torch.int64 if tokens else self.row_dtype)

    def raw_inputs(self, split: SplitName) -> Tensor:
        """The first x of a split, as many as fit in memory, as `read_inputs` would give them."""
        raise NotImplementedError

    def raw_row(self, split: SplitName, row: int) -> Tensor:
        """The x of one row as it is kept."""
        raise NotImplementedError

    def preprocessing(self) -> nn.Module:
        """From what `read_inputs` gives to what the model takes."""
        state = self.state or self.state_dict()
        if state["mean"] is None:
            return nn.Identity()
        return inputs.Standardize(torch.as_tensor(state["mean"]), torch.as_tensor(state["std"]))

    def train_dataloader(self) -> Any:
        return self._loader(self.splits["train"], train=True)

    def val_dataloader(self) -> Any:
        return self._loader(self.splits["val"])

    def test_dataloader(self) -> Any:
        return self._loader(self.splits["test"])

    def predict_dataloader(self) -> Any:
        """The rows of the test split."""
        return self.test_dataloader()

    def evaluation_loader(self, split: SplitName) -> Any:
        """The batches of any split, as those of the test are read."""
        return self._loader(self.splits[split])

    def batches(self, split: SplitName) -> Iterable[Any]:
        """Every row of a split in its order, as batches that the model takes."""
        return self.evaluation_loader(split)
