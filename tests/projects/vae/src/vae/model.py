from collections.abc import Callable

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer


class VAE(L.LightningModule):
    """x (N, 64) -> its reconstruction, from the mean of the latent vector. `elbo` is its negative: lower is better."""

    def __init__(self, optimizer: Callable[..., Optimizer], latent_features: int = 4, hidden: int = 64) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_features))
        self.decoder = nn.Sequential(nn.Linear(latent_features, hidden), nn.ReLU(), nn.Linear(hidden, 64))
        self.example_input_array = torch.zeros(2, 64)

    def forward(self, x: Tensor) -> Tensor:
        mean, _ = self.encoder(x).chunk(2, dim=1)
        return self.decoder(mean).sigmoid()

    def step(self, x: Tensor, split: str) -> Tensor:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum") / len(x)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        elbo = reconstruction + kl
        self.log_dict({f"{split}/elbo": elbo, f"{split}/reconstruction": reconstruction, f"{split}/kl": kl})
        return elbo

    def training_step(self, x: Tensor, batch_idx: int) -> Tensor:
        return self.step(x, "train")

    def validation_step(self, x: Tensor, batch_idx: int) -> None:
        self.step(x, "val")

    def test_step(self, x: Tensor, batch_idx: int) -> None:
        self.step(x, "test")

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())
