import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader


class VAEData(L.LightningDataModule):
    """Handwritten digits without labels: a batch is a tensor (N, 64) between 0 and 1."""

    def __init__(self, batch_size: int = 32) -> None:
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        images, _ = load_digits(return_X_y=True)
        x: Tensor = torch.tensor(images, dtype=torch.float32) / 16
        self.train, self.val, self.test = x[:1297], x[1297:1547], x[1547:]

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size)
