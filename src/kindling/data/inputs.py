"""New inputs from files, for a model that has learned: read here, standardised with what its checkpoint carries."""

from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kindling.data.reading import read_table
from kindling.errors import UserError, shown

IMAGES = {".png", ".jpg", ".jpeg"}


class Standardize(nn.Module):
    """x -> (x - mean) / std, all broadcast; gaps (NaN) are filled with `median` before, where it is given."""

    mean: Tensor
    std: Tensor
    median: Tensor | None

    def __init__(self, mean: Tensor, std: Tensor, median: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("median", median)

    def forward(self, x: Tensor) -> Tensor:
        filled = x if self.median is None else torch.where(x.isnan(), self.median, x)
        return ((filled - self.mean) / self.std).to(x.dtype)


def read_array(path: Path, row_shape: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Rows from a .npy file (N, ...), or from a CSV file with a header and a column for each number of a row.

    Raises:
        UserError: where the file is neither, or its rows are of another size.
    """
    if path.suffix == ".npy":
        array = read_npy(path)
    elif path.suffix == ".csv":
        array = read_table(path, str(path)).to_numpy()
    else:
        raise UserError(f"{path}: is no input of this model; give a .npy or .csv file with rows of shape {row_shape}")
    if array.dtype.kind not in "iufb" or not np.isfinite(array).all():
        raise UserError(f"{path}: holds other things than numbers")
    if array.ndim < 2 or prod(array.shape[1:]) != prod(row_shape):
        raise UserError(f"{path}: has rows of shape {list(array.shape[1:])}, and the model takes {row_shape}")
    if not dtype.is_floating_point and array.dtype.kind == "f" and (array % 1).any():
        raise UserError(f"{path}: holds fractions, and the model takes whole numbers")
    return torch.from_numpy(array).to(dtype).reshape(-1, *row_shape)


def read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a readable .npy file ({shown(str(error))})") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: not a .npy file but an archive of several; save one array with numpy.save")
    return array


def image_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGES)
    if not files:
        raise UserError(f"{folder}: there are no images in it; it should hold .png or .jpg files")
    return files


def read_images(folder: Path, row_shape: list[int], white: int) -> Tensor:
    """The PNG and JPEG files of a folder by name, in grey, scaled to (1, H, W): 0 is black, `white` is white.

    Raises:
        UserError: where there are none, or one cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    height, width = row_shape[-2:]
    images = []
    for file in image_files(folder):
        try:
            with Image.open(file) as image:
                images.append(np.asarray(image.convert("L").resize((width, height)), np.float32))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise UserError(f"{file}: not a readable image ({shown(str(error))})") from None
    return torch.from_numpy(np.stack(images)).unsqueeze(1) * (white / 255)
