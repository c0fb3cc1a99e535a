"""Pictures of what a supervised model has learned."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression
from kindling.figure import Figure
from kindling.models.base import SupervisedModule

SAME_ROWS = "the same rows as in training"
COLUMNS = 6  # of pictures


def members(table: pd.DataFrame, same_rows: bool = False) -> Figure:
    """One panel a metric of the test: the members, from the lowest value to the highest."""
    names = [column for column in table.columns if column.startswith("test/")]
    figure = Figure(figsize=(4 * len(names), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        values = table[name].dropna().sort_values()
        axes.plot(range(1, len(values) + 1), values, marker="." if len(values) < 100 else "")
        axes.axhline(values.mean(), color="black", linewidth=1, linestyle="--", label=f"mean {values.mean():.4g}")
        axes.set(xlabel="members, by value", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    if same_rows:
        figure.suptitle(f"test split: {SAME_ROWS}", fontsize=10)
    return figure


def of_predictions(model: SupervisedModule, data: SupervisedDataModule) -> Iterator[tuple[str, Figure]]:
    """Of the test split, which may be that of training."""
    (predictions, y), classes = predict(model, data.batches("test")), getattr(model.task, "classes", [])
    if isinstance(model.task, Regression):
        yield "predictions", predicted_against_true(predictions, y, data.same_rows)
    elif isinstance(model.task, Multiclass):
        predicted = predictions.argmax(dim=1)
        yield "confusion", confusion_matrix(predicted, y, classes, same_rows=data.same_rows)
        if len(data.row_shape) == 3:
            pictures = {row: data.raw_row("test", row) for row in worst(predictions, y)}
            yield "worst_mistakes", worst_mistakes(predictions, y, pictures, classes, data.greys, data.same_rows)
    elif isinstance(model.task, Multilabel):
        yield "labels", labels(predictions, y, model.task.labels, data.same_rows)
    elif isinstance(model.task, Binary) and data.row_shape == [2]:
        x = torch.cat([x for x, *_ in data.batches("test")])
        yield "decision", decision_surface(model, x, y, classes, data.same_rows)


@torch.no_grad()
def predict(
    model: SupervisedModule, batches: Iterable[Sequence[Tensor]], num_rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Predictions for every row, or the first of them, and what is true of it; on the CPU."""
    predictions, targets, count = [], [], 0
    for x, y, *_ in batches:
        predictions.append(model.task.prediction(model(placed(x, model))).cpu())
        targets.append(y.cpu())
        count += len(y)
        if num_rows is not None and count >= num_rows:
            break
    found, true = torch.cat(predictions)[:num_rows], torch.cat(targets)[:num_rows]
    return found if found.dtype is torch.float64 else found.float(), true


def placed(x: Tensor, model: SupervisedModule) -> Tensor:
    """On the device of the model and in its precision; tokens stay whole numbers."""
    parameter = next(model.parameters())
    return x.to(parameter if x.is_floating_point() else parameter.device)


def predicted_against_true(predictions: Tensor, y: Tensor, same_rows: bool = False) -> Figure:
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    for column in range(y.shape[1]):
        label = f"output {column}" if y.shape[1] > 1 else None
        axes.scatter(y[:, column].numpy(), predictions[:, column].numpy(), s=12, alpha=0.7, label=label)
    low, high = y.min().item(), y.max().item()
    axes.plot([low, high], [low, high], color="black", linewidth=1)
    axes.set(xlabel="true value", ylabel="prediction", title=f"test split:\n{SAME_ROWS}" if same_rows else "test split")
    if y.shape[1] > 1:
        axes.legend()
    return figure


