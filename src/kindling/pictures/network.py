"""A small net itself: its units, and its weights and biases as colours and widths, before and after training."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from kindling.figure import SMALLEST, Figure, short
from kindling.palette import BLACK, BLUE, GREY, VERMILLION
from kindling.pictures import columns
from kindling.pictures.about import About
from kindling.pictures.layers import dense
from kindling.pictures.seen import Found, Seen

SAYS = (
    "The net from its inputs, left, to its output, right. A line is a weight: the wider the larger, orange and solid "
    "above zero, blue and dashed below. The number in a unit is its bias."
)
MOST_UNITS = 8  # in a layer
MOST_LAYERS = 4
WIDEST = 5.0  # points


def measure(seen: Seen) -> Found | None:
    """Each layer's `weight_0`, ... (moments, out, in) and `bias_0`, ... (moments, out), NaN where there is none."""
    layers = dense(seen.model)
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)] if layers else []
    if not layers or len(layers) > MOST_LAYERS or max(sizes) > MOST_UNITS:
        return None
    moments = [now(seen)]
    if seen.trace.moments:
        with seen.at(0):
            moments.insert(0, now(seen))
    names = getattr(seen.model.task, "classes", None) or getattr(seen.model.task, "labels", None)
    outputs = [f"is {names[1]}"] if names and sizes[-1] == 1 else names or columns.targets(seen.data)
    return {
        **{name: np.stack([moment[name] for moment in moments]) for name in moments[0]},
        "inputs": np.array(columns.features(seen.data)),
        "outputs": np.array(list(outputs)),
    }


def now(seen: Seen) -> Found:
    found: Found = {}
    for place, layer in enumerate(dense(seen.model)):
        found[f"weight_{place}"] = layer.weight.detach().double().cpu().numpy()
        nothing = np.full(layer.out_features, np.nan)
        found[f"bias_{place}"] = nothing if layer.bias is None else layer.bias.detach().double().cpu().numpy()
    return found


def draw(found: Found, about: About) -> Figure:
    count = sum(name.startswith("weight_") for name in found)
    weights = [found[f"weight_{place}"] for place in range(count)]
    biases = [found[f"bias_{place}"] for place in range(count)]
    moments, largest = len(weights[0]), max(float(np.abs(weight).max()) for weight in weights) or 1.0
    most = max(max(weight.shape[1:]) for weight in weights)
    figure = Figure(figsize=(4.1 * moments, 1.7 + 0.42 * max(most, 3)), layout="constrained")
    panels = figure.subplots(1, moments, squeeze=False)[0]
    # Without the units, which are of no use here.
    names = [[short(str(name).partition(" (")[0], 14) for name in found[which]] for which in ("inputs", "outputs")]
    for moment, axes in enumerate(panels):
        draw_net(axes, [weight[moment] for weight in weights], [bias[moment] for bias in biases], largest, names)
        axes.set_title(["before training", "after training"][moment - moments])
    figure.legend(handles=key(largest), loc="outside upper center", ncols=5)
    return figure


def look(weight: float, largest: float) -> tuple[str, Literal["-", "--"], float]:
    """Colour, line style and width in points."""
    colour = VERMILLION if weight > 0 else BLUE
    return colour, "-" if weight > 0 else "--", 0.3 + (WIDEST - 0.3) * min(abs(weight) / largest, 1.0)


def draw_net(
    axes: Axes, weights: list[np.ndarray], biases: list[np.ndarray], largest: float, names: list[list[str]]
) -> None:
    sizes = [weights[0].shape[1], *(len(weight) for weight in weights)]
    places = [[(layer, (size - 1) / 2 - unit) for unit in range(size)] for layer, size in enumerate(sizes)]
    for layer, weight in enumerate(weights):
        for (to, start), value in np.ndenumerate(weight):
            colour, style, width = look(float(value), largest)
            ends = [places[layer][start], places[layer + 1][to]]
            axes.add_collection(LineCollection([ends], colors=colour, linestyles=style, linewidths=width, zorder=1))
    for layer, units in enumerate(places):
        across, up = zip(*units, strict=True)
        axes.scatter(across, up, s=620, facecolors="white", edgecolors=BLACK, linewidths=1, zorder=2)
        for unit, place in enumerate(units):
            if layer and np.isfinite(bias := biases[layer - 1][unit]):
                colour = VERMILLION if bias > 0 else BLUE
                text = f"{bias:+.2f}" if abs(bias) < 10 else f"{bias:+.0f}"
                axes.text(*place, text, ha="center", va="center", fontsize=SMALLEST, color=colour, zorder=3)
    for layer, away, side, texts in ((0, -0.2, "right", names[0]), (len(sizes) - 1, 0.2, "left", names[1])):
        for (x, y), text in zip(places[layer], texts, strict=True):
            axes.text(x + away, y, text, ha=side, va="center", fontsize=8)
    axes.set(xlim=(-0.9, len(sizes) - 0.1), ylim=(-max(sizes) / 2, max(sizes) / 2))
    axes.axis("off")


def key(largest: float) -> list[Line2D]:
    """What a width means, at both signs."""
    handles = []
    for weight in (-largest, -largest / 3, largest / 3, largest):
        colour, style, width = look(weight, largest)
        handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=width, label=f"{weight:+.2g}"))
    unit = Line2D(
        [], [], linestyle="", marker="o", color="white", markeredgecolor=GREY, markersize=9, label="with its bias"
    )
    return [*handles, unit]
