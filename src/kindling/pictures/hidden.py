"""Where the hidden layer moves the points of a plane, and the line that the output draws there."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import nn

from kindling.figure import Figure, plain
from kindling.palette import BLACK, GREY
from kindling.pictures import columns, plane
from kindling.pictures.about import About
from kindling.pictures.decision import key
from kindling.pictures.layers import dense
from kindling.pictures.seen import Found, Seen, placed

SAYS = (
    "Left, the rows as they come: no straight line parts the two classes of XOR. The hidden layer moves every place of "
    "that plane (the grey grid goes along), and the output parts what comes out by one straight line."
)
GRID = 13  # lines in each direction


@torch.no_grad()
def measure(seen: Seen) -> Found | None:
    """The test rows and a grid as the last hidden layer gives them, before and after training, in a plane of their
    own: of two units, these; of more, how far along the weights of the output, where its line stands upright, and
    across them, where the rows lie farthest apart.
    """
    layers = dense(seen.model)
    if not plane.of_plane(seen) or len(layers) < 2 or layers[-1].out_features != 1:
        return None
    assert isinstance(seen.model.net, nn.Sequential)
    x = plane.rows(seen)
    ends = [(x[:, axis].min().item(), x[:, axis].max().item()) for axis in (0, 1)]
    fine = [torch.linspace(*pair, 61) for pair in ends]
    coarse = [torch.linspace(*pair, GRID) for pair in ends]
    grid = torch.cat(
        [
            torch.cartesian_prod(coarse[0], fine[1]).reshape(GRID, 61, 2),
            torch.cartesian_prod(coarse[1], fine[0]).flip(1).reshape(GRID, 61, 2),
        ]
    )
    moments: list[Found] = []
    if seen.trace.moments:
        with seen.at(0):
            moments.append(moved(seen, x, grid))
    moments.append(moved(seen, x, grid))
    mean, std = columns.scale(seen.data)
    return {
        **plane.measure(seen),
        "sheet": (grid.numpy() * std + mean).astype(np.float32),
        "units": np.array(layers[-1].in_features),
        **{name: np.stack([moment[name] for moment in moments]) for name in moments[0]},
    }


def moved(seen: Seen, x: torch.Tensor, grid: torch.Tensor) -> Found:
    """`points` (N, 2) and `grids` (lines, places, 2) in the plane, and the `line` a, b, c: a u + b v + c = 0."""
    net = seen.model.net
    assert isinstance(net, nn.Sequential)
    output = next(part for part in reversed(net) if isinstance(part, nn.Linear))
    below = net[: list(net).index(output)]
    points, sheet = (below(placed(part, seen.model)).double().cpu().numpy() for part in (x, grid.reshape(-1, 2)))
    weight = output.weight[0].double().cpu().numpy()
    offset = 0.0 if output.bias is None else float(output.bias)
    basis = axes_of(weight, points)
    return {
        "points": points @ basis.T,
        "grids": (sheet @ basis.T).reshape(*grid.shape[:2], 2).astype(np.float32),
        "line": np.array([*(basis @ weight), offset]),
    }


def axes_of(weight: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Two directions in the space of the units, (2, units); the second is nothing where there is one unit."""
    if len(weight) <= 2:
        return np.eye(2)[:, : len(weight)]
    along = weight / max(float(np.linalg.norm(weight)), 1e-12)
    rest = points - points.mean(axis=0)
    rest = rest - np.outer(rest @ along, along)
    return np.stack([along, np.linalg.svd(rest, full_matrices=False)[2][0]])


def draw(found: Found, about: About) -> Figure:
    features, count = [plain(str(name)) for name in found["features"]], len(found["points"])
    figure = Figure(figsize=(3.05 * (count + 1), 3.7), layout="constrained")
    panels = figure.subplots(1, count + 1)
    draw_sheet(panels[0], found["sheet"])
    draw_rows(panels[0], found["x"], found)
    panels[0].set(xlabel=features[0], ylabel=features[1], title="the inputs")
    units = int(found["units"])
    titles = ["before training", "after training"][-count:]
    for axes, points, grid, line, title in zip(
        panels[1:], found["points"], found["grids"], found["line"], titles, strict=True
    ):
        draw_sheet(axes, grid)
        draw_rows(axes, points, found)
        draw_line(axes, line)
        names = ("along the output's weights", f"across them ({units} units)")
        if units <= 2:
            names = ("hidden unit 1", "hidden unit 2" if units == 2 else "")
        axes.set(xlabel=names[0], ylabel=names[1], title=f"the hidden layer\n{title}")
    handles = key([plain(str(name)) for name in found["classes"]])
    figure.legend(handles=[*handles[:2], handles[3]], loc="outside upper center", ncols=3)
    return figure


def draw_sheet(axes: Axes, grid: np.ndarray) -> None:
    for line in grid:
        axes.plot(*line.T, color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
    axes.grid(False)
    axes.margins(0.22)
    axes.locator_params(nbins=4)


def draw_rows(axes: Axes, points: np.ndarray, found: Found) -> None:
    """Of a few rows, each with its features; those that lie together share a line of text."""
    plane.draw_points(axes, points, found["y"])
    if len(points) > 4:
        return
    names = [f"({', '.join(f'{value:g}' for value in row)})" for row in found["x"]]
    size = np.maximum(np.ptp(axes.dataLim.get_points(), axis=0), 1e-9)
    groups: list[list[int]] = []
    for place in range(len(points)):
        near = [group for group in groups if (np.abs(points[place] - points[group[0]]) / size < (0.25, 0.1)).all()]
        if near:
            near[0].append(place)
        else:
            groups.append([place])
    for group in groups:
        text = "\n".join(names[place] for place in group)
        highest = points[group][points[group][:, 1].argmax()]
        axes.annotate(text, highest, (0, 8), textcoords="offset points", ha="center", fontsize=8, zorder=5)


def draw_line(axes: Axes, line: np.ndarray) -> None:
    """Where the output is undecided, if that is within what is shown."""
    a, b, c = line
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    if max(abs(a), abs(b)) < 1e-12:
        return
    if abs(b) * (high - low) > abs(a) * (right - left):
        across = np.array([left, right])
        axes.plot(across, -(a * across + c) / b, color=BLACK, linewidth=1.6, zorder=2)
    else:
        up = np.array([low, high])
        axes.plot(-(b * up + c) / a, up, color=BLACK, linewidth=1.6, zorder=2)
    axes.set_ylim(low, high)
