import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader


class GANData(L.LightningDataModule):
    """Pictures x (64,) between -1 and 1 to learn from, and latent vectors to make pictures of. Nothing is held out."""

    def __init__(self, latent_features: int = 8, batch_size: int = 64, num_samples: int = 32) -> None:
        super().__init__()
        self.latent_features = latent_features
        self.batch_size = batch_size
        self.num_samples = num_samples

    def setup(self, stage: str) -> None:
        images, _ = load_digits(return_X_y=True)
        self.images: Tensor = torch.tensor(images, dtype=torch.float32) / 8 - 1
        generator = torch.Generator().manual_seed(0)  # the same pictures are asked for each time
        self.latent: Tensor = torch.randn(self.num_samples, self.latent_features, generator=generator)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.images, batch_size=self.batch_size, shuffle=True, drop_last=True)

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(self.latent, batch_size=self.batch_size)
