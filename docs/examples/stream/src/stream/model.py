from collections.abc import Callable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Batch = tuple[Tensor, Tensor]


class StreamModel(L.LightningModule):
    """x (N, 784) -> logits (N, 10)."""

    def __init__(
        self, optimizer: Callable[..., Optimizer], scheduler: Callable[[Optimizer], LRScheduler], hidden: int
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.net = nn.Sequential(
            nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
        )
        self.example_input_array = torch.zeros(2, 784)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.measure(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.measure(batch, "test")

    def measure(self, batch: Batch, split: str) -> None:
        x, y = batch
        logits = self(x)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.log_dict({f"{split}/loss": F.cross_entropy(logits, y), f"{split}/accuracy": accuracy})

    def on_test_epoch_end(self) -> None:
        """What is to be beaten: the nearest of the rows that fit into memory."""
        data = self.trainer.datamodule
        x, y = (part.numpy() for part in data.first(10_000))
        test_x, test_y = (part.numpy() for part in data.test.tensors)
        nearest = KNeighborsClassifier(n_neighbors=1).fit(x, y)
        self.log("test/nearest_accuracy", float(nearest.score(test_x, test_y)))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch[0]).softmax(dim=1)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.optimizer(self.parameters())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }
