from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

Batch = dict[str, Tensor]


class Transformer(L.LightningModule):
    """Predicts the next character: tokens (N, T) -> logits (N, T, vocab_size)."""

    def __init__(
        self,
        vocab_size: int,
        length: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        features: int,
        layers: int,
        heads: int,
        dropout: float,
        sample: int,
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.length = length
        self.sample = sample
        self.token = nn.Embedding(vocab_size, features)
        self.position = nn.Embedding(length, features)
        self.local = nn.Conv1d(features, features, 4)  # the last four characters: layers need not find them first
        layer = nn.TransformerEncoderLayer(
            features, heads, 4 * features, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # Nested tensors are for padding, of which there is none.
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(features), enable_nested_tensor=False)
        self.head = nn.Linear(features, vocab_size)
        self.test_loss = MeanMetric()
        self.example_input_array = torch.zeros(2, length, dtype=torch.long)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.token(tokens)
        x = x + self.local(F.pad(x.mT, (3, 0))).mT + self.position(torch.arange(length, device=tokens.device))
        future = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        return self.head(self.blocks(x, mask=future, is_causal=True))

    def loss(self, batch: Batch) -> Tensor:
        return F.cross_entropy(self(batch["tokens"]).flatten(0, 1), batch["targets"].flatten())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch), prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        loss = self.loss(batch)
        self.log("test/loss", loss)
        self.test_loss.update(loss, len(batch["tokens"]))

    def on_test_epoch_end(self) -> None:
        data = self.trainer.datamodule
        self.log("test/perplexity", self.test_loss.compute().exp())  # not the mean of the batches' perplexities
        self.log("test/bigram_perplexity", data.ngram_perplexity(2))
        self.log("test/fivegram_perplexity", data.ngram_perplexity(5))
        self.test_loss.reset()

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """What follows each window: the probabilities of the characters (N, vocab_size)."""
        return self(batch["tokens"])[:, -1].softmax(dim=1)

    def configure_optimizers(self) -> dict[str, Any]:
        # Biases and norms are vectors. They are few, and pulling them to zero only hurts.
        vectors = [parameter for parameter in self.parameters() if parameter.ndim == 1]
        matrices = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        optimizer = self.optimizer([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }

    @torch.no_grad()
    def write(self, start: list[int], number: int) -> list[int]:
        """Characters as they come, each drawn from what the model thinks of the last `length`."""
        generator = torch.Generator().manual_seed(0)
        tokens = list(start)
        for _ in range(number):
            context = torch.tensor([tokens[-self.length :]], device=self.device)
            p = self(context)[0, -1].softmax(dim=0).cpu()
            tokens.append(int(p.multinomial(1, generator=generator)))
        return tokens

    def figures(self, data: Any) -> Iterator[tuple[str, Figure]]:
        """Text that it writes, from the beginning of a function."""
        self.eval()
        start = [data.characters.index(character) for character in "\n    def " if character in data.characters]
        text = "".join(data.characters[token] for token in self.write(start, self.sample))
        lines = [line[i : i + 100] for line in text.splitlines() for i in range(0, max(len(line), 1), 100)]
        figure = Figure(figsize=(8, 0.3 + 0.16 * len(lines)))
        figure.text(0.02, 0.98, "\n".join(lines), family="monospace", size=7, va="top", parse_math=False)
        yield "text", figure
