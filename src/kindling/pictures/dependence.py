"""How the predictions change with the two features that count most (partial dependence: Friedman, 'Greedy Function
Approximation', 2001)."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Binary, Multiclass, Multilabel, Task
from kindling.figure import Figure, short
from kindling.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION
from kindling.pictures import columns, importance
from kindling.pictures.about import About
from kindling.pictures.features import Feature, Features
from kindling.pictures.seen import Found, Seen

SAYS = (
    "The mean prediction for the test rows if all of them had one value of a feature and kept the others. The ticks "
    "below are the values that the rows have: where there are few, the curve is a guess."
)
PANELS = 2
POINTS = 40  # of a curve
ROWS = 300  # over which the mean is taken
RUG = 200  # ticks
MOST_OUTPUTS = 5  # curves in a panel
MOST_CATEGORIES = 12
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE)
PLAIN = "{x:.6g}"  # without a factor at the end of the axis, which a long label would cover
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def measure(seen: Seen) -> Found | None:
    features = seen.features
    if features is None or importance.measure(seen) is None:
        return None
    outputs, what = names_of(seen.model.task, seen.data)
    found: Found = {"outputs": np.array(outputs), "what": np.array(what)}
    places, _ = features.importance
    for panel, place in enumerate(places[:PANELS]):
        feature = features.every[place]
        values = feature.values(features.x)
        if feature.categories is None:
            at = np.linspace(values.min(), values.max(), POINTS)
            found[f"rug_{panel}"] = values[:: -(-len(values) // RUG)]
        else:
            counts = np.bincount(values[values >= 0], minlength=len(feature.categories))
            at = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
            found[f"rug_{panel}"] = counts[at]
            found[f"categories_{panel}"] = np.array(feature.categories)[at]
        found |= {f"name_{panel}": np.array(feature.name), f"at_{panel}": at}
        found[f"mean_{panel}"] = means(features, feature, at)
    finite = all(np.isfinite(found[f"mean_{panel}"]).all() for panel in range(len(places[:PANELS])))
    return found if finite else None


def names_of(task: Task, data: SupervisedDataModule) -> tuple[list[str], str]:
    """Of the outputs, and what their axis says."""
    if isinstance(task, Binary):
        return [f"probability of {task.classes[1]}"], f"probability of {task.classes[1]}"
    if isinstance(task, Multiclass | Multilabel):
        return task.classes if isinstance(task, Multiclass) else task.labels, "probability"
    targets = columns.targets(data)
    return targets, f"predicted {targets[0]}" if len(targets) == 1 else "prediction"


@torch.no_grad()
def means(features: Features, feature: Feature, at: np.ndarray) -> np.ndarray:
    """Of each output, over the rows, with the feature at each of the values: (values, outputs)."""
    x = features.x[:ROWS]
    found = []
    for value in at:
        changed = x.clone()
        if feature.categories is None:
            changed[:, feature.columns] = (value - feature.mean) / feature.std
        else:
            changed[:, feature.columns] = 0
            changed[:, feature.columns.start + int(value)] = 1
        found.append(mean_prediction(features, changed))
    return np.stack(found)


def mean_prediction(features: Features, x: Tensor) -> np.ndarray:
    predictions = features.model.task.prediction(features.model(x)).double().mean(dim=0)
    return predictions.reshape(-1).cpu().numpy()


def draw(found: Found, about: About) -> Figure:
    """Of many outputs those that change most."""
    panels = [panel for panel in range(PANELS) if f"at_{panel}" in found]
    figure = Figure(figsize=(4.15 * max(len(panels), 1.2), 3.9), layout="constrained")
    outputs, what = [short(str(name)) for name in found["outputs"]], short(str(found["what"]), 22)
    change = np.sum([np.ptp(found[f"mean_{panel}"], axis=0) for panel in panels], axis=0)
    chosen = np.sort(np.argsort(-change, kind="stable")[:MOST_OUTPUTS])
    kept = [outputs[place] for place in chosen]
    limits = common_limits([found[f"mean_{panel}"][:, chosen] for panel in panels], what)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        name = short(str(found[f"name_{panel}"]), 32)
        mean, at, rug = (found[f"{key}_{panel}"] for key in ("mean", "at", "rug"))
        if f"categories_{panel}" in found:
            most = MOST_CATEGORIES if len(chosen) == 1 else MOST_CATEGORIES // 2
            categories = [str(category) for category in found[f"categories_{panel}"][:most]]
            bars(axes, categories, mean[:most, chosen], rug[:most], kept)
            axes.set(xlabel=f"{what} (mean)", title=name, xlim=limits)
        else:
            curves(axes, at, mean[:, chosen], rug, kept)
            axes.set(xlabel=name, ylabel=f"{what} (mean)", ylim=limits)
    if len(chosen) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        title = f"{len(chosen)} of {len(outputs)} outputs: those that change most" if len(chosen) < len(outputs) else ""
        figure.legend(handles, labels, loc="outside upper center", ncols=3, title=title or None)
    return figure


def common_limits(means: list[np.ndarray], what: str) -> tuple[float, float]:
    """Of all panels, so that the features can be compared; with room for the ticks below."""
    every = np.concatenate(means)
    low, high = (0.0, min(1.0, 1.1 * every.max())) if what.startswith("probability") else (every.min(), every.max())
    room = max(high - low, 1e-6 * max(abs(high), 1e-6))
    return low - 0.08 * room, high + 0.04 * room


def curves(axes: Axes, at: np.ndarray, mean: np.ndarray, rug: np.ndarray, outputs: list[str]) -> None:
    for values, name, colour, line in zip(mean.T, outputs, COLOURS, LINES, strict=False):
        axes.plot(at, values, color=colour, linestyle=line, label=name)
    axes.plot(rug, np.full(len(rug), 0.0), "|", color=GREY, markersize=9, transform=axes.get_xaxis_transform())
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_major_formatter(PLAIN)


def bars(axes: Axes, categories: list[str], mean: np.ndarray, rows: np.ndarray, outputs: list[str]) -> None:
    """From 0 for probabilities, else from the mean over the rows."""
    places, height = np.arange(len(categories)), 0.8 / mean.shape[1]
    probabilities = mean.min() >= 0 and mean.max() <= 1
    for column, (values, name, colour) in enumerate(zip(mean.T, outputs, COLOURS, strict=False)):
        start = 0.0 if probabilities else float(np.average(values, weights=np.maximum(rows, 1)))
        offset = (column - (mean.shape[1] - 1) / 2) * height
        axes.barh(places + offset, values - start, left=start, height=height, color=colour, label=name)
        if start:
            axes.axvline(start, color=colour, linewidth=0.8, linestyle="--")
    names = [f"{short(name, 16)} ({count:,})" for name, count in zip(categories, rows, strict=True)]
    axes.set_yticks(places, names)
    axes.set_ylim(len(categories) - 0.4, -0.6)
    axes.set_ylabel("category (rows)")
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(PLAIN)
