"""The confusion matrix: how many of each class were taken for which."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kindling.data.tasks import Binary, Multiclass
from kindling.figure import Figure, plain
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen


def measure(seen: Seen) -> Found | None:
    if not isinstance(seen.model.task, Binary | Multiclass) or seen.data.row_shape == [2]:
        return None
    predictions, y = seen.tested
    predicted = predictions.argmax(dim=1) if predictions.ndim == 2 else predictions > 0.5
    return counted(predicted, y, seen.classes)


def counted(predicted: Tensor, y: Tensor, classes: Sequence[str], split: str = "test") -> Found:
    """Of classes (N,) and (N,): how often each was taken for each, (C, C), rows by true class."""
    size = len(classes)
    pairs = torch.bincount(y.long() * size + predicted.long(), minlength=size**2)
    return {"counts": pairs.reshape(size, size).numpy(), "classes": np.array(classes), "split": np.array(split)}


def draw(found: Found, about: About) -> Figure:
    """Rows by true class; the colours show mistakes only."""
    counts, classes = found["counts"], [plain(str(name)) for name in found["classes"]]
    size = len(classes)
    mistakes = counts * (1 - np.eye(size))
    figure = Figure(figsize=(1.5 + 0.5 * size, 1 + 0.5 * size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(mistakes, cmap="Reds", vmax=max(1, mistakes.max() * 1.5))
    axes.grid(False)
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(size), classes, rotation=45 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(range(size), classes)
    title = f"{np.trace(counts)} of {counts.sum()} {found['split']} rows right"
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure
