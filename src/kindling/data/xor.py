import torch

from kindling.data.base import InMemoryDataModule
from kindling.data.splits import Split
from kindling.data.tasks import Binary


class XOR(InMemoryDataModule):
    """The four rows of exclusive or, which are training, validation and test in one."""

    tasks = ("binary",)

    def load(self) -> None:
        rows = Split(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0]))
        self.splits = {"train": rows, "val": rows, "test": rows}
        self.task = Binary(["0", "1"])
