"""Of two classes: what each threshold finds, and what it takes for it (ROC, and precision against recall)."""

import numpy as np
from matplotlib.axes import Axes

from kindling.data.tasks import Binary
from kindling.figure import Figure, short
from kindling.palette import BLACK, BLUE, VERMILLION
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "Left, the share of the second class that is found against the share of the first that is taken for it; right, how "
    "much of what is called the second class is such. The dashed lines are chance, the point is the threshold 0.5."
)
FEWEST = 10  # rows of which a curve says anything
MOST_POINTS = 1_000  # of a curve


def measure(seen: Seen) -> Found | None:
    if not isinstance(seen.model.task, Binary):
        return None
    predictions, y = seen.tested
    if len(y) < FEWEST or len(y.unique()) < 2 or not predictions.isfinite().all():
        return None
    return {**curves(predictions.numpy(), y.numpy()), "classes": np.array(seen.classes)}


def curves(given: np.ndarray, true: np.ndarray) -> Found:
    """Of probabilities (N,) of the second class, and whether it was (N,)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    false, found, _ = roc_curve(true, given)
    precision, recall, _ = precision_recall_curve(true, given, drop_intermediate=True)
    called, hits = given > 0.5, int(((given > 0.5) & (true == 1)).sum())
    positives, negatives = int((true == 1).sum()), int((true == 0).sum())
    at = [(called.sum() - hits) / negatives, hits / positives, hits / max(called.sum(), 1)]
    return {
        "roc": thin(np.stack([false, found])),
        "precision": thin(np.stack([recall, precision])),
        "at": np.array(at),  # false positives, recall and precision of the threshold 0.5
        "called": np.array(int(called.sum())),
        "area": np.array(roc_auc_score(true, given)),
        "average_precision": np.array(average_precision_score(true, given)),
        "rows": np.array([negatives, positives]),
    }


def thin(curve: np.ndarray) -> np.ndarray:
    """(2, points), evenly chosen where there are too many."""
    chosen = np.unique(np.linspace(0, curve.shape[1] - 1, min(curve.shape[1], MOST_POINTS)).round().astype(int))
    return curve[:, chosen]


def draw(found: Found, about: About) -> Figure:
    negative, positive = (short(str(name)) for name in found["classes"])
    rows = found["rows"]
    false, recall, precision = found["at"]
    share = rows[1] / rows.sum()
    figure = Figure(figsize=(8.3, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=BLACK, linewidth=1, linestyle="--", label="chance: area 0.5")
    left.plot(*found["roc"], color=BLUE, label=f"model: area {float(found['area']):.3f}")
    left.set(xlabel=f"share of {negative}\ntaken for {positive}", ylabel=f"share of {positive} found")
    left.set_title("ROC: true against false positive rate")
    right.axhline(share, color=BLACK, linewidth=1, linestyle="--", label=f"chance: {share:.3f}")
    average = float(found["average_precision"])
    right.step(*found["precision"], where="post", color=BLUE, label=f"model: average precision {average:.3f}")
    right.set(xlabel=f"share of {positive} found\n(recall)", ylabel=f"share right of those called {positive}")
    right.set_title(f"precision against recall ({rows[1]:,} of {rows.sum():,} {about.split} rows)")
    mark(left, false, recall)
    if int(found["called"]):  # else there is no precision
        mark(right, recall, precision)
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    left.legend(loc="lower right")
    right.legend(loc="best")
    return figure


def mark(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], "o", color=VERMILLION, markersize=7, label="threshold 0.5", clip_on=False, zorder=3)