def confusion_matrix(
    predicted: Tensor, y: Tensor, classes: list[str], split: str = "test", same_rows: bool = False
) -> Figure:
    """Counts, rows by true class; the colours show mistakes only."""
    size = len(classes)
    counts = torch.bincount(y * size + predicted, minlength=size**2).reshape(size, size).numpy()
    mistakes = counts * (1 - np.eye(size))
    figure = Figure(figsize=(1.5 + 0.5 * size, 1 + 0.5 * size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(mistakes, cmap="Reds", vmax=max(1, mistakes.max() * 1.5))
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(size), classes, rotation=45 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(range(size), classes)
    title = f"{split} split: {np.trace(counts)} of {counts.sum()} right"
    axes.set(xlabel="predicted", ylabel="true", title=f"{title},\n{SAME_ROWS}" if same_rows else title)
    return figure


def labels(predictions: Tensor, y: Tensor, names: list[str], same_rows: bool = False) -> Figure:
    """For each label the rows that have it, found or missed, and those that it was taken for in vain."""
    predicted, true = predictions > 0.5, y.bool()
    figure = Figure(figsize=(5, 1.4 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for label, found in (
        ("found", predicted & true),
        ("missed", ~predicted & true),
        ("taken for it", predicted & ~true),
    ):
        counts = found.sum(dim=0).numpy()
        axes.barh(range(len(names)), counts, left=left, label=label)
        left += counts
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="rows", title=f"test split:\n{SAME_ROWS}" if same_rows else f"test split: {len(y)} rows")
    axes.legend()
    return figure


def worst(predictions: Tensor, y: Tensor, most: int = 2 * COLUMNS) -> list[int]:
    """The rows of the wrong predictions that the model was surest of."""
    wrong = torch.nonzero(predictions.argmax(dim=1) != y)[:, 0]
    return wrong[predictions[wrong].amax(dim=1).argsort(descending=True)][:most].tolist()


def worst_mistakes(
    predictions: Tensor,
    y: Tensor,
    pictures: Mapping[int, Tensor],
    classes: list[str],
    greys: str = "gray_r",
    same_rows: bool = False,
) -> Figure:
    """The `pictures` (C, H, W) of rows that were taken for something else."""
    predicted = predictions.argmax(dim=1)
    rows = list(pictures)
    figure = Figure(figsize=(1.5 * COLUMNS, 3.6), layout="constrained")
    for axes in figure.subplots(2, COLUMNS).flat:
        axes.axis("off")
        if rows:
            row = rows.pop(0)
            axes.imshow(as_drawn(pictures[row]), cmap=greys)
            axes.set_title(f"{classes[int(y[row])]} taken for {classes[predicted[row]]}", fontsize=9)
    if same_rows:
        figure.suptitle(f"test split: {SAME_ROWS}", fontsize=10)
    return figure


def as_drawn(picture: Tensor) -> np.ndarray:
    """Of three channels (H, W, 3) in colour, else the first channel."""
    if len(picture) != 3:
        return picture[0].numpy()
    colours = picture.permute(1, 2, 0).numpy()
    if colours.dtype == np.uint8:
        return colours
    low, high = colours.min(), colours.max()
    return (colours - low) / max(high - low, 1e-12)


@torch.no_grad()
def decision_surface(
    model: SupervisedModule, x: Tensor, y: Tensor, classes: list[str], same_rows: bool = False
) -> Figure:
    """The probability of the second class over the plane of two features, with the rows x (N, 2) on it."""
    low, high = x.min().item() - 0.5, x.max().item() + 0.5
    line = torch.linspace(low, high, 200)
    plane = torch.cartesian_prod(line, line)
    found, _ = predict(model, ((points, torch.zeros(len(points))) for points in plane.split(1024)))
    surface = found.reshape(200, 200).T.numpy()
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(surface, origin="lower", extent=(low, high, low, high), cmap="RdBu_r", vmin=0, vmax=1)
    axes.contour(line.numpy(), line.numpy(), surface, levels=[0.5], colors="black", linewidths=1)
    axes.scatter(
        x[:, 0].numpy(),
        x[:, 1].numpy(),
        c=y.numpy(),
        cmap="RdBu_r",
        edgecolors="black",
        s=80,
        vmin=0,
        vmax=1,
    )
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=f"test split:\n{SAME_ROWS}" if same_rows else "")
    figure.colorbar(image, label=f"probability of {classes[1]}")
    return figure
