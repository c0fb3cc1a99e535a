import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import resnet18

Batch = tuple[Tensor, Tensor]


class ResNet(L.LightningModule):
    """x (N, 3, 32, 32) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int, lr: float = 0.02) -> None:
        super().__init__()
        self.lr = lr
        self.net = resnet18(num_classes=num_classes)
        self.example_input_array = torch.zeros(2, 3, 32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluate(batch, "test")

    def evaluate(self, batch: Batch, split: str) -> None:
        x, y = batch
        logits = self(x)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.log_dict({f"{split}_loss": F.cross_entropy(logits, y), f"{split}_acc": accuracy}, prog_bar=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, _ = batch
        return self(x).softmax(dim=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)  # no momentum: 45 MB less in every checkpoint
