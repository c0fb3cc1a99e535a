"""New inputs from files, for a model that has learned: read here, standardised with what its checkpoint carries."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from kindling.errors import UserError, shown
from kindling.files import check_file, in_bytes

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 2**29  # of new inputs, in single precision
MAX_TABLE = 2**30  # bytes of a file
MAX_COLUMNS = 50_000
MAX_LINE = 2**24  # characters of a header
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


def read_array(path: Path, row_shape: list[int], tokens: bool = False) -> Tensor:
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
    if array.dtype.kind not in "iufb":
        raise UserError(f"{path}: holds other things than numbers")
    if array.ndim < 2 or prod(array.shape[1:]) != prod(row_shape):
        raise UserError(f"{path}: has rows of shape {list(array.shape[1:])}, and the model takes {row_shape}")
    check_size(path, array.shape)
    with np.errstate(all="ignore"):
        if tokens and array.dtype.kind == "f" and (array % 1 > 0).any():
            raise UserError(f"{path}: holds fractions, and the model takes whole numbers")
        rows = array.astype(np.int64 if tokens else np.float32)
    if not (np.array_equal(rows, array) if tokens else np.isfinite(rows).all()):
        raise UserError(f"{path}: holds values that are missing, infinite or beyond {rows.dtype}")
    return torch.from_numpy(rows).reshape(-1, *row_shape)


def check_size(path: Path, shape: Sequence[int]) -> None:
    """Raises:
    UserError: where so many numbers would take up too much memory.
    """
    if 4 * prod(shape) > MAX_BYTES:
        size = in_bytes(4 * prod(shape))
        raise UserError(f"{path}: would take up {size} of memory, and {in_bytes(MAX_BYTES)} are the most; give a part")


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


def read_table(path: Path, named: str, dtype: Any = None) -> "pd.DataFrame":
    """A CSV file with a header; what separates its columns is told by the header.

    Raises:
        UserError: with what the file is `named`, where it is missing, empty or no such file.
    """
    import pandas as pd

    try:
        check_file(path, MAX_TABLE, named)
        header = read_header(path, named)
        table = pd.read_csv(path, sep=max(",;\t", key=header.count), dtype=dtype)
    except FileNotFoundError:
        raise UserError(f"{named}: no such file") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{named}: the file is empty") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise UserError(f"{named}: not a readable CSV file ({error})") from None
    for name, column in table.items():
        if column.dtype == object and any(type(value) is int and value.bit_length() > 64 for value in column):
            raise UserError(f"{named}: column {name} holds whole numbers of more than 64 bits")
    return table


def read_header(path: Path, named: str) -> str:
    """Raises:
    UserError: where it names too many columns, or the file is no text: pandas would take minutes to find out.
    """
    with path.open("rb") as file:
        while part := file.read(2**20):
            if b"\0" in part:
                raise UserError(f"{named}: not a readable CSV file (it holds zero bytes, and is no text)")
    with path.open() as file:
        header = file.readline(MAX_LINE)
    num_columns = 1 + max(map(header.count, ",;\t"))
    if num_columns > MAX_COLUMNS or len(header) == MAX_LINE:
        raise UserError(f"{named}: its header has {num_columns:,} columns, and {MAX_COLUMNS:,} are the most")
    return header
