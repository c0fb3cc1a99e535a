"""The wrong predictions that the model was surest of, as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from kindling.data.tasks import Binary, Multiclass
from kindling.figure import Figure, short
from kindling.models.predictor import probabilities
from kindling.pictures.about import About
from kindling.pictures.images import as_drawn, smaller
from kindling.pictures.seen import Found, Seen
from kindling.pictures.sheet import Sheet

SAYS = (
    "The test images that were taken for another class with the greatest probability, with what the model gave to the "
    "class that it chose, and to the true one."
)
COLUMNS = 6  # of pictures


def measure(seen: Seen) -> Found | None:
    task = seen.model.task
    if not isinstance(task, Binary | Multiclass) or len(seen.data.row_shape) != 3:
        return None
    predictions, y = probabilities(task, seen.tested[0]), seen.tested[1]
    pictures = {row: seen.data.raw_row(seen.split, row) for row in worst(predictions, y)}
    return shown(predictions, y, pictures, seen.classes, seen.data.greys) if pictures else None


def shown(
    predictions: Tensor, y: Tensor, pictures: Mapping[int, Tensor], classes: Sequence[str], greys: str = "gray_r"
) -> Found:
    """Of probabilities (N, C) and classes (N,), the `pictures` (C, H, W) of some of the rows."""
    rows, chosen = list(pictures), predictions.argmax(dim=1)
    return {
        "pictures": np.stack([as_drawn(smaller(picture)) for picture in pictures.values()]),
        "true": np.array([classes[int(y[row])] for row in rows]),
        "predicted": np.array([classes[int(chosen[row])] for row in rows]),
        "probability": predictions[rows].amax(dim=1).numpy(),
        "of_true": predictions[rows, y[rows].long()].numpy(),
        "counts": np.array([int((chosen != y).sum()), len(y)]),
        "greys": np.array(greys),
    }


def worst(predictions: Tensor, y: Tensor, most: int = 2 * COLUMNS) -> list[int]:
    """The rows of the wrong predictions that the model was surest of."""
    wrong = torch.nonzero(predictions.argmax(dim=1) != y)[:, 0]
    return wrong[predictions[wrong].amax(dim=1).argsort(descending=True)][:most].tolist()


def draw(found: Found, about: About) -> Figure:
    pictures = found["pictures"]
    titles = [
        f"said {short(str(said), 10)}: {percent(sure)}\ntrue {short(str(true), 10)}: {percent(of_true)}"
        for said, sure, true, of_true in zip(
            *(found[name] for name in ("predicted", "probability", "true", "of_true")), strict=True
        )
    ]
    sheet = Sheet(pictures, COLUMNS, 1.36, lines=2)
    figure = Figure(figsize=(8.3, 0.6 + sheet.size[1]), layout="constrained")
    sheet.draw(figure.subplots(), titles, cmap=str(found["greys"]))
    wrong, total = found["counts"]
    which = f"all {wrong}" if wrong == len(pictures) else f"the {len(pictures)} surest of {wrong:,}"
    which = "the only mistake" if wrong == 1 else f"{which} mistakes"
    figure.suptitle(f"{which} in {total:,} {about.split} rows: what was predicted, and what is true")
    return figure


def percent(share: float) -> str:
    """With as many digits as tell it from 0 and 1."""
    if 0 < share < 0.001 or 0.999 < share < 1:
        return f"{'<' if share < 0.5 else '>'}{0.1 if share < 0.5 else 99.9}%"
    return f"{100 * share:.3g}%"
