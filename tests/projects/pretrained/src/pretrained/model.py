from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from pretrained.backbone import backbone

Batch = tuple[Tensor, Tensor]


class Pretrained(L.LightningModule):
    """x (N, 1, 8, 8) -> logits (N, num_classes): a new head on a frozen backbone.

    The file `weights` is read here: `prepare_data` has to have written it.
    """

    def __init__(self, weights: str | Path, num_classes: int = 10, lr: float = 0.03) -> None:
        super().__init__()
        self.lr = lr
        self.backbone = backbone()
        self.backbone.load_state_dict(torch.load(weights, weights_only=True))
        self.backbone.requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, num_classes))
        self.example_input_array = torch.zeros(2, 1, 8, 8)
        self.val_acc = MulticlassAccuracy(num_classes, average="micro")
        self.test_acc = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        self.val_acc(self(x), y)
        self.log("val_acc", self.val_acc, prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        self.test_acc(self(x), y)
        self.log("test_acc", self.test_acc)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, _ = batch
        return self(x).argmax(dim=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.head.parameters(), lr=self.lr)
