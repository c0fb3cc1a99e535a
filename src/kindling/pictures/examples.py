"""Training images of each class, and what the augmentation makes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kindling.data.augmented import AugmentedDataModule
from kindling.figure import SMALLEST, Figure, short
from kindling.pictures.about import About
from kindling.pictures.images import as_drawn, smaller
from kindling.pictures.seen import Found, Seen
from kindling.pictures.sheet import Sheet
from kindling.random_state import random_state, seed_from, set_random_state

SAYS = "Training images of each class as the model gets them; where there is an augmentation, three draws of each."
COLUMNS, DRAWS = 8, 3
MOST_CLASSES = 10
MOST_PIXELS = 64  # of a side


def measure(seen: Seen) -> Found | None:
    shape, classes = seen.data.row_shape, seen.classes
    labels = labels_of(seen.data.splits["train"])
    if len(shape) != 3 or shape[0] not in (1, 3) or not classes or labels is None:
        return None
    augmented = isinstance(seen.data, AugmentedDataModule) and seen.data.augmentation is not None
    each = COLUMNS // (1 + DRAWS) if augmented else COLUMNS
    rows = [np.flatnonzero(labels == label)[:each].tolist() for label in range(min(len(classes), MOST_CLASSES))]
    with unchanged_randomness():
        raw = torch.stack([seen.data.raw_row("train", row) for of_class in rows for row in of_class])
        versions = [raw, *(augment(seen.data, raw, labels, rows) for _ in range(DRAWS * augmented))]
    versions = [version for version in versions if version.shape == raw.shape]
    white = seen.data.white if isinstance(seen.data, AugmentedDataModule) else max(float(raw.max()), 1e-12)
    images = [[as_bytes(version[place], white) for version in versions] for place in range(len(raw))]
    return {
        "images": np.array(images),  # (rows, versions, H, W) or (rows, versions, H, W, 3)
        "counts": np.array([len(of_class) for of_class in rows]),
        "classes": np.array(classes[:MOST_CLASSES]),
        "total": np.array(len(classes)),
        "greys": np.array(seen.data.greys),
    }


def labels_of(split: Any) -> np.ndarray | None:
    """The class of each row, where it can be told without reading them all."""
    for name in ("y", "labels", "targets"):
        labels = getattr(split, name, None)
        if labels is not None:
            labels = np.asarray(labels)
            return labels if labels.ndim == 1 else None
    return None


@contextmanager
def unchanged_randomness() -> Iterator[None]:
    """What is drawn here is the same whenever it is drawn, and what is drawn later is as if nothing had been."""
    state = random_state()
    try:
        seed_from(0)
        yield
    finally:
        set_random_state(state)


def augment(data: Any, raw: Tensor, labels: np.ndarray, rows: list[list[int]]) -> Tensor:
    """In the units of what they were before they were standardised."""
    y = torch.as_tensor(labels[[row for of_class in rows for row in of_class]]).long()
    x, _ = data.augment(data.preprocessing()(raw.to(data.row_dtype)), y)
    state = data.state_dict()
    return x if state["mean"] is None else x * state["std"] + state["mean"]


def as_bytes(image: Tensor, white: float) -> np.ndarray:
    return as_drawn(smaller((image.float() / white * 255).clamp(0, 255).round().to(torch.uint8), MOST_PIXELS))


def draw(found: Found, about: About) -> Figure:
    """A row a class; after each image what augmentation makes of it."""
    images, counts, classes = found["images"], found["counts"], found["classes"]
    versions = images.shape[1]
    blank = 255 if images.ndim == 5 or str(found["greys"]).endswith("_r") is False else 0
    grid = np.full((len(counts), COLUMNS // versions, *images.shape[1:]), blank, np.uint8)
    for row, start in enumerate(np.cumsum([0, *counts[:-1]])):
        grid[row, : counts[row]] = images[start : start + counts[row]]
    columns = grid.shape[1] * versions
    sheet = Sheet(grid.reshape(-1, *images.shape[2:]), columns, 0.78, lines=0)
    figure = Figure(figsize=(sheet.size[0] + 1.5, sheet.size[1] + 1), layout="constrained")
    axes = figure.subplots()
    sheet.draw(axes, [], cmap=str(found["greys"]), vmin=0, vmax=255)
    height, width = sheet.images.shape[1:3]
    for row, name in enumerate(classes):
        top, _ = sheet.place(row * columns)
        axes.text(-sheet.gap, top + height / 2, short(str(name), 16), ha="right", va="center", fontsize=8)
    for column in range(columns if versions > 1 else 0):
        _, left = sheet.place(column)
        version = column % versions
        what = f"draw {version}" if version else "original"
        axes.text(left + width / 2, 0, what, ha="center", va="bottom", fontsize=SMALLEST)
    more = f" (the first {len(counts)} of {int(found['total'])})" if int(found["total"]) > len(counts) else ""
    what = "what the augmentation makes of them" if versions > 1 else "without augmentation"
    figure.suptitle(f"training images of each class{more}, {what}")
    return figure
