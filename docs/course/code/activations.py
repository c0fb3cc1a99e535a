"""Lesson 10: activations, their slopes, and where a hidden layer moves XOR. python docs/course/code/activations.py

`--write` puts the tables into the page and draws the figure.
"""

from collections.abc import Callable

import torch
from lesson import leave
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn import functional

from kindling.figure import Figure
from kindling.palette import BLUE, VERMILLION
from kindling.pictures.hidden import draw_line, draw_sheet

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
Y = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
PLACES = (-2.0, -0.5, 0.5, 2.0)
SEEDS = 100
Weights = list[Tensor]  # of all seeds at once: W (S, 2, H), b (S, 1, H), v (S, H, 1), c (S, 1, 1)


def step(x: Tensor) -> Tensor:
    """1 above 0, else 0: the activation of the first perceptrons."""
    return (x > 0).to(x.dtype) + 0 * x  # the second part tells autograd that the slope is 0 everywhere


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "step": step,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": functional.relu,
    "leaky ReLU": functional.leaky_relu,
    "SiLU": functional.silu,
}


def slopes() -> str:
    """The value of each at four places, and its slope there."""
    heads = " | ".join(f"x = {place:g}" for place in PLACES)
    table = [f"| value (slope) at | {heads} |", "|---|" + "---:|" * len(PLACES)]
    for name, activation in ACTIVATIONS.items():
        x = torch.tensor(PLACES, dtype=torch.float64, requires_grad=True)
        y = activation(x)
        y.sum().backward()
        cells = [f"{value:.2f} ({slope:.2f})" for value, slope in zip(y.tolist(), x.grad.tolist(), strict=True)]
        table.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(table)


def start(units: int) -> Weights:
    """Uniform within 1 / sqrt(inputs of the layer), as nn.Linear has it."""
    torch.manual_seed(0)
    shapes = {(SEEDS, 2, units): 2, (SEEDS, 1, units): 2, (SEEDS, units, 1): units, (SEEDS, 1, 1): units}
    return [(2 * torch.rand(shape, dtype=torch.float64) - 1) / inputs**0.5 for shape, inputs in shapes.items()]


def logits(weights: Weights, activation: Callable[[Tensor], Tensor]) -> Tensor:
    w, b, v, c = weights
    return activation(X @ w + b) @ v + c


def train(activation: Callable[[Tensor], Tensor], units: int, steps: int = 300) -> Weights:
    """100 nets at once by Adam with learning rate 0.2, all four rows in each step."""
    weights = [weight.requires_grad_() for weight in start(units)]
    optimizer = torch.optim.Adam(weights, lr=0.2)
    for _ in range(steps):
        z = logits(weights, activation)
        loss = functional.binary_cross_entropy_with_logits(z, Y.expand_as(z), reduction="sum") / 4
        optimizer.zero_grad()
        loss.backward()  # of a sum over nets: each gets the gradient of its own loss
        optimizer.step()
    return [weight.detach() for weight in weights]


def solved(weights: Weights, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Whether the net of each seed gets all four rows right, and not by a hair, (S,)."""
    sides = logits(weights, activation) * (2 * Y - 1)
    return (sides > 0.01).all(dim=1)[:, 0]


def trained() -> str:
    """2-4-1 with each: how far training moves a hidden weight, and how many of the nets it solves."""
    table = ["| activation | a hidden weight moves by | solved |", "|---|---:|---:|"]
    for name, activation in ACTIVATIONS.items():
        weights = train(activation, units=4)
        moved = (weights[0] - start(4)[0]).abs().mean().item()
        right = solved(weights, activation)
        table.append(f"| {name} | {moved:.1f} | {int(right.sum())} of {SEEDS} |")
        if name == "ReLU":
            units = dead(weights)
            told = f"{units[right].mean():.1f} where XOR is solved, {units[~right].mean():.1f} where it is not."
    return "\n".join([*table, "", "Of the four ReLU units, so many are 0 for all rows in the end:", told])


def dead(weights: Weights) -> Tensor:
    """How many ReLU units of each net are 0 for all four rows, and get no gradient any more, (S,)."""
    w, b, *_ = weights
    return (X @ w + b <= 0).all(dim=1).sum(dim=1).double()


def by_hand() -> Weights:
    """Step units that are OR and AND; the output says: the first and not the second."""
    parts = [[[1, 1], [1, 1]], [[-0.5, -1.5]], [[1], [-1]], [[-0.5]]]
    return [torch.tensor(part, dtype=torch.float64) for part in parts]


def draw() -> Figure:
    figure = Figure(figsize=(5.8, 3.9), layout="constrained")
    first, *others = figure.subplots(2, 4).flat
    lines = torch.linspace(0, 1, 9, dtype=torch.float64)
    along = torch.linspace(0, 1, 41, dtype=torch.float64)
    upright = torch.cartesian_prod(lines, along).reshape(9, 41, 2)
    sheet = torch.cat([upright, upright.flip(2)])
    show(first, "the inputs", sheet, X)
    for axes, (name, activation) in zip(others, ACTIVATIONS.items(), strict=True):
        if name == "step":
            weights = by_hand()
        else:
            found = train(activation, units=2)
            seed = int(solved(found, activation).int().argmax())  # the first that solves it, else 0
            weights = start(2) if name == "none" else found
            weights = [weight[seed] for weight in weights]
        w, b, v, c = weights
        show(axes, f"{name} (by hand)" if name == "step" else name, activation(sheet @ w + b), activation(X @ w + b))
        if name != "none":
            draw_line(axes, (*v[:, 0].tolist(), c.item()))
    return figure


def show(axes: Axes, title: str, sheet: Tensor, places: Tensor) -> None:
    draw_sheet(axes, sheet.numpy())
    for y, colour, marker in ((0, BLUE, "o"), (1, VERMILLION, "s")):
        axes.scatter(*places[Y[:, 0] == y].T, color=colour, marker=marker, s=30, zorder=3)
    axes.set_title(title)
    axes.locator_params(nbins=3)


def main() -> None:
    tables = {"slopes": slopes(), "trained": trained()}
    leave("10-activations.md", tables, {"10-activations": draw})


if __name__ == "__main__":
    main()
