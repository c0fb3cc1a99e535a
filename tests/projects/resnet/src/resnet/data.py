from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

SPLITS = {"train": 16, "val": 8, "test": 8}  # pictures of each class
CLASSES = 4


def write_digits(folder: Path) -> None:
    """SPLIT/CLASS/NUMBER.png: handwritten digits of 8x8 pixels, enlarged to 32x32."""
    images, labels = load_digits(return_X_y=True)
    for label in range(CLASSES):
        of_class = iter(images[labels == label].reshape(-1, 8, 8))
        for split, count in SPLITS.items():
            to = folder / split / str(label)
            to.mkdir(parents=True)
            for number in range(count):
                pixels = np.kron(next(of_class) * 15, np.ones((4, 4))).astype(np.uint8)
                Image.fromarray(pixels).save(to / f"{number:02d}.png")


class PngFolder(L.LightningDataModule):
    """A folder of pictures, one sub-folder a class; `classes` and `num_classes` are known after `setup`."""

    def __init__(self, folder: str | Path, batch_size: int = 16, num_workers: int = 2) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.batch_size = batch_size
        self.num_workers = num_workers
        normalize = [transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
        self.transform = transforms.Compose(normalize)
        self.augment = transforms.Compose(
            [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *normalize]
        )

    def prepare_data(self) -> None:
        if self.folder.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder.parent) as temporary:
            written = Path(temporary) / self.folder.name
            write_digits(written)
            # The folder appears whole or not at all. Where another process was first, its folder is not empty: renaming
            # onto it fails, and what is there is the same.
            with suppress(OSError):
                written.rename(self.folder)

    def setup(self, stage: str) -> None:
        self.train = ImageFolder(str(self.folder / "train"), self.augment)
        self.val = ImageFolder(str(self.folder / "val"), self.transform)
        self.test = ImageFolder(str(self.folder / "test"), self.transform)
        self.classes = self.train.classes
        self.num_classes = len(self.classes)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, batch_size=self.batch_size, num_workers=self.num_workers)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, batch_size=self.batch_size, num_workers=self.num_workers)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
