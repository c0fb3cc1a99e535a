from collections.abc import Callable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn


class StreamModel(L.LightningModule):
    """x (N, 784) -> logits (N, 10)."""

    def __init__(self, optimizer: Callable, scheduler: Callable, hidden: int) -> None:
        super().__init__()
        self.optimizer, self.scheduler = optimizer, scheduler
        layers = [nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
        self.net = nn.Sequential(*layers)
        self.example_input_array = torch.zeros(2, 784)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def step(self, batch: list[Tensor], split: str) -> Tensor:
        logits = self(batch[0])
        loss = F.cross_entropy(logits, batch[1])
        self.log_dict({f"{split}/loss": loss, f"{split}/acc": (logits.argmax(dim=1) == batch[1]).float().mean()})
        return loss

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.step(batch, "test")

    def on_test_epoch_end(self) -> None:
        data = self.trainer.datamodule
        nearest = KNeighborsClassifier(n_neighbors=1).fit(*next(iter(data.beginning)))  # what memory would hold
        self.log("test/acc_of_nearest", nearest.score(*data.test.tensors))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}
