from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer
from torchvision.utils import make_grid


def binary_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    """Of an image's 784 pixels together, in nats; the mean over the batch."""
    return F.binary_cross_entropy_with_logits(logits.expand_as(x), x, reduction="sum") / len(x)


class VAE(L.LightningModule):
    """x (N, 784) -> its reconstruction, from the mean of the latent vector. `elbo` is its negative: lower is better.

    Training weighs the divergence with a beta that rises from 0 to `beta` within `beta_steps` (Bowman et al., 2016):
    else the decoder learns early to do without the latent vector.
    """

    def __init__(
        self, optimizer: Callable[..., Optimizer], latent_features: int, hidden: int, beta: float, beta_steps: int
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.beta = beta
        self.beta_steps = beta_steps
        self.encoder = nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent_features))
        self.decoder = nn.Sequential(nn.Linear(latent_features, hidden), nn.ReLU(), nn.Linear(hidden, 784))
        self.example_input_array = torch.zeros(2, 784)

    def forward(self, x: Tensor) -> Tensor:
        mean, _ = self.encoder(x).chunk(2, dim=1)
        return self.decoder(mean).sigmoid()

    def step(self, x: Tensor, split: str, beta: float) -> Tensor:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        reconstruction = binary_cross_entropy(self.decoder(z), x)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        elbo = reconstruction + beta * kl
        scores = {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}
        self.log_dict({f"{split}/{name}": score for name, score in scores.items()}, on_step=False, on_epoch=True)
        return elbo

    def training_step(self, x: Tensor, batch_idx: int) -> Tensor:
        beta = self.beta * min(1.0, self.global_step / self.beta_steps)
        self.log("beta", beta, on_step=False, on_epoch=True)
        return self.step(x, "train", beta)

    def validation_step(self, x: Tensor, batch_idx: int) -> None:
        self.step(x, "val", self.beta)  # else epochs could not be compared

    def test_step(self, x: Tensor, batch_idx: int) -> None:
        self.step(x, "test", self.beta)
        mean_image = self.trainer.datamodule.mean_image.to(x)
        self.log("test/reconstruction_of_mean_image", binary_cross_entropy(mean_image.logit(eps=1e-3), x))

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    @torch.no_grad()
    def figures(self, data: Any) -> Iterator[tuple[str, Figure]]:
        """Test images with what becomes of them, and the plane of the first two latent features."""
        x = data.test[:24].to(self.device)
        pairs = torch.stack([x.view(3, 8, 784), self(x).view(3, 8, 784)], dim=1)
        figure = Figure(figsize=(3.6, 3), layout="constrained")
        show(figure.subplots(), pairs.flatten(0, 2), "odd rows: test images; even rows: reconstructions")
        yield "reconstructions", figure

        mean, _ = self.encoder(data.test.to(self.device)).chunk(2, dim=1)
        figure = Figure(figsize=(4.8, 2.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        points = left.scatter(*mean[:, :2].cpu().T, c=data.test_labels, cmap="tab10", s=4)
        left.legend(*points.legend_elements(), fontsize=5, loc="lower left")
        left.set_title("test images by their first two latent features", fontsize=7)
        side = torch.linspace(-3, 3, 8, device=self.device)
        z = torch.zeros(8 * 8, mean.shape[1], device=self.device)
        z[:, :2] = torch.cartesian_prod(-side, side).flip(1)  # the first from left to right, the second upwards
        show(right, self.decoder(z).sigmoid(), "what is decoded from -3 to 3")
        yield "latent_plane", figure


def show(axes: Any, images: Tensor, title: str, columns: int = 8) -> None:
    axes.imshow(1 - make_grid(images.view(-1, 1, 28, 28).cpu(), columns)[0], cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=7)
