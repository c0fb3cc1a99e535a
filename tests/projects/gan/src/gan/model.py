import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GAN(L.LightningModule):
    """z (N, latent_features) -> pictures (N, 64). Two optimizers take turns, so the steps are taken by hand."""

    def __init__(self, latent_features: int, hidden: int = 64, lr: float = 1e-3) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.latent_features = latent_features
        self.lr = lr
        self.generator = nn.Sequential(
            nn.Linear(latent_features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 64), nn.Tanh()
        )
        self.discriminator = nn.Sequential(nn.Linear(64, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))
        self.example_input_array = torch.zeros(1, latent_features)

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def training_step(self, real: Tensor, batch_idx: int) -> None:
        generator, discriminator = self.optimizers()
        z = torch.randn(len(real), self.latent_features, device=self.device)

        self.toggle_optimizer(generator)
        g_loss = F.softplus(-self.discriminator(self(z))).mean()
        generator.zero_grad()
        self.manual_backward(g_loss)
        generator.step()
        self.untoggle_optimizer(generator)

        self.toggle_optimizer(discriminator)
        fake = self(z).detach()
        d_loss = (F.softplus(-self.discriminator(real)) + F.softplus(self.discriminator(fake))).mean()
        discriminator.zero_grad()
        self.manual_backward(d_loss)
        discriminator.step()
        self.untoggle_optimizer(discriminator)

        self.log_dict({"g_loss": g_loss, "d_loss": d_loss}, prog_bar=True)

    def predict_step(self, z: Tensor, batch_idx: int) -> Tensor:
        return self(z)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        betas = (0.5, 0.999)
        return [
            torch.optim.Adam(self.generator.parameters(), lr=self.lr, betas=betas),
            torch.optim.Adam(self.discriminator.parameters(), lr=self.lr, betas=betas),
        ]
