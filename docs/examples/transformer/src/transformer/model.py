from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics.text import Perplexity


class Transformer(L.LightningModule):
    """Predicts the next character: tokens (N, T) -> logits (N, T, vocab_size)."""

    def __init__(
        self, vocab_size: int, length: int, optimizer: Callable, scheduler: Callable, features: int, layers: int
    ) -> None:
        super().__init__()
        self.length, self.optimizer, self.scheduler = length, optimizer, scheduler
        self.token = nn.Embedding(vocab_size, features)
        self.position = nn.Embedding(length, features)
        self.local = nn.Conv1d(features, features, 4)  # the last four characters, which layers then need not find
        layer = nn.TransformerEncoderLayer(features, 4, 4 * features, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(features), enable_nested_tensor=False)
        self.head = nn.Linear(features, vocab_size)
        self.perplexity = Perplexity()
        self.example_input_array = torch.zeros(2, length, dtype=torch.long)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens)
        x = x + self.local(F.pad(x.mT, (3, 0))).mT + self.position.weight[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        return self.head(self.blocks(x, mask, is_causal=True))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int, name: str = "train/loss") -> Tensor:
        loss = F.cross_entropy(self(batch["tokens"]).flatten(0, 1), batch["targets"].flatten())
        self.log(name, loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.training_step(batch, batch_idx, "val/loss")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.perplexity(self(batch["tokens"]), batch["targets"])
        self.log("test/perplexity", self.perplexity)

    def on_test_epoch_end(self) -> None:
        for name, order in (("bigram", 2), ("fivegram", 5)):
            self.log(f"test/{name}_perplexity", self.trainer.datamodule.ngram_perplexity(order))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return self(batch["tokens"])[:, -1].softmax(dim=1)  # what follows each window: (N, vocab_size)

    def configure_optimizers(self) -> dict[str, Any]:
        vectors = [parameter for parameter in self.parameters() if parameter.ndim == 1]  # biases and norms do not decay
        matrices = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        optimizer = self.optimizer([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}

    @torch.no_grad()
    def figures(self, data: Any) -> Iterator[tuple[str, Figure]]:
        """Text that it writes, a character at a time."""
        generator = torch.Generator().manual_seed(0)
        tokens = data.tokens[2][:1]
        for _ in range(10 * self.length):
            p = self(tokens[None, -self.length :].to(self.device))[0, -1].softmax(dim=0)
            tokens = torch.cat([tokens, p.cpu().multinomial(1, generator=generator)])
        lines = "".join(data.characters[token] for token in tokens).splitlines()
        figure = Figure(figsize=(8, 0.5 + 0.15 * len(lines)))
        figure.text(0.02, 0.97, "\n".join(lines), family="monospace", size=7, va="top", parse_math=False)
        yield "text", figure
