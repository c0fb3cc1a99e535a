from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

Element = tuple[Tensor, Tensor, int]


class Stream(IterableDataset[Element]):
    """Digits without an end. Element i depends on i alone and carries it, so that a wrong position shows."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x = x
        self.y = y

    def element(self, index: int) -> Element:
        row = index * 7919 % len(self.x)  # a prime: the rows come in no order, each before any comes again
        return self.x[row], self.y[row], index

    def __iter__(self) -> Iterator[Element]:
        index = 0
        while True:
            yield self.element(index)
            index += 1


class StatefulStream(Stream):
    """The same, going on where it was."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__(x, y)
        self.position = 0

    def __iter__(self) -> Iterator[Element]:
        while True:
            self.position += 1  # before the yield, while which the state may be asked for
            yield self.element(self.position - 1)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.position = state_dict["position"]


class StreamData(L.LightningDataModule):
    """Batches x (N, 64), y (N,), index (N,) of a stream; validation is on rows that it has not. One process reads."""

    def __init__(self, stateful: bool = False, batch_size: int = 16) -> None:
        super().__init__()
        self.stateful = stateful
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        images, labels = load_digits(return_X_y=True)
        x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
        self.train = (StatefulStream if self.stateful else Stream)(x[:1500], y[:1500])
        self.val = TensorDataset(x[1500:], y[1500:])

    def train_dataloader(self) -> DataLoader:
        if self.stateful:
            from torchdata.stateful_dataloader import StatefulDataLoader  # only this needs torchdata

            return StatefulDataLoader(self.train, batch_size=self.batch_size)
        return DataLoader(self.train, batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return self.val_dataloader()

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=100)
