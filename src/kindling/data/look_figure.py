"""What data are, as a picture: histograms and correlations of a table, examples of each class of images."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from kindling.data.base import InMemoryDataModule
from kindling.data.look import View
from kindling.figure import Figure, style

if TYPE_CHECKING:
    import pandas as pd

CLASSES, EXAMPLES = 10, 8
COLUMNS = 12  # with a histogram
MATRIX = 30  # columns in the matrix of correlations
WRITTEN = 8  # columns up to which its numbers are written into it


def draw(seen: View, datamodule: Any) -> Figure:
    with style():
        if seen.is_images:
            return sheet(seen, datamodule)
        if seen.table is not None and seen.table.shape[1]:
            return of_table(seen.table)
        return of_values(seen)


def sheet(seen: View, datamodule: Any) -> Figure:
    """A row a class, of images as the model gets them; beside them what augmentation makes of the same images."""
    assert seen.x is not None
    places = [found[:EXAMPLES] for found in of_classes(seen)]
    rows = torch.cat(places)
    x, y = seen.x[rows].float(), seen.y["train"][rows] if "train" in seen.y else rows
    if isinstance(datamodule, InMemoryDataModule):
        x, y, *_ = datamodule.splits["train"][rows]
    sheets = {"as they are": x}
    if callable(getattr(datamodule, "augment", None)):
        augmented, _ = datamodule.augment(x.clone(), y)
        if augmented.shape == x.shape and not torch.equal(augmented, x):
            sheets["augmented"] = augmented
    figure = Figure(figsize=(7 * len(sheets), 0.8 * len(places) + 0.8), layout="constrained")
    low, high = x.min(), x.max()
    for axes, (title, images) in zip(figure.subplots(1, len(sheets), squeeze=False)[0], sheets.items(), strict=True):
        scaled = ((images - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
        height = show(axes, scaled, [len(found) for found in places])
        axes.set_title(title)
        axes.set_yticks([(i + 0.5) * height for i in range(len(places))], (seen.classes or [""])[: len(places)])
    return figure


def of_classes(seen: View) -> list[Tensor]:
    """The first rows of each class; of data without classes simply the first."""
    assert seen.x is not None
    if not seen.classes:
        return list(torch.arange(min(len(seen.x), 4 * EXAMPLES)).split(EXAMPLES))
    return [(seen.y["train"] == label).nonzero().flatten() for label in range(min(CLASSES, len(seen.classes)))]


def show(axes: Axes, images: Tensor, counts: list[int]) -> int:
    """Images (N, C, H, W) from 0 to 1, so many a row; the height of a row."""
    _, channels, height, width = images.shape
    canvas = np.ones((len(counts) * (height + 1), EXAMPLES * (width + 1), channels))
    start = 0
    for row, count in enumerate(counts):
        for column in range(count):
            top, left = row * (height + 1), column * (width + 1)
            canvas[top : top + height, left : left + width] = images[start + column].permute(1, 2, 0).numpy()
        start += count
    axes.grid(visible=False)
    axes.imshow(canvas if channels == 3 else canvas[:, :, 0], cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return height + 1


def of_table(table: "pd.DataFrame") -> Figure:
    """Histograms of the first columns; below them the correlations of those that are numbers."""
    names = list(table)[:COLUMNS]
    numeric = table.select_dtypes("number").iloc[:, :MATRIX]
    across = min(4, len(names))
    down = -(-len(names) // across)
    below = min(6.0, 2 + 0.4 * numeric.shape[1]) if numeric.shape[1] > 1 else 0
    heights = [2 * down + 0.3, below] if below else [2 * down + 0.3]
    figure = Figure(figsize=(7, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = parts[0].subplots(down, across, squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        histogram(axes, str(name), table[name])
    for axes in panels[len(names) :]:
        axes.axis("off")
    more = f", the first {COLUMNS} of {table.shape[1]:,} columns" if table.shape[1] > COLUMNS else ""
    parts[0].suptitle(f"{len(table):,} training rows{more}")
    if below:
        matrix(parts[1].subplots(), numeric)
    return figure


def histogram(axes: Axes, name: str, column: "pd.Series") -> None:
    axes.set_title(literal(name, 24), fontsize=9)
    axes.tick_params(labelsize=7)
    known = column.dropna()
    if column.dtype.kind in "iuf":
        axes.hist(known, bins=min(30, max(1, known.nunique())))
        return
    counts = known.map(str).value_counts()[:8][::-1]
    axes.barh([literal(label, 12) for label in counts.index], counts)


def matrix(axes: Axes, numeric: "pd.DataFrame") -> None:
    names = [literal(str(name), 16) for name in numeric]
    correlations = numeric.corr().to_numpy()
    picture = axes.imshow(correlations, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(correlations if len(names) <= WRITTEN else np.empty((0, 0))):
        shade = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=shade)
    size = 8 if len(names) <= 15 else 6
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_title("correlations")
    axes.figure.colorbar(picture, ax=axes, shrink=0.7)


def of_values(seen: View) -> Figure:
    """All numbers of each tensor together."""
    tensors = seen.batches or ({"x": seen.x} if seen.x is not None else {})
    figure = Figure(figsize=(4 * max(1, len(tensors)), 3.2), layout="constrained")
    for axes, (place, tensor) in zip(
        figure.subplots(1, max(1, len(tensors)), squeeze=False)[0], tensors.items(), strict=False
    ):
        values = tensor.double().flatten()
        axes.hist(values[values.isfinite()].numpy(), bins=50)
        axes.set_title(literal(place or "x", 30))
    return figure


def literal(text: str, length: int) -> str:
    """For matplotlib, to which $ would begin a formula."""
    kept = text if len(text) <= length else f"{text[: length - 1]}…"
    return kept.replace("$", r"\$")
