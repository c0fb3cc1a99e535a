from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from pretrained.backbone import backbone


class PretrainedData(L.LightningDataModule):
    """Handwritten digits x (1, 8, 8), and the file with the weights of a backbone, in place of a download."""

    def __init__(self, weights: str | Path, batch_size: int = 32) -> None:
        super().__init__()
        self.weights = Path(weights)
        self.batch_size = batch_size

    def prepare_data(self) -> None:
        if self.weights.exists():
            return
        with torch.random.fork_rng(devices=[]):  # the same file whatever the seed of the run, which goes on as it was
            torch.manual_seed(0)
            state = backbone().state_dict()
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.weights.parent) as temporary:  # the file appears whole or not at all
            written = Path(temporary) / self.weights.name
            torch.save(state, written)
            written.replace(self.weights)

    def setup(self, stage: str) -> None:
        x, y = load_digits(return_X_y=True)
        digits = TensorDataset(torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y))
        self.train, self.val, self.test = torch.utils.data.random_split(
            digits, (1297, 250, 250), generator=torch.Generator().manual_seed(0)
        )

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
