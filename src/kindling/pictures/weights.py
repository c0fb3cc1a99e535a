"""The weights of a linear regression, against those of least squares, and the true ones where they are known."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kindling.data.base import InMemoryDataModule
from kindling.data.tasks import Regression
from kindling.figure import Figure, plain, short
from kindling.palette import BLACK, BLUE, VERMILLION
from kindling.pictures import columns
from kindling.pictures.about import About
from kindling.pictures.layers import dense
from kindling.pictures.seen import Found, Seen, placed

SAYS = (
    "What the model gives each feature for a weight, beside what least squares, which needs no training, finds on the "
    "same rows, and beside the true weights where the data were made by them. On the right, the difference: within the "
    "bars the rows cannot tell the two apart."
)
MOST = 20  # weights that are shown: the largest
MOST_NUMBERS = 20_000_000  # in the training rows, for least squares


def measure(seen: Seen) -> Found | None:
    """Weights by what one step of the feature as the model sees it changes in the target's unit."""
    layer, task, data = linear(seen), seen.model.task, seen.data
    if layer is None or not isinstance(task, Regression) or not isinstance(data, InMemoryDataModule):
        return None
    if data.sizes["train"] * data.in_features > MOST_NUMBERS:
        return None
    fit = least_squares(seen)
    factor = task.std.double().cpu().numpy()[:, None]  # from the model's targets to those of the data
    learned = with_bias(layer)
    true = true_weights(data, learned.shape)
    standardised = bool((columns.scale(data)[1] != 1).any())
    shown = slice(0, learned.shape[1] - (standardised or layer.bias is None))
    names = [*columns.features(data), "intercept"]
    targets = columns.targets(data)
    labels = [
        f"{feature.partition(' (')[0]}{f' → {target}' if len(targets) > 1 else ''}"
        for target in targets
        for feature in names[shown]
    ]
    table = {"learned": learned * factor, "fit": fit.weights * factor, "half": fit.half_width * factor}
    table["true"] = np.full_like(learned, np.nan) if true is None else true
    flat = {name: values[:, shown].flatten() for name, values in table.items()}
    largest = np.sort(np.argsort(-np.abs(flat["learned"]), kind="stable")[:MOST])
    return {
        **{name: values[largest] for name, values in flat.items()},
        "labels": np.array(labels)[largest],
        "of": np.array(len(labels)),
        "unique": np.array(fit.unique),
        "step": np.array("standard deviation" if standardised else ""),
        "target": np.array(targets[0] if len(targets) == 1 else "target"),
    }


def linear(seen: Seen) -> nn.Linear | None:
    """The one layer of a linear model, with an output for each target."""
    layers = dense(seen.model)
    return layers[0] if len(layers) == 1 and layers[0].out_features == seen.model.task.out_features else None


def with_bias(layer: nn.Linear) -> np.ndarray:
    """(out_features, in_features + 1)"""
    bias = layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
    return torch.cat([layer.weight, bias[:, None]], dim=1).detach().double().cpu().numpy()


def true_weights(data: InMemoryDataModule, shape: tuple[int, ...]) -> np.ndarray | None:
    weight, bias = getattr(data, "weight", None), getattr(data, "bias", None)
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor):
        return None
    both = torch.cat([weight, bias[:, None]], dim=1).double().cpu().numpy()
    return both if both.shape == shape else None


@dataclass
class Fit:
    """`weights` and `half_width` (out_features, in_features + 1), on the scale of the model."""

    weights: np.ndarray
    half_width: np.ndarray  # of 95% intervals; NaN where there are none
    unique: bool


def least_squares(seen: Seen) -> Fit:
    """On the training rows; the smallest of many solutions where these do not settle it."""
    x, y, *weight = (torch.cat(parts) for parts in zip(*seen.data.batches("train"), strict=True))
    target = seen.model.task.target(placed(y, seen.model)).double().cpu().numpy()
    design = np.concatenate([x.flatten(1).double().cpu().numpy(), np.ones((len(x), 1))], axis=1)
    if weight:
        root = np.sqrt(weight[0].double().cpu().numpy())[:, None]
        design, target = design * root, target * root
    found, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    free = len(design) - design.shape[1]
    unique = int(rank) == design.shape[1]
    half = np.full_like(found, np.nan)
    if unique and free > 0:
        variance = ((target - design @ found) ** 2).sum(axis=0) / free
        half = 1.96 * np.sqrt(np.diag(np.linalg.inv(design.T @ design))[:, None] * variance)
    return Fit(found.T, half.T, unique)


def draw(found: Found, about: About) -> Figure:
    """`learned`, `fit`, `half` and `true` (weights,), one line each."""
    names = [short(str(name), 24) for name in found["labels"]]
    lines = np.arange(len(names))
    figure = Figure(figsize=(8, 1.7 + 0.27 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, base in ((left, 0.0), (right, found["fit"])):
        axes.axvline(0, color=BLACK, linewidth=0.8)
        width = np.where(np.isnan(found["half"]), 0, found["half"])
        text = "least squares, 95% interval" if np.isfinite(found["half"]).any() else "least squares"
        axes.errorbar(
            found["fit"] - base, lines, xerr=width, color=VERMILLION, fmt="D", fillstyle="none", capsize=3, label=text
        )
        if np.isfinite(found["true"]).any():
            axes.plot(found["true"] - base, lines, "|", color=BLACK, markersize=14, mew=1.6, label="true")
        axes.plot(found["learned"] - base, lines, "o", color=BLUE, markersize=4, label="learned")
        axes.locator_params(axis="x", nbins=5)
    left.set_yticks(lines, names)
    left.set_ylim(len(names) - 0.4, -0.6)
    target, step = plain(str(found["target"])), str(found["step"])
    left.set_xlabel(f"change of {target}\nfor one {step} more of the feature" if step else "weight")
    right.set_xlabel("difference from least squares")
    if not found["unique"]:
        right.set_title(
            "many weights fit equally well (few rows, or\ncolumns that add up): least squares takes the smallest",
            fontsize=7,
        )
    if int(found["of"]) > len(names):
        left.set_title(f"the {len(names)} largest of {int(found['of'])}", fontsize=8)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
