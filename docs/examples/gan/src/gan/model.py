from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchvision.utils import make_grid

from gan.judge import Judge


class GAN(L.LightningModule):
    """z (N, latent_features) -> pictures (N, 1, 28, 28) between -1 and 1 (Radford et al., 2016)."""

    def __init__(self, latent_features: int, channels: int, lr: float) -> None:
        super().__init__()
        self.automatic_optimization = False  # two optimizers take turns
        self.latent_features, self.lr = latent_features, lr
        self.generator = nn.Sequential(
            nn.Unflatten(1, (latent_features, 1, 1)),
            nn.ConvTranspose2d(latent_features, 4 * channels, 7, bias=False),
            nn.BatchNorm2d(4 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * channels, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, 1),
        )
        self.example_input_array = torch.zeros(1, latent_features)
        self.made: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def training_step(self, real: Tensor, batch_idx: int) -> None:
        generator, discriminator = self.optimizers()
        fake = self(torch.randn(len(real), self.latent_features, device=self.device))

        self.toggle_optimizer(discriminator)
        d_loss = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake.detach())).mean()
        discriminator.zero_grad()
        self.manual_backward(d_loss)
        discriminator.step()
        self.untoggle_optimizer(discriminator)

        self.toggle_optimizer(generator)
        g_loss = F.softplus(-self.discriminator(fake)).mean()
        generator.zero_grad()
        self.manual_backward(g_loss)
        generator.step()
        self.untoggle_optimizer(generator)

        self.log_dict({"g_loss": g_loss, "d_loss": d_loss}, prog_bar=True, on_step=False, on_epoch=True)

    def test_step(self, z: Tensor, batch_idx: int) -> None:
        self.made.append(self(z))

    def on_test_epoch_end(self) -> None:
        """How many of the ten digits are seen for sure, each in at least 2% of the pictures."""
        made = self.all_gather(torch.cat(self.made)).view(-1, 1, 28, 28).cpu()
        self.made.clear()
        data = self.trainer.datamodule
        judge = Judge(data.images, data.labels)
        digits, sure = judge.digits(made)
        shares = digits[sure].bincount(minlength=10) / len(made)
        self.log_dict({"test/classes": (shares >= 0.02).sum().float(), "test/rarest": shares.min()})
        digits, sure = judge.digits(data.held_out[0])
        self.log("test/judge_acc", (digits == data.held_out[1])[sure].float().mean())

    def predict_step(self, z: Tensor, batch_idx: int) -> Tensor:
        return self(z).flatten(1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.generator, self.discriminator)
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.5, 0.999)) for net in nets]

    @torch.no_grad()
    def figures(self, data: Any) -> Iterator[tuple[str, Figure]]:
        """Pictures, and right of them the real ones that are most like each: they are not copies."""
        self.eval()
        made = self(data.latent[:36].to(self.device)).cpu()
        figure = Figure(figsize=(4.4, 2.5), layout="constrained")
        real = Judge(data.images, data.labels).nearest(made)
        titles = ("generated", "the training image nearest to each")
        for axes, images, title in zip(figure.subplots(1, 2), (made, real), titles, strict=True):
            axes.imshow(make_grid(-images, 6, normalize=True)[0], cmap="gray")
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize=8)
        yield "samples", figure
