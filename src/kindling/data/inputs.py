"""New inputs from files, for a model that has learned: read here, standardised with what its checkpoint carries."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kindling.data.reading import read_table
from kindling.errors import UserError, shown
from kindling.files import check_file, in_bytes

MAX_BYTES = 2**29  # of new inputs, in single precision
MAX_HEADER = 10_000  # bytes of a .npy file, as NumPy has it


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
    return as_rows(array, row_shape, dtype, str(path))


def as_rows(array: np.ndarray, row_shape: list[int], dtype: torch.dtype, named: str) -> Tensor:
    """Raises:
    UserError: naming `named`, where the array (N, ...) is not one of such rows.
    """
    if array.dtype.kind not in "iufb":
        raise UserError(f"{named}: holds other things than numbers")
    if array.ndim < 2 or prod(array.shape[1:]) != prod(row_shape):
        raise UserError(f"{named}: has rows of shape {list(array.shape[1:])}, and the model takes {row_shape}")
    check_size(named, array.shape)
    tokens = not dtype.is_floating_point
    with np.errstate(all="ignore"):
        if tokens and array.dtype.kind == "f" and (array % 1 > 0).any():
            raise UserError(f"{named}: holds fractions, and the model takes whole numbers")
        rows = array.astype(str(dtype).removeprefix("torch."))
    if not (np.array_equal(rows, array) if tokens else np.isfinite(rows).all()):
        raise UserError(f"{named}: holds values that are missing, infinite or beyond {rows.dtype}")
    return torch.from_numpy(rows).reshape(-1, *row_shape)


def check_size(named: str | Path, shape: Sequence[int]) -> None:
    """Raises:
    UserError: where so many numbers would take up too much memory.
    """
    if 4 * prod(shape) > MAX_BYTES:
        size = in_bytes(4 * prod(shape))
        raise UserError(f"{named}: would take up {size} of memory, and {in_bytes(MAX_BYTES)} are the most; give a part")


def read_npy(path: Path) -> np.ndarray:
    """Mapped from the file, so that no shape in its header takes memory."""
    try:
        check_file(path, 2 * MAX_BYTES + MAX_HEADER)  # in double precision
        with path.open("rb") as file:
            major, _ = np.lib.format.read_magic(file)
            if int.from_bytes(file.read(2 if major == 1 else 4), "little") > MAX_HEADER:
                raise ValueError("its header is too long")
        with np.errstate(all="ignore"):
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # whatever NumPy makes of a header that nobody meant for it
        raise UserError(f"{path}: not a readable .npy file ({shown(str(error))})") from None
