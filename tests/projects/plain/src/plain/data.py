import lightning as L
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

SIZES = (1297, 250, 250)


def digits() -> TensorDataset:
    """1,797 handwritten digits: x (64,) between 0 and 1, y from 0 to 9."""
    x, y = load_digits(return_X_y=True)
    return TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))


class PlainData(L.LightningDataModule):
    def __init__(self, batch_size: int = 32, num_workers: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.num_workers = num_workers

    def setup(self, stage: str) -> None:
        train, val, test = random_split(digits(), SIZES, generator=torch.Generator().manual_seed(42))
        if stage in ("fit", "validate"):
            self.train, self.val = train, val
        if stage in ("test", "predict"):
            self.test = test

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size, num_workers=self.num_workers)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size, num_workers=self.num_workers)

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size, num_workers=self.num_workers)


class PlainSplit(PlainData):
    """Splits anew, and unseeded, at every stage: what is tested may have been trained on."""

    def setup(self, stage: str) -> None:
        self.train, self.val, self.test = random_split(digits(), SIZES)
