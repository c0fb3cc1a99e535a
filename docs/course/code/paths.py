"""The paths of nine optimizers on two surfaces. python docs/course/code/paths.py [--write]"""

import math
from collections.abc import Callable
from typing import Any

import torch
from lesson import leave
from torch import Tensor
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

from kindling.figure import Figure, style
from kindling.palette import BLUE, GREEN, VERMILLION

Surface = Callable[[Tensor], Tensor]
Paths = dict[str, dict[float, Tensor]]  # by optimizer and rate
STEPS = 100
RATES = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]  # the same for each optimizer

# Name, optimizer, and its settings besides the rate. On a surface there are no batches: what makes SGD differ from
# gradient descent is noise in the gradient, which is added to it below.
OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], dict[str, Any]]] = {
    "gradient descent": (SGD, {}),
    "SGD": (SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}),
    "Nesterov": (SGD, {"momentum": 0.9, "nesterov": True}),
    "AdaGrad": (Adagrad, {}),
    "AdaDelta": (Adadelta, {}),
    "RMSProp": (RMSprop, {}),
    "Adam": (Adam, {}),
    "AdamW": (AdamW, {"weight_decay": 0.01}),
}


def valley(w: Tensor) -> Tensor:
    """Fifty times as steep across as along; its only minimum is at (0, 0)."""
    return (w[..., 0] ** 2 + 50 * w[..., 1] ** 2) / 2


def turned_valley(w: Tensor) -> Tensor:
    """The same, turned by 45 degrees: no longer along one of the two weights."""
    x, y = w[..., 0], w[..., 1]
    return valley(torch.stack([x - y, x + y], dim=-1) / math.sqrt(2))


def two_hollows(w: Tensor) -> Tensor:
    """A shallow hollow at x = -2.8, on the way to the deep one at (0, 0)."""
    return 0.1 * w[..., 0] ** 2 + 0.5 * (1 - torch.cos(2 * w[..., 0])) + w[..., 1] ** 2


def path(surface: Surface, start: tuple[float, float], name: str, rate: float) -> Tensor:
    """The points (STEPS + 1, 2) that an optimizer goes through."""
    make, settings = OPTIMIZERS[name]
    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = make([w], lr=rate, **settings)
    noise = torch.Generator().manual_seed(0)
    points = [w.detach().clone()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        surface(w).backward()
        if name == "SGD":
            w.grad += 0.5 * torch.randn(2, generator=noise, dtype=torch.float64)
        optimizer.step()
        points.append(w.detach().clone())
    return torch.stack(points)


def loss_at(surface: Surface, points: Tensor, step: int = STEPS) -> float:
    """A loss that has grown without end counts as infinite."""
    loss = surface(points[step]).item()
    return loss if math.isfinite(loss) else math.inf


def best_rate(surface: Surface, paths: dict[float, Tensor]) -> float:
    """The one with the lowest loss after the last step."""
    return min(paths, key=lambda rate: loss_at(surface, paths[rate]))


def valley_table(surface: Surface, paths: Paths) -> str:
    lines = ["| optimizer | best rate | loss after 20 steps | after 100 |", "|---|---|---|---|"]
    for name, of_rates in paths.items():
        rate = best_rate(surface, of_rates)
        after = [f"{loss_at(surface, of_rates[rate], step):.3f}" for step in (20, STEPS)]
        lines.append(f"| {name} | {rate:g} | {after[0]} | {after[1]} |")
    return "\n".join(lines)


def hollows_table(paths: Paths) -> str:
    lines = ["| optimizer | ends in the shallow hollow at | in the deep one at |", "|---|---|---|"]
    for name, of_rates in paths.items():
        ends = {rate: two_hollows(points[-1]).item() for rate, points in of_rates.items()}
        shallow = [rate for rate, loss in ends.items() if 0.85 < loss < 0.95 and of_rates[rate][-1, 0] < 0]
        deep = [rate for rate, loss in ends.items() if loss < 0.1]
        lines.append(f"| {name} | {listed(shallow)} | {listed(deep)} |")
    return "\n".join(lines)


def listed(rates: list[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates) or "no rate"


def draw(surface: Surface, paths: Paths, title: str) -> Figure:
    """A panel for each optimizer: the loss as lines of equal height, the path, its start and its end."""
    x, y = torch.meshgrid(torch.linspace(-11, 4, 150), torch.linspace(-2, 2, 80), indexing="xy")
    if surface is two_hollows:
        x = x * 0.55 + 0.5
    if surface is turned_valley:
        x, y = x * 0.75 + 1, y * 4.5
    height = surface(torch.stack([x, y], dim=-1))
    with style():
        figure = Figure(figsize=(5.2, 3.9), layout="constrained")
        panels = figure.subplots(3, 3, sharex=True, sharey=True).flat
        for axes, (name, of_rates) in zip(panels, paths.items(), strict=True):
            rate = best_rate(surface, of_rates)
            points = of_rates[rate]
            axes.contour(x, y, height.sqrt(), levels=4, colors="#cccccc", linewidths=0.8, antialiased=False)
            axes.plot(points[:, 0], points[:, 1], ".-", color=BLUE, linewidth=0.8, markersize=2)
            axes.plot(*points[0], "o", color=VERMILLION, markersize=5)
            axes.plot(*points[-1], "*", color=GREEN, markersize=9)
            axes.set_title(f"{name}, {rate:g}", fontsize=8)
            axes.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
            axes.grid(False)
        figure.suptitle(title)
    return figure


def all_paths(surface: Surface, start: tuple[float, float]) -> Paths:
    return {name: {rate: path(surface, start, name, rate) for rate in RATES} for name in OPTIMIZERS}


def main() -> None:
    in_valley = all_paths(valley, (-9.0, 1.2))
    in_turned = all_paths(turned_valley, (-5.515, 7.212))  # the same place in it
    in_hollows = all_paths(two_hollows, (-5.0, 1.0))
    tables = {
        "valley": valley_table(valley, in_valley),
        "turned valley": valley_table(turned_valley, in_turned),
        "hollows": hollows_table(in_hollows),
    }
    signs = "orange: the start; green: after 100 steps"
    figures = {
        "13-valley": lambda: draw(valley, in_valley, f"A long valley ({signs})"),
        "13-turned": lambda: draw(turned_valley, in_turned, f"The same valley, turned ({signs})"),
        "13-hollows": lambda: draw(two_hollows, in_hollows, f"Two hollows ({signs})"),
    }
    leave("13-optimizers.md", tables, figures)


if __name__ == "__main__":
    main()
