"""The wrong predictions that the model was surest of, as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from kindling.data.tasks import Multiclass
from kindling.figure import Figure, plain
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

COLUMNS = 6  # of pictures


def measure(seen: Seen) -> Found | None:
    if not isinstance(seen.model.task, Multiclass) or len(seen.data.row_shape) != 3:
        return None
    predictions, y = seen.tested
    pictures = {row: seen.data.raw_row("test", row) for row in worst(predictions, y)}
    return shown(predictions, y, pictures, seen.classes, seen.data.greys) if pictures else None


def shown(
    predictions: Tensor, y: Tensor, pictures: Mapping[int, Tensor], classes: Sequence[str], greys: str = "gray_r"
) -> Found:
    """Of probabilities (N, C) and classes (N,), the `pictures` (C, H, W) of some of the rows."""
    rows = list(pictures)
    return {
        "pictures": np.stack([as_drawn(picture) for picture in pictures.values()]),
        "true": np.array([classes[int(y[row])] for row in rows]),
        "predicted": np.array([classes[int(predictions[row].argmax())] for row in rows]),
        "probability": predictions[rows].amax(dim=1).numpy(),
        "greys": np.array(greys),
    }


def worst(predictions: Tensor, y: Tensor, most: int = 2 * COLUMNS) -> list[int]:
    """The rows of the wrong predictions that the model was surest of."""
    wrong = torch.nonzero(predictions.argmax(dim=1) != y)[:, 0]
    return wrong[predictions[wrong].amax(dim=1).argsort(descending=True)][:most].tolist()


def as_drawn(picture: Tensor) -> np.ndarray:
    """Of three channels (H, W, 3) in colour, else the first channel."""
    if len(picture) != 3:
        return picture[0].numpy()
    colours = picture.permute(1, 2, 0).numpy()
    if colours.dtype == np.uint8:
        return colours
    low, high = colours.min(), colours.max()
    return (colours - low) / max(high - low, 1e-12)


def draw(found: Found, about: About) -> Figure:
    figure = Figure(figsize=(1.5 * COLUMNS, 3.6), layout="constrained")
    for place, axes in enumerate(figure.subplots(2, COLUMNS).flat):
        axes.axis("off")
        if place < len(found["pictures"]):
            axes.imshow(found["pictures"][place], cmap=str(found["greys"]))
            true, predicted = (plain(str(found[name][place])) for name in ("true", "predicted"))
            axes.set_title(f"{true} taken for {predicted}", fontsize=9)
    return figure
