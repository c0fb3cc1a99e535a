"""Lesson 10: activations, their slopes, and where a hidden layer moves XOR. python docs/course/code/activations.py

`--write` puts the tables into the page and draws the figure.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from kindling.figure import Figure, save, style
from kindling.pictures.hidden import draw_line, draw_sheet
from kindling.palette import BLUE, VERMILLION
from kindling.studies.page import put

COURSE = Path(__file__).parent.parent
X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
Y = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
PLACES = (-2.0, -0.5, 0.5, 2.0)


class Step(nn.Module):
    """1 above 0, else 0: the first activation there was, of the perceptron."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype) + 0 * x  # the second part says that its slope is 0 everywhere


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "step": Step,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "leaky ReLU": nn.LeakyReLU,
    "SiLU": nn.SiLU,
}


def slopes() -> str:
    """The value and the slope of each at four places."""
    head = " | ".join(f"at {place:g}" for place in PLACES)
    table = [f"| activation, value (slope) | {head} |", "|---|" + "---:|" * len(PLACES)]
    for name, activation in ACTIVATIONS.items():
        x = torch.tensor(PLACES, dtype=torch.float64, requires_grad=True)
        y = activation()(x)
        y.sum().backward()
        cells = [f"{v:.2f} ({d:.2f})" for v, d in zip(y.tolist(), x.grad.tolist(), strict=True)]
        table.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(table)


def net_of(activation: type[nn.Module], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 2), activation(), nn.Linear(2, 1)).double()


def trained(activation: type[nn.Module], seed: int, steps: int = 1000) -> tuple[nn.Sequential, float]:
    """2-2-1 on the four rows, by Adam with learning rate 0.05."""
    net = net_of(activation, seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(net(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net, nn.functional.binary_cross_entropy_with_logits(net(X), Y).item()


def first_solved(activation: type[nn.Module], seeds: int = 4) -> tuple[nn.Sequential, int | None, float]:
    """The net of the first seed that gets all four rows right, else that of the last one."""
    for seed in range(seeds):
        net, loss = trained(activation, seed)
        if ((net(X) > 0) == (Y > 0)).all() and loss < 0.3:
            return net, seed, loss
    return net, None, loss


def step() -> str:
    """What training does to each weight of 2-2-1 with a step: how far the two layers have moved."""
    table = ["| 2-2-1 with | hidden weights moved by | loss before | after |", "|---|---:|---:|---:|"]
    for name in ("step", "sigmoid"):
        before = net_of(ACTIVATIONS[name], 0)
        after, loss = trained(ACTIVATIONS[name], 0)
        moved = (after[0].weight - before[0].weight).abs().max().item()
        first = nn.functional.binary_cross_entropy_with_logits(before(X), Y).item()
        table.append(f"| {name} | {moved:.1f} | {first:.2f} | {loss:.2f} |")
    return "\n".join(table)


def by_hand() -> nn.Sequential:
    """Step units that are OR and AND; the output says: the first and not the second."""
    net = net_of(Step, 0)
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([-0.5, -1.5]))
        net[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
        net[2].bias.fill_(-0.5)
    return net


@torch.no_grad()
def draw() -> Figure:
    figure = Figure(figsize=(5.8, 3.9), layout="constrained")
    panels = figure.subplots(2, 4).flat
    line = torch.linspace(0, 1, 41, dtype=torch.float64)
    lines = [torch.stack([torch.full_like(line, at), line], dim=1) for at in torch.linspace(0, 1, 9).tolist()]
    sheet = torch.stack([*lines, *(part.flip(1) for part in lines)])
    panels[0].set_title("the inputs")
    draw_sheet(panels[0], sheet.numpy())
    points(panels[0], X)
    for axes, (name, activation) in zip(list(panels)[1:], ACTIVATIONS.items(), strict=True):
        with torch.enable_grad():
            net, seed = (by_hand(), "by hand") if name == "step" else first_solved(activation)[:2]
        draw_sheet(axes, net[:2](sheet).numpy())
        points(axes, net[:2](X))
        if name != "none":
            draw_line(axes, (*net[2].weight[0].tolist(), net[2].bias.item()))
        axes.set_title(name + (" (by hand)" if seed == "by hand" else ""))
    return figure


def points(axes, places: Tensor) -> None:
    for y, colour, marker in ((0, BLUE, "o"), (1, VERMILLION, "s")):
        axes.scatter(*places[Y[:, 0] == y].T, color=colour, marker=marker, s=30, zorder=3)
    axes.tick_params(labelsize=7)


def main() -> None:
    tables = {"slopes": slopes(), "step": step()}
    for table in tables.values():
        print(table, end="\n\n")
    if "--write" in sys.argv:
        for name, table in tables.items():
            put(COURSE / "10-activations.md", name, table)
        with style():
            save(COURSE / "figures", "10-activations", draw())


if __name__ == "__main__":
    main()
