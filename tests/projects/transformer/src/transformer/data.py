from importlib.metadata import files

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


def licence() -> str:
    """Lightning's licence: 11,000 characters of English that are wherever Lightning is."""
    return next(file for file in files("lightning") or [] if file.name == "LICENSE").read_text()


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
    """Batches are dicts: tokens and targets (N, length). `vocab_size` is known after `setup`."""

    def __init__(self, length: int = 32, batch_size: int = 16) -> None:
        super().__init__()
        self.length = length
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        text = licence()
        self.characters = sorted(set(text))
        self.vocab_size = len(self.characters)
        tokens = torch.tensor([self.characters.index(character) for character in text])
        train, val, test = tokens.tensor_split([len(tokens) * 8 // 10, len(tokens) * 9 // 10])
        self.train, self.val, self.test = (Windows(part, self.length) for part in (train, val, test))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
