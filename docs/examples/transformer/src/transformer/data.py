import sysconfig
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from transformer.ngrams import NGrams


class Windows(Dataset[dict[str, Tensor]]):
    """Windows side by side; the targets are the tokens, one ahead."""

    def __init__(self, tokens: Tensor, length: int) -> None:
        self.tokens = tokens
        self.length = length

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        window = self.tokens[index * self.length : (index + 1) * self.length + 1]
        return {"tokens": window[:-1], "targets": window[1:]}


class Characters(L.LightningDataModule):
    """The text of a folder's files, by character; of ten files eight are for training, one for validation, one for the
    test. Batches are dicts: tokens and targets (N, length). `vocab_size` is known after `setup`.
    """

    def __init__(self, folder: str | None, pattern: str, length: int, batch_size: int) -> None:
        super().__init__()
        self.folder = Path(folder or sysconfig.get_path("stdlib"))
        self.pattern = pattern
        self.length = length
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob(self.pattern))]
        parts = ["\n".join(text for i, text in enumerate(texts) if i % 10 in places) for places in (range(8), [8], [9])]
        self.characters = ["\N{REPLACEMENT CHARACTER}", *sorted(set(parts[0]))]  # the first: not in the training text
        self.vocab_size = len(self.characters)
        number = {character: i for i, character in enumerate(self.characters)}
        tokens = (torch.tensor([number.get(character, 0) for character in part]) for part in parts)
        self.train, self.val, self.test = (Windows(part, self.length) for part in tokens)
        if not len(self.train) or not len(self.val) or not len(self.test):
            raise ValueError(f"{self.folder}/{self.pattern}: ten files or more are needed, or longer ones")

    def ngram_perplexity(self, order: int) -> float:
        """Of the test windows' targets; the discount is the one that does best on the validation text."""
        ngrams = NGrams(self.train.tokens.numpy(), self.vocab_size, order)
        val, test = (part.tokens[: len(part) * self.length + 1].numpy() for part in (self.val, self.test))
        discount = min((0.5, 0.6, 0.7, 0.8, 0.9), key=lambda discount: ngrams.perplexity(val, discount))
        return ngrams.perplexity(test, discount)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=4 * self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=4 * self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
