"""Whether a model that says 80% is right in 80 of 100 cases (Guo et al., 'On Calibration of Modern Neural Networks',
2017)."""

import numpy as np
from matplotlib.axes import Axes

from kindling.data.tasks import Binary, Multiclass
from kindling.figure import Figure, short
from kindling.palette import BLACK, BLUE, GREY, VERMILLION
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "Of all rows to which the model gave about the same probability, the share that was right: points below the dashed "
    "line are overconfident. Below, how often each probability was given."
)
BINS = 15  # as in the paper, and as metrics=calibration_error has it
FEWEST = 10  # rows that say anything of a share


def measure(seen: Seen) -> Found | None:
    """Of several classes, of the one that is predicted; of two, always of the second."""
    task = seen.model.task
    if not isinstance(task, Binary | Multiclass):
        return None
    predictions, y = seen.tested
    if len(y) < FEWEST or not predictions.isfinite().all():
        return None
    binary = isinstance(task, Binary)
    given = predictions if binary else predictions.amax(dim=1)
    true = y.bool() if binary else predictions.argmax(dim=1) == y
    said = np.array(task.classes[1] if binary else "")
    return {**binned(given.numpy(), true.numpy()), "class": said, "outcomes": np.array(len(task.classes))}


def binned(given: np.ndarray, true: np.ndarray) -> Found:
    """Of probabilities (N,) and whether it was so (N,): in each bin the rows, their mean probability, how many were.

    A probability that is a border belongs to the bin below it, as in the paper.
    """
    bins = np.clip(np.ceil(given.astype(float) * BINS).astype(int) - 1, 0, BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    sums = np.bincount(bins, given, minlength=BINS)
    hits = np.bincount(bins, true, minlength=BINS)
    error = np.abs(sums - hits).sum() / len(given)
    return {"rows": rows, "mean": sums / np.maximum(rows, 1), "hits": hits, "error": np.array(error)}


def draw(found: Found, about: About) -> Figure:
    rows, mean, hits = found["rows"], found["mean"], found["hits"]
    used, name = rows > 0, short(str(found["class"]), 30)
    figure = Figure(figsize=(5, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color=BLACK, linewidth=1, linestyle="--", label="perfect")
    low, high = interval(hits[used], rows[used])
    share = hits[used] / rows[used]
    above.vlines(mean[used], low, high, color=BLUE, linewidth=1.5, alpha=0.5, label="95% interval")
    above.plot(mean[used], share, color=BLUE, linewidth=1, alpha=0.4)
    above.scatter(mean[used], share, 15 + 85 * rows[used] / rows.max(), BLUE, zorder=3, label="measured, by rows")
    what = f"share that is {name}" if name else "share that is right"
    above.set(ylabel=what, ylim=(-0.02, 1.02))
    figure.suptitle(
        f"expected calibration error {float(found['error']):.3g} ({rows.sum():,} {about.split} rows, {BINS} bins)"
    )
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    histogram(below, rows)
    chance = 1 / int(found["outcomes"])
    if not name:
        below.axvline(chance, color=GREY, linestyle=":", label="chance")
    below.axvline(rows @ mean / rows.sum(), color=VERMILLION, label="mean probability")
    below.axvline(hits.sum() / rows.sum(), color=BLACK, linestyle="--", label=what)
    below.set(
        xlabel=f"probability given to {name or 'the predicted class'}", ylabel=f"{about.split} rows", xlim=(-0.02, 1.02)
    )
    below.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.45))
    return figure


def histogram(axes: Axes, rows: np.ndarray) -> None:
    axes.bar((np.arange(BINS) + 0.5) / BINS, rows, width=0.9 / BINS, color=BLUE, alpha=0.5)
    if rows.max() > 20 * np.median(rows[rows > 0]):
        axes.set_yscale("log")


def interval(hits: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's, in which the true share lies in 95 of 100 cases."""
    z, share = 1.96, hits / rows
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return middle - half, middle + half
