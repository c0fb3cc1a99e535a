from typing import Any

import torch
from pydantic import PositiveInt

from kindling.data.base import InMemoryDataModule, Split
from kindling.tasks import Binary


class XOR(InMemoryDataModule):
    """The four rows of exclusive or, which are training, validation and test in one.

    Args:
        num_repeats: how often an epoch passes over the rows; validation and checkpoints come once an epoch.
    """

    tasks = ("binary",)

    def __init__(self, num_repeats: PositiveInt = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_repeats = num_repeats

    def load(self) -> None:
        x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        y = torch.tensor([0, 1, 1, 0])
        rows = Split(x, y)
        repeated = Split(x.repeat(self.num_repeats, 1), y.repeat(self.num_repeats))
        self.splits = {"train": repeated, "val": rows, "test": rows}
        self.task = Binary(["0", "1"])
