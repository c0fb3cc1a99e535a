"""The plane of two features: the points of the data, and what a binary model says everywhere between them."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from torch import Tensor

from kindling.data.tasks import Binary
from kindling.models.base import SupervisedModule
from kindling.palette import BLACK, BLUE, VERMILLION
from kindling.pictures import columns
from kindling.pictures.seen import Found, Seen, predict

POINTS = 101  # in a line of the plane
MOST_ROWS = 500  # of the test that are drawn
FLAT = 0.05  # a surface that stays as near as this to one half says nothing, and has no border
# The ground is paler than the points on it, which would vanish else where they are right.
GROUND = LinearSegmentedColormap.from_list("ground", ["#6fb1d8", "#f7f7f7", "#f0a36b"])
CLASSES = ((BLUE, "o"), (VERMILLION, "s"))  # colour and marker


def of_plane(seen: Seen) -> bool:
    return isinstance(seen.model.task, Binary) and seen.data.row_shape == [2]


def measure(seen: Seen) -> Found:
    """Two `lines` (2, P) in the features' own units, and of the test rows x (N, 2) in the same, and y (N,)."""
    mean, std = columns.scale(seen.data)
    x = rows(seen)
    return {
        "lines": np.stack([line.numpy() * std[axis] + mean[axis] for axis, line in enumerate(lines(x))]),
        "x": x.numpy() * std + mean,
        "y": seen.tested[1].numpy()[chosen(seen)],
        "classes": np.array(seen.classes),
        "features": np.array(columns.features(seen.data)),
    }


def chosen(seen: Seen) -> np.ndarray:
    """Rows of the test, spread evenly where there are many."""
    count = len(seen.tested[1])
    return np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(int)


def rows(seen: Seen) -> Tensor:
    """The chosen ones as the model sees them, (N, 2)."""
    return torch.cat([x for x, *_ in seen.data.batches(seen.split)]).cpu().double()[chosen(seen)]


def lines(x: Tensor) -> list[Tensor]:
    """Of each feature, half as wide again as the points."""
    low, high = x.amin(dim=0), x.amax(dim=0)
    margin = torch.where(high > low, (high - low) * 0.35, 1.0)
    return [
        torch.linspace(*ends, POINTS) for ends in zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    ]


def surface(model: SupervisedModule, of: list[Tensor]) -> np.ndarray:
    """The probability of the second class, (P, P), rows by the second feature."""
    points = torch.cartesian_prod(of[0], of[1])
    found, _ = predict(model, ((part, torch.zeros(len(part))) for part in points.split(4096)))
    return found.reshape(POINTS, POINTS).T.numpy().astype(np.float32)


def draw_surface(axes: Axes, found: Found, surface: np.ndarray) -> AxesImage:
    across, up = found["lines"]
    extent = (across[0], across[-1], up[0], up[-1])
    ground = axes.imshow(
        surface, origin="lower", extent=extent, cmap=GROUND, vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    if np.abs(surface - 0.5).max() > FLAT and surface.min() < 0.5 < surface.max():
        axes.contour(across, up, surface, levels=[0.5], colors=BLACK, linewidths=1.2)
    axes.locator_params(nbins=4)
    return ground


def draw_points(axes: Axes, x: np.ndarray, y: np.ndarray, wrong: np.ndarray | None = None) -> None:
    """By colour and marker of their class; those that are wrong are crossed."""
    size = 70 if len(x) <= 20 else 16
    for place, (colour, marker) in enumerate(CLASSES):
        of_class = x[y == place]
        across, up = of_class[:, 0], of_class[:, 1]
        axes.scatter(across, up, color=colour, marker=marker, s=size, edgecolors="white", linewidths=1.2, zorder=3)
        axes.scatter(
            across, up, facecolors="none", marker=marker, s=size * 1.5, edgecolors=BLACK, linewidths=0.7, zorder=3
        )
    if wrong is not None and wrong.any():
        axes.scatter(x[wrong, 0], x[wrong, 1], marker="x", color=BLACK, s=size * 2, linewidths=1.6, zorder=4)
