"""The training loss of a linear regression over two of its weights, with the way that the optimizer took."""

import numpy as np
import torch
from matplotlib.colors import LogNorm
from torch import Tensor, nn

from kindling.data.base import InMemoryDataModule
from kindling.data.tasks import Regression
from kindling.figure import Figure, plain
from kindling.palette import BLACK, GREEN, VERMILLION
from kindling.pictures import columns
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen, placed
from kindling.pictures.weights import linear

SAYS = (
    "The training loss as a landscape over two weights: dark is low. The line is the way that the optimizer took from "
    "the first weights to those that the run kept; all other weights are held at their trained values."
)
POINTS = 61  # in a line of the plane
MOST_ROWS = 1_000


@torch.no_grad()
def measure(seen: Seen) -> Found | None:
    """Of the two features that go with the target most; where there is one alone, of its weight and the intercept."""
    layer, data = linear(seen), seen.data
    if layer is None or not isinstance(seen.model.task, Regression) or not isinstance(data, InMemoryDataModule):
        return None
    if not seen.trace.moments or (data.in_features == 1 and layer.bias is None):
        return None
    batch = data.splits["train"][torch.arange(min(data.sizes["train"], MOST_ROWS))]
    x, y, *rest = (placed(part, seen.model) for part in batch)
    x = x.flatten(1)
    chosen = correlated(x, y[:, 0]) if data.in_features > 1 else [0]
    both = seen.trace.path(name_of(seen, layer))[:, 0, chosen].double()
    end = layer.weight[0, chosen].double().cpu()
    if len(chosen) == 1:
        both = torch.cat([both, seen.trace.path(name_of(seen, layer, "bias"))[:, :1].double()], dim=1)
        end = torch.cat([end, layer.bias[:1].double().cpu()])
    lines = [around(torch.cat([both[:, axis], end[axis : axis + 1]])) for axis in (0, 1)]
    plane = torch.cartesian_prod(lines[1], lines[0]).flip(1)
    steps = torch.stack([x[:, feature] for feature in chosen] + [torch.ones_like(x[:, 0])] * (len(chosen) == 1))
    output = seen.model(x.reshape(-1, *data.row_shape))

    def of_one(away: Tensor) -> Tensor:
        moved = torch.cat([output[:, :1] + (away @ steps)[:, None], output[:, 1:]], dim=1)
        return seen.model.loss_of(moved, y, *rest)

    losses = torch.vmap(of_one, chunk_size=64)((plane - end).to(x))
    unit = seen.model.task.std[0].double().cpu().numpy() / np.append(columns.scale(data)[1], 1.0)
    factors = unit[[*chosen, *([-1] if len(chosen) == 1 else [])]]
    names, target = columns.features(data), columns.targets(data)
    labels = [f"{target[0]} for one more of {names[feature]}" for feature in chosen]
    offset = np.array([0.0, float(seen.model.task.mean[0]) if len(chosen) == 1 else 0.0])
    return {
        "lines": np.stack([line.numpy() for line in lines]) * factors[:, None] + offset[:, None],
        "losses": losses.reshape(POINTS, POINTS).double().cpu().numpy(),
        "path": both.numpy() * factors + offset,
        "end": end.numpy() * factors + offset,
        "labels": np.array([*labels, *([f"{target[0]} at the mean"] if len(chosen) == 1 else [])]),
        "others": np.array(max(0, data.in_features - 2)),
        "step": np.array(seen.trace.count),
    }


def name_of(seen: Seen, layer: nn.Linear, part: str = "weight") -> str:
    """Under which the trace has it."""
    return next(name for name, value in seen.model.named_parameters() if value is getattr(layer, part))


def correlated(x: Tensor, y: Tensor) -> list[int]:
    """The two features whose correlation with y is largest, in their order."""
    away, off = (x - x.mean(dim=0)).double(), (y - y.mean()).double()
    strength = (away * off[:, None]).sum(dim=0).abs() / away.norm(dim=0).clamp_min(1e-12)
    return sorted(strength.argsort(descending=True, stable=True)[:2].tolist())


def around(values: Tensor) -> Tensor:
    """A line of weights that holds them all, and as much again around the last."""
    end = float(values[-1])
    away = max(float((values - end).abs().max()), 1e-3)
    low, high = min(float(values.min()), end - 0.8 * away), max(float(values.max()), end + 0.8 * away)
    margin = 0.1 * (high - low)
    return torch.linspace(low - margin, high + margin, POINTS, dtype=torch.float64)


def draw(found: Found, about: About) -> Figure:
    """`losses` (P, P) over `lines` (2, P), rows by the second; the `path` (moments, 2) to the `end`."""
    losses, path, end = found["losses"], found["path"], found["end"]
    across, up = found["lines"]
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = figure.subplots()
    finite = losses[np.isfinite(losses)]
    floor = max(float(finite.min()), 1e-3 * float(finite.max()), 1e-30)
    levels = np.geomspace(floor, max(float(finite.max()), 1.01 * floor), 16)
    norm = LogNorm(levels[0], levels[-1])
    ground = axes.contourf(across, up, np.maximum(losses, floor), levels, norm=norm, cmap="cividis")
    axes.plot(path[:, 0], path[:, 1], ".-", color=VERMILLION, markersize=4, label=f"{int(found['step']):,} steps")
    axes.plot(*path[0], "o", color="white", markeredgecolor=BLACK, markersize=8, label="start")
    axes.plot(*end, "*", color=GREEN, markeredgecolor="white", markersize=14, label="weights that were kept")
    axes.set(xlabel=plain(str(found["labels"][0])), ylabel=plain(str(found["labels"][1])))
    axes.grid(False)
    bar = figure.colorbar(ground, label="training loss (log scale)", format="%.2g", ticks=levels[::3])
    bar.minorticks_off()
    if int(found["others"]):
        axes.set_title("all other weights as trained", fontsize=8)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
