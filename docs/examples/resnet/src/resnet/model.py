from collections.abc import Callable, Iterator

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchvision.models import resnet18

from kindling.figure import Figure
from kindling.pictures import confusion, mistakes
from kindling.pictures.about import About


class ResNet(L.LightningModule):
    """x (N, 1, H, W) -> logits (N, num_classes): ResNet-18 with a stem for small grey images."""

    def __init__(self, num_classes: int, optimizer: Callable[..., Optimizer], scheduler: Callable[..., LRScheduler]):
        super().__init__()
        self.optimizer, self.scheduler = optimizer, scheduler
        self.net = resnet18(num_classes=num_classes)
        self.net.conv1 = nn.Conv2d(1, 64, 3, stride=2, padding=1, bias=False)
        self.example_input_array = torch.zeros(2, 1, 28, 28)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train/loss", loss, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.measure(batch, "val")

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.measure(batch, "test")

    def measure(self, batch: list[Tensor], split: str) -> None:
        x, y = batch
        logits = self(x)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.log_dict({f"{split}/loss": F.cross_entropy(logits, y), f"{split}/acc": accuracy}, prog_bar=True)

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self(batch[0]).softmax(dim=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(self.parameters())
        return [optimizer], [self.scheduler(optimizer)]  # which knows whether it counts steps or epochs

    @torch.no_grad()
    def figures(self, data: L.LightningDataModule) -> Iterator[tuple[str, Figure]]:
        """What it makes of the test images, drawn when the run ends."""
        self.eval()
        batches = [(x, y, self(x.to(self.device)).softmax(dim=1).cpu()) for x, y in data.test_dataloader()]
        x, y, predictions = (torch.cat(parts) for parts in zip(*batches, strict=True))
        about, classes = About("resnet", "mnist_png"), data.test.classes
        yield "confusion", confusion.draw(confusion.counted(predictions.argmax(dim=1), y, classes), about)
        pictures = {row: x[row] for row in mistakes.worst(predictions, y)}
        yield "mistakes", mistakes.draw(mistakes.shown(predictions, y, pictures, classes), about)
