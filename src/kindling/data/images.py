"""Pictures, kept as bytes and standardised batch by batch with the mean and spread of the training split."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from kindling.data.augmented import AugmentedDataModule
from kindling.data.base import InMemoryDataModule
from kindling.data.handwriting import Grey, as_digits
from kindling.data.pictures import are_images, read_handwriting, read_images
from kindling.data.splits import Split, SplitName, split_rows
from kindling.data.tasks import Multiclass

Images = tuple[Tensor, Tensor]  # (N, H, W) bytes and (N,) labels


class ImageDataModule(AugmentedDataModule, InMemoryDataModule):
    """A subclass reads images and labels; x is (N, 1, H, W), its values from 0 for black to `white`."""

    tasks = ("multiclass",)
    classes: ClassVar[list[str]] = [str(digit) for digit in range(10)]
    white: ClassVar[int] = 255
    is_handwriting: ClassVar[bool] = False  # new images are prepared from their strokes, and not scaled as they are
    light_ground: bool | None = (
        None  # of new images: dark strokes on white, which is what is transparent; None: unknown
    )

    def read(self) -> dict[SplitName, Images]:
        raise NotImplementedError

    def load(self) -> None:
        self.splits = {name: Split(x.unsqueeze(1), y) for name, (x, y) in self.read().items()}
        self.task = Multiclass(self.classes)

    def fit(self) -> None:
        mean, std = mean_and_std(self.splits["train"].x)
        self.splits = {name: replace(split, mean=mean, std=std) for name, split in self.splits.items()}

    def prepare(self, ink: Grey) -> Grey:
        """Light strokes, cropped to them, as an image that the model knows, from 0 to 255."""
        raise NotImplementedError

    def read_inputs(self, path: Path) -> Tensor:
        """From image files, or an array. In MNIST, strokes are white and the ground is black."""
        if not are_images(path):
            return super().read_inputs(path)
        if self.is_handwriting:
            x = read_handwriting(path, self.row_shape, self.white, self.prepare, self.light_ground)
        else:
            x = read_images(path, self.row_shape, self.white, bool(self.light_ground))
        return x.to(self.row_dtype)


def mean_and_std(images: Tensor) -> tuple[float, float]:
    """Over all pixels, from a count of each byte value: no copy of the images in floating point."""
    counts = torch.bincount(images.flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64)
    mean = (counts @ values / counts.sum()).item()
    return mean, (counts @ (values - mean) ** 2 / counts.sum()).sqrt().item()


def stratified(x: Tensor, y: Tensor) -> dict[SplitName, Images]:
    """A tenth of every class for validation and test each."""
    return {name: (x[rows], y[rows]) for name, rows in split_rows(len(y), stratify=y.numpy()).items()}


class Digits(ImageDataModule):
    """1,797 handwritten digits of 8x8 pixels, 0 to 16, as shipped with scikit-learn (Alpaydin & Kaynak, 1998)."""

    white = 16
    is_handwriting = True

    def read(self) -> dict[SplitName, Images]:
        from sklearn.datasets import load_digits

        data = load_digits()
        return stratified(torch.from_numpy(data.images).to(torch.uint8), torch.from_numpy(data.target))

    def prepare(self, ink: Grey) -> Grey:
        return as_digits(ink)
