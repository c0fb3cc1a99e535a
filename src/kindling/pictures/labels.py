"""Of several labels a row: which were found, which missed, and which given in vain."""

from typing import Any

import numpy as np

from kindling.data.tasks import Multilabel
from kindling.figure import Figure, short
from kindling.palette import BLUE, GREY, ORANGE, VERMILLION
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "For each label, the test rows that have it and were found, those that were missed, and those that were given it "
    "in vain. Average precision is that of the whole order of the rows; chance is the share that has the label."
)
# Predicted and true, and how each is drawn; the hatching is for grey.
KINDS: dict[str, tuple[tuple[bool, bool], dict[str, Any]]] = {
    "found": ((True, True), {"color": BLUE}),
    "missed": ((False, True), {"color": ORANGE, "hatch": "///", "edgecolor": "white"}),
    "given in vain": ((True, False), {"color": VERMILLION, "hatch": "...", "edgecolor": "white"}),
}


def measure(seen: Seen) -> Found | None:
    task = seen.model.task
    if not isinstance(task, Multilabel):
        return None
    predictions, y = seen.tested
    predicted, true = (predictions > 0.5).numpy(), y.bool().numpy()
    counts = [((predicted == said) & (true == so)).sum(axis=0) for (said, so), _ in KINDS.values()]
    precision = [average_precision(predictions[:, place].numpy(), true[:, place]) for place in range(true.shape[1])]
    return {
        "counts": np.stack(counts),
        "precision": np.array(precision),
        "labels": np.array(task.labels),
        "rows": np.array(len(y)),
    }


def average_precision(given: np.ndarray, true: np.ndarray) -> float:
    """NaN where no row has the label."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(true, given)) if true.any() and np.isfinite(given).all() else np.nan


def draw(found: Found, about: About) -> Figure:
    """`counts` (3, labels): found, missed, given in vain."""
    names, counts, rows = [short(str(name)) for name in found["labels"]], found["counts"], int(found["rows"])
    figure = Figure(figsize=(7, 1.7 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for (label, (_, drawn)), count in zip(KINDS.items(), counts, strict=True):
        axes.barh(range(len(names)), count, left=left, label=label, height=0.7, linewidth=0, **drawn)
        left += count
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    margin = axes.secondary_yaxis("right")
    chance = (counts[0] + counts[1]) / max(rows, 1)
    told = [
        f"{ap:.2f} ({share:.2f})" if np.isfinite(ap) else "no rows"
        for ap, share in zip(found["precision"], chance, strict=True)
    ]
    margin.set_yticks(range(len(names)), told)
    margin.tick_params(length=0)
    margin.spines[:].set_visible(False)
    margin.set_ylabel("average precision (chance)", color=GREY)
    axes.set_xlabel(f"{about.split} rows, of {rows:,}")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure
