"""Of several labels a row: which were found, which missed, and which given in vain."""

import numpy as np

from kindling.data.tasks import Multilabel
from kindling.figure import Figure, plain
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

KINDS = {"found": (True, True), "missed": (False, True), "taken for it": (True, False)}  # predicted and true


def measure(seen: Seen) -> Found | None:
    task = seen.model.task
    if not isinstance(task, Multilabel):
        return None
    predictions, y = seen.tested
    predicted, true = (predictions > 0.5).numpy(), y.bool().numpy()
    counts = [((predicted == said) & (true == so)).sum(axis=0) for said, so in KINDS.values()]
    return {"counts": np.stack(counts), "labels": np.array(task.labels), "rows": np.array(len(y))}


def draw(found: Found, about: About) -> Figure:
    """`counts` (3, labels): found, missed, taken for it."""
    names = [plain(str(name)) for name in found["labels"]]
    figure = Figure(figsize=(5, 1.4 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for label, counts in zip(KINDS, found["counts"], strict=True):
        axes.barh(range(len(names)), counts, left=left, label=label)
        left += counts
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="test rows", title=f"{int(found['rows'])} test rows")
    axes.legend()
    return figure
