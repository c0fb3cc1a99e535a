"""Lesson 12: what a start does to a layer and to a deep net. python docs/course/code/initialisation.py

`--write` puts the tables into the page and draws the figure.
"""

from collections.abc import Callable

import torch
from lesson import leave
from torch import Tensor, nn

from kindling.figure import Figure
from kindling.palette import CYCLE

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
Y = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
WIDTH, ROWS, DEPTH = 512, 500, 6
Start = Callable[[Tensor], Tensor]
STARTS: dict[str, Start] = {
    "normal 0.01": lambda w: nn.init.normal_(w, std=0.01),
    "normal 1": lambda w: nn.init.normal_(w, std=1.0),
    "uniform ±0.05": lambda w: nn.init.uniform_(w, -0.05, 0.05),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": nn.init.kaiming_normal_,
}


def symmetry() -> str:
    """The hidden weights of 2-4-1 with tanh after 500 steps from three starts."""
    table = ["| start | w1 of the four hidden units after training | loss |", "|---|---|---:|"]
    starts: dict[str, Start] = {
        "zeros": nn.init.zeros_,
        "constant 0.5": lambda w: nn.init.constant_(w, 0.5),
        "normal 1": lambda w: nn.init.normal_(w, std=1.0),
    }
    for name, start in starts.items():
        net, loss = trained(start)
        table.append(f"| {name} | {', '.join(f'{w + 0.0:.2f}' for w in net[0].weight[:, 0].tolist())} | {loss:.3f} |")
    return "\n".join(table)


def trained(start: Start, steps: int = 500) -> tuple[nn.Sequential, float]:
    """By Adam with learning rate 0.1, all rows in each step."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    for layer in (net[0], net[2]):
        start(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(net(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net, loss.item()


@torch.no_grad()
def spread(activation: type[nn.Module], start: Start) -> list[float]:
    """The standard deviation of what comes out of layers 1 to 6, each 512 wide, for 500 random rows."""
    torch.manual_seed(0)
    x, found = torch.randn(ROWS, WIDTH), []
    for _ in range(DEPTH):
        layer = nn.Linear(WIDTH, WIDTH, bias=False)
        start(layer.weight)
        x = activation()(layer(x))
        found.append(x.std().item())
    return found


def depth(activation: type[nn.Module]) -> str:
    head = " | ".join(f"layer {number}" for number in range(1, DEPTH + 1))
    table = [f"| start | {head} |", "|---|" + "---:|" * DEPTH]
    for name, start in STARTS.items():
        table.append(f"| {name} | {' | '.join(f'{shown(value)}' for value in spread(activation, start))} |")
    return "\n".join(table)


def shown(number: float) -> str:
    """Two digits that count, in full: 12000, 0.59, 0.000013."""
    return f"{float(f'{number:.2g}'):,.6f}".rstrip("0").rstrip(".")


def draw() -> Figure:
    figure = Figure(figsize=(5.8, 3.0), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, activation in zip(panels, (nn.Tanh, nn.ReLU), strict=True):
        for (name, start), colour in zip(STARTS.items(), CYCLE, strict=False):
            axes.plot(range(1, DEPTH + 1), spread(activation, start), marker="o", label=name, color=colour)
        axes.set(yscale="log", xlabel="layer", title=activation.__name__)
    panels[0].set_ylabel("spread of what comes out")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def main() -> None:
    tables = {"symmetry": symmetry(), "tanh": depth(nn.Tanh), "relu": depth(nn.ReLU)}
    leave("12-initialisation.md", tables, {"12-initialisation": draw})


if __name__ == "__main__":
    main()
