"""Pictures of what a supervised model has learned."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from kindling.data.splits import Split
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression
from kindling.figure import Figure
from kindling.models.base import SupervisedModule

SAME_ROWS = "the same rows as in training"


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


def of_predictions(model: SupervisedModule, split: Split, same_rows: bool = False) -> Iterator[tuple[str, Figure]]:
    """Of the test split; `same_rows`: which is that of training."""
    predictions, classes = predict(model, split), getattr(model.task, "classes", [])
    if isinstance(model.task, Regression):
        yield "predictions", predicted_against_true(predictions, split.y, same_rows)
    elif isinstance(model.task, Multiclass):
        yield "confusion", confusion_matrix(predictions.argmax(dim=1), split.y, classes, same_rows=same_rows)
        if split.x.ndim == 4:
            yield "worst_mistakes", worst_mistakes(predictions, split, classes, same_rows=same_rows)
    elif isinstance(model.task, Multilabel):
        yield "labels", labels(predictions, split.y, model.task.labels, same_rows)
    elif isinstance(model.task, Binary) and split.x.shape[1] == 2:
        yield "decision", decision_surface(model, split, classes, same_rows)


@torch.no_grad()
def predict(model: SupervisedModule, split: Split, batch_size: int = 1024) -> Tensor:
    """Predictions for every row of the split, on the CPU."""
    batches = [
        model.task.prediction(model(placed(split[rows][0], model)))
        for rows in torch.arange(len(split)).split(batch_size)
    ]
    predictions = torch.cat(batches).cpu()
    return predictions if predictions.dtype is torch.float64 else predictions.float()


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


def worst_mistakes(
    predictions: Tensor, split: Split, classes: list[str], columns: int = 6, same_rows: bool = False
) -> Figure:
    """The wrong predictions that the model was surest of."""
    predicted = predictions.argmax(dim=1)
    wrong = torch.nonzero(predicted != split.y)[:, 0]
    worst = wrong[predictions[wrong].amax(dim=1).argsort(descending=True)][: 2 * columns].tolist()
    figure = Figure(figsize=(1.5 * columns, 3.6), layout="constrained")
    for axes in figure.subplots(2, columns).flat:
        axes.axis("off")
        if worst:
            row = worst.pop(0)
            axes.imshow(split.x[row, 0].numpy(), cmap="gray_r")
            axes.set_title(f"{classes[int(split.y[row])]} taken for {classes[predicted[row]]}", fontsize=9)
    if same_rows:
        figure.suptitle(f"test split: {SAME_ROWS}", fontsize=10)
    return figure


@torch.no_grad()
def decision_surface(model: SupervisedModule, split: Split, classes: list[str], same_rows: bool = False) -> Figure:
    """The probability of the second class over the plane of two features, with the rows of the split on it."""
    low, high = split.x.min().item() - 0.5, split.x.max().item() + 0.5
    line = torch.linspace(low, high, 200)
    plane = torch.cartesian_prod(line, line)
    surface = predict(model, Split(plane, torch.zeros(len(plane)))).reshape(200, 200).T.numpy()
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(surface, origin="lower", extent=(low, high, low, high), cmap="RdBu_r", vmin=0, vmax=1)
    axes.contour(line.numpy(), line.numpy(), surface, levels=[0.5], colors="black", linewidths=1)
    axes.scatter(
        split.x[:, 0].numpy(),
        split.x[:, 1].numpy(),
        c=split.y.numpy(),
        cmap="RdBu_r",
        edgecolors="black",
        s=80,
        vmin=0,
        vmax=1,
    )
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=f"test split:\n{SAME_ROWS}" if same_rows else "")
    figure.colorbar(image, label=f"probability of {classes[1]}")
    return figure
