"""The confusion matrix: how many of each class were taken for which."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from kindling.data.tasks import Binary, Multiclass
from kindling.figure import SMALLEST, Figure, short
from kindling.models.predictor import probabilities
from kindling.palette import BLUE, VERMILLION
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "Each row holds the test rows of one class, each column what they were taken for: blue is right, orange is wrong."
)
MOST_CLASSES = 100  # of which a picture can be read
WIDTH = 8.3  # inches of the figure, at most


def measure(seen: Seen) -> Found | None:
    task = seen.model.task
    if not isinstance(task, Binary | Multiclass) or len(task.classes) > MOST_CLASSES:
        return None
    if seen.is_truth_table:
        return None
    predictions, y = seen.tested
    return counted(probabilities(task, predictions).argmax(dim=1), y, task.classes)


def counted(predicted: Tensor, y: Tensor, classes: Sequence[str], split: str = "test") -> Found:
    """Of classes (N,) and (N,): how often each was taken for each, (C, C), rows by true class."""
    size = len(classes)
    pairs = torch.bincount(y.long() * size + predicted.long(), minlength=size**2)
    return {"counts": pairs.reshape(size, size).numpy(), "classes": np.array(classes), "split": np.array(split)}


def draw(found: Found, about: About) -> Figure:
    """Colours are shares of the rows of a class; the right ones have a hue of their own."""
    counts, classes = found["counts"], [short(str(name)) for name in found["classes"]]
    size, total, right = len(classes), max(counts.sum(), 1), np.diag(counts)
    rows = counts.sum(axis=1)
    room = 0.085 * max(map(len, classes))  # of the longest name, in inches
    cell = min(0.55, (WIDTH - 2 - room) / size)
    figure = Figure(figsize=(max(4.6, 2 + cell * size + room), 1.5 + cell * size + room), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(rows, 1)[:, None]
    axes.imshow(coloured(shares), interpolation="nearest")
    axes.grid(False)
    write(axes, counts, shares, 72 * cell)
    letters = 8 if cell > 0.2 else SMALLEST
    long = max(map(len, classes)) * 0.6 * letters > 72 * cell
    every = range(0, size, 1 if 72 * cell > letters * 1.2 else int(np.ceil(letters * 1.2 / (72 * cell))))
    axes.set_xticks(every, [classes[i] for i in every], rotation=90 if long else 0, fontsize=letters)
    axes.set_yticks(every, [classes[i] for i in every], fontsize=letters)
    margin = axes.secondary_yaxis("right")
    told = [f"{right[i] / rows[i]:.0%}" if rows[i] else "no rows" for i in every]
    margin.set_yticks(every, told, fontsize=letters)
    margin.tick_params(length=0)
    margin.spines[:].set_visible(False)
    margin.set_ylabel("share of the class that is right")
    title = f"{right.sum():,} of {total:,} {found['split']} rows right: {right.sum() / total:.1%}"
    axes.set_title(f"{title}\n(always the largest class: {rows.max(initial=0) / total:.1%})")
    axes.set(xlabel="predicted class (shade: share of the true class)", ylabel="true class")
    return figure


def coloured(shares: np.ndarray) -> np.ndarray:
    """(C, C, 3): white is none; the full hue is all of a class, of mistakes a tenth of it, or the worst."""
    right = np.eye(len(shares), dtype=bool)
    most = max(shares[~right].max(initial=0), 0.1)
    depth = np.where(right, shares, shares / most * 0.9)[..., None]
    full = np.where(right[..., None], mpl.colors.to_rgb(BLUE), mpl.colors.to_rgb(VERMILLION))
    return ((1 - depth * (1 - full)) * 255).round().astype(np.uint8)


def write(axes: Axes, counts: np.ndarray, shares: np.ndarray, width: float) -> None:
    """The counts, where the longest fits into a cell of that width, in points."""
    longest = len(str(counts.max(initial=0)))
    letters = min(8.0, width / (0.66 * longest + 0.2))
    if letters < SMALLEST:
        return
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = row == column and shares[row, column] > 0.45
        colour = "white" if dark else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=letters, color=colour)
