"""The decision surface over the plane of two features."""

import numpy as np
import torch

from kindling.data.tasks import Binary
from kindling.figure import BLACK, Figure, plain
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen, predict

POINTS = 200  # in a line of the plane


def measure(seen: Seen) -> Found | None:
    if not isinstance(seen.model.task, Binary) or seen.data.row_shape != [2]:
        return None
    x = torch.cat([x for x, *_ in seen.data.batches("test")]).cpu()
    low, high = x.min().item() - 0.5, x.max().item() + 0.5
    line = torch.linspace(low, high, POINTS)
    plane = torch.cartesian_prod(line, line)
    probabilities, _ = predict(seen.model, ((points, torch.zeros(len(points))) for points in plane.split(1024)))
    return {
        "line": line.numpy(),
        "surface": probabilities.reshape(POINTS, POINTS).T.numpy(),
        "x": x.numpy(),
        "y": seen.tested[1].numpy(),
        "classes": np.array(seen.classes),
    }


def draw(found: Found, about: About) -> Figure:
    """The probability of the second class, `surface` (P, P), with the test rows x (N, 2) on it."""
    line, surface, x = found["line"], found["surface"], found["x"]
    extent = (line[0], line[-1], line[0], line[-1])
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(surface, origin="lower", extent=extent, cmap="RdBu_r", vmin=0, vmax=1)
    axes.contour(line, line, surface, levels=[0.5], colors=BLACK, linewidths=1)
    axes.scatter(x[:, 0], x[:, 1], c=found["y"], cmap="RdBu_r", edgecolors=BLACK, s=80, vmin=0, vmax=1)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    figure.colorbar(image, label=f"probability of {plain(str(found['classes'][1]))}")
    return figure
