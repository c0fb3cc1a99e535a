from collections.abc import Callable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Batch = dict[str, Tensor]


class Transformer(L.LightningModule):
    """Predicts the next character: tokens (N, T) -> logits (N, T, vocab_size)."""

    def __init__(
        self,
        vocab_size: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        features: int = 32,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        max_length: int = 64,
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.token = nn.Embedding(vocab_size, features)
        self.position = nn.Embedding(max_length, features)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(features, heads, 2 * features, dropout, batch_first=True, norm_first=True)
        # Nested tensors are for padding, of which there is none.
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(features), enable_nested_tensor=False)
        self.head = nn.Linear(features, vocab_size)
        self.example_input_array = torch.zeros(2, 32, dtype=torch.long)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.token(tokens) + self.position(torch.arange(length, device=tokens.device))
        future = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        return self.head(self.blocks(self.dropout(x), mask=future, is_causal=True))

    def loss(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self(batch["tokens"]).flatten(0, 1), batch["targets"].flatten())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        loss = self.loss(batch)
        self.log("val/loss", loss, prog_bar=True)
        self.log("val/ppl", loss.exp())

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("test/loss", self.loss(batch))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch["tokens"])

    def configure_optimizers(self) -> dict[str, Any]:
        # Biases and norms are vectors. They are few, and pulling them to zero only hurts.
        vectors = [parameter for parameter in self.parameters() if parameter.ndim == 1]
        matrices = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        optimizer = self.optimizer([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }
