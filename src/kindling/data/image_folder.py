"""A folder of images, each class in a folder of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from kindling.data.augmented import AugmentedDataModule
from kindling.data.class_folders import ClassFolders, Images
from kindling.data.divided import Rows, Size, rows_of, stratified
from kindling.data.identity import of_files
from kindling.data.on_disk import OnDiskDataModule
from kindling.data.pictures import are_images, read_image, read_images
from kindling.data.splits import SPLIT_SEED, SplitName, check_fold, fold_of_rows
from kindling.data.tasks import Binary, Multiclass
from kindling.errors import UserError, shown, some

FITTED_ON = 1_000  # images, drawn from those for training: more would not change what they say of mean and spread

Side = Annotated[int, Field(gt=0, le=4096)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1)]


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """x (C, H, W) of bytes, and the index of its class. What is transparent is black."""

    def __init__(self, folder: Path, names: list[str], labels: np.ndarray, shape: list[int]) -> None:
        self.folder = folder
        self.names = np.array([os.fsencode(name) for name in names])  # one block, which workers share
        self.labels = labels
        self.shape = shape

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        channels, height, width = self.shape
        file = self.folder / os.fsdecode(self.names[row])
        try:
            pixels = read_image(file, (width, height), 0, channels, draft=True)
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}") from None
        return torch.from_numpy(pixels.round().astype(np.uint8)), int(self.labels[row])


class ImageFolder(AugmentedDataModule, OnDiskDataModule):
    """Images in `path`/CLASS, or in `path`/train/CLASS, `path`/val/CLASS and `path`/test/CLASS.

    Args:
        path: of the folder.
        size: pixels that images are scaled to, whatever their proportions: one number, or [height, width].
        task: binary takes two classes, multiclass any number.
        channels: 1 reads them in grey, 3 in colour.
        mean: of the channels, between 0 for black and 1 for white: one number, or one for each. null: that of up to
            1,000 images of training.
        std: likewise.
        val_size: images for validation, or their share; null: a tenth. Each class has its share of them, and they are
            the same for every seed.
        test_size: likewise, for the test.
        fold: for cross-validation, as of data in memory.
        num_folds: likewise.

    Raises:
        UserError: where the images do not lie in folders of at least two classes.
    """

    tasks = ("binary", "multiclass")
    greys = "gray"
    rows_draw = False
    white = 255
    light_ground: bool | None = None  # of new images: what is transparent in them is white then

    def __init__(
        self,
        path: str,
        size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)],
        task: Literal["binary", "multiclass"] = "multiclass",
        channels: Literal[1, 3] = 3,
        mean: Fraction | list[Fraction] | None = None,
        std: Positive | list[Positive] | None = None,
        val_size: Size = None,
        test_size: Size = None,
        fold: NonNegativeInt | None = None,
        num_folds: Annotated[int, Field(ge=2)] = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_fold(fold, num_folds)
        if fold is not None and val_size is not None:
            raise UserError(f"data.val_size={val_size}: would do nothing, since data.fold says which images validate")
        self.path = Path(path)
        self.source = path
        self.kind = task
        self.shape = [channels, *(size if isinstance(size, list) else [size, size])]
        self.given = {"mean": self._of_channels("mean", mean), "std": self._of_channels("std", std)}
        self.wanted_sizes: dict[SplitName, Size] = {"test": test_size, "val": val_size}
        self.fold = fold
        self.num_folds = num_folds

    def _of_channels(self, key: str, value: Any) -> Tensor | None:
        """(C, 1, 1), in units of a byte."""
        if value is None:
            return None
        values, channels = value if isinstance(value, list) else [value], self.shape[0]
        if len(values) not in (1, channels):
            raise UserError(f"data.{key}={value}: one number is needed, or {channels}, as data.channels={channels}")
        return 255 * torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1).expand(channels, 1, 1)

    def load(self) -> None:
        images = ClassFolders(self.path).images
        classes = self._classes(images)
        labels = np.array([classes.index(label) for label in images.classes])
        rows = self._rows_of_splits(np.array(images.splits), labels)
        self._names = images.names
        self.class_counts = self.task.counts(torch.from_numpy(labels[rows["train"]]))
        self.splits = {
            name: ImageFiles(self.path, [images.names[row] for row in rows[name]], labels[rows[name]], self.shape)
            for name in rows
        }

    def _classes(self, images: Images) -> list[str]:
        """Those of training, in the order of their names; sets the task where no checkpoint says it."""
        trained = {
            label for label, split in zip(images.classes, images.splits, strict=True) if split in (None, "train")
        }
        if self.state is not None:
            classes = list(getattr(self.task, "classes", ()))
        else:
            classes = sorted(trained)
            if len(classes) < 2 or (self.kind == "binary" and len(classes) > 2):
                raise UserError(
                    f"data.path={self.path}: data.task={self.kind} needs "
                    f"{'two' if self.kind == 'binary' else 'at least two'} class folders, and there are {len(classes)} "
                    f"({some(map(shown, classes))})"
                )
            self.task = (Binary if self.kind == "binary" else Multiclass)(classes)
        for label in sorted(set(images.classes) - set(classes)):
            raise UserError(
                f"data.path={self.path}: the class {shown(label)} is none of training, which has "
                f"{some(map(shown, classes))}"
            )
        return classes

    def _rows_of_splits(self, said: np.ndarray, labels: np.ndarray) -> Rows:
        """As the folders say; what they do not say is drawn from the images for training, alike for every seed."""
        rows: Rows = {name: np.flatnonzero(said == name) for name in self.wanted_sizes if (said == name).any()}
        rest = np.flatnonzero((said == None) | (said == "train"))  # noqa: E711  # element by element
        sizes: dict[SplitName, int] = {}
        for name, size in self.wanted_sizes.items():
            if name not in rows:
                sizes[name] = rows_of(size, len(rest))
            elif size is not None:
                raise UserError(f"data.{name}_size={size}: would do nothing, since {self.path} has a folder {name}")
        if sum(sizes.values()) >= len(rest):
            told = " and ".join(f"{size:,} for {name}" for name, size in sizes.items())
            raise UserError(f"data.path={self.path}: of {len(rest):,} images, {told} leave none for training")
        if sizes:
            usual = all(size is None for size in self.wanted_sizes.values())
            parts = stratified(labels[rest], len(rest), list(sizes.values()), usual)
            rest, drawn = rest[parts[0]], [rest[part] for part in parts[1:]]
            rows |= dict(zip(sizes, drawn, strict=True))
        if self.fold is not None:
            both = np.concatenate([rest, rows["val"]])
            if self.num_folds > len(both):
                raise UserError(
                    f"data.num_folds={self.num_folds}: {self.path} has {len(both)} images for training and validation"
                )
            held_out = (fold_of_rows(torch.from_numpy(labels[both]), self.num_folds) == self.fold).numpy()
            rest, rows["val"] = both[~held_out], both[held_out]
        return {"train": rest, "val": rows["val"], "test": rows["test"]}

    def contents(self) -> Iterator[Any]:
        yield from of_files(self.path, self._names)

    def fit(self) -> None:
        mean, std = self.given["mean"], self.given["std"]
        if mean is None or std is None:
            fitted = mean_and_std(self.splits["train"], self.num_workers)
            mean, std = fitted[0] if mean is None else mean, fitted[1] if std is None else std
        self.mean, self.std = mean, std

    def read_inputs(self, path: Path) -> Tensor:
        """From image files, or an array of their bytes."""
        if not are_images(path):
            return super().read_inputs(path)
        return (
            read_images(path, self.row_shape, self.white, bool(self.light_ground), draft=True)
            .round()
            .to(self.row_dtype)
        )


def mean_and_std(images: Dataset[Any], num_workers: int) -> tuple[Tensor, Tensor]:
    """Of each channel, (C, 1, 1), over all pixels of up to `FITTED_ON` images."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SPLIT_SEED))  # type: ignore[arg-type]
    chosen = Subset(images, order[:FITTED_ON].tolist())
    loader = DataLoader(chosen, 32, num_workers=min(num_workers, os.cpu_count() or 1), generator=torch.Generator())
    of_batches = [
        (len(x) * x[0, 0].numel(), x.double().sum(dim=(0, 2, 3)), x.double().square().sum(dim=(0, 2, 3)))
        for x, _ in loader
    ]
    count, total, squares = (sum(values) for values in zip(*of_batches, strict=True))
    mean = total / count
    std = (squares / count - mean**2).clamp(min=0).sqrt()
    return mean.float().reshape(-1, 1, 1), torch.where(std > 0, std, 1.0).float().reshape(-1, 1, 1)
