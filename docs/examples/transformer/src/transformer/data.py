import sysconfig
from pathlib import Path

import lightning as L
import torch
from torch.utils.data import DataLoader

from transformer.ngrams import NGrams


class Characters(L.LightningDataModule):
    """A folder's text; of ten files, one is for validation and one for the test. Batches: tokens and targets (N, T)."""

    def __init__(self, folder: str | None, pattern: str, length: int, batch_size: int) -> None:
        super().__init__()
        self.length, self.batch_size = length, batch_size
        self.files = sorted(Path(folder or sysconfig.get_path("stdlib")).glob(pattern))

    def setup(self, stage: str) -> None:
        if len(self.files) < 10:
            raise ValueError(f"ten files or more are needed, and data.pattern finds {len(self.files)} in data.folder")
        texts = [file.read_text(encoding="utf-8") for file in self.files]
        parts = ["\n".join(t for i, t in enumerate(texts) if i % 10 in part) for part in (range(8), [8], [9])]
        self.characters = ["\ufffd", *sorted(set(parts[0]))]  # the first for any that training has not
        self.vocab_size = len(self.characters)
        known = {character: number for number, character in enumerate(self.characters)}
        parts = [part[: (len(part) - 1) // self.length * self.length + 1] for part in parts]  # whole windows, and one
        self.texts = ["".join(c if c in known else "\ufffd" for c in part) for part in parts]
        self.tokens = [torch.tensor([known[character] for character in text]) for text in self.texts]

    def ngram_perplexity(self, order: int) -> float:
        """Of the test's targets; the discount is the one that does best in validation."""
        train, val, test = self.texts
        ngrams = NGrams(train, order)
        return ngrams.perplexity(test, min((0.75, 0.85, 0.95), key=lambda d: ngrams.perplexity(val, d)))

    def loader(self, part: int, shuffle: bool = False) -> DataLoader:
        windows = self.tokens[part].unfold(0, self.length + 1, self.length)  # the targets are one ahead
        rows = [{"tokens": window[:-1], "targets": window[1:]} for window in windows]
        return DataLoader(rows, self.batch_size, shuffle)

    def train_dataloader(self) -> DataLoader:
        return self.loader(0, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self.loader(1)

    def test_dataloader(self) -> DataLoader:
        return self.loader(2)
