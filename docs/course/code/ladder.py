"""Lesson 5: one linear regression in seven rungs, from numpy to the config. Each rung is a short function.

    python docs/course/code/ladder.py            the tables of the lesson
    python docs/course/code/ladder.py --write    and the page and its figure anew

All rungs have the same 64 rows, begin with the same weights, and take STEPS steps of plain gradient descent down the
same loss: the mean of the squared errors over rows and outputs.
"""

import io
import tempfile
from contextlib import redirect_stdout
from typing import Any

import lightning
import numpy as np
import torch
from lesson import leave
from torch import Tensor, nn

LR = 0.1
STEPS = 100
Array = np.ndarray[Any, np.dtype[np.float64]]
Weights = tuple[Array, Array]  # weight (4, 2) and bias (2,)


# 1. numpy, the gradient by hand (lesson 4).
def numpy_by_hand(x: Array, y: Array, weight: Array, bias: Array) -> Weights:
    for _ in range(STEPS):
        error = x @ weight + bias - y
        weight = weight - LR * 2 * x.T @ error / error.size
        bias = bias - LR * 2 * error.sum(axis=0) / error.size
    return weight, bias


# 2. torch: the same lines. A tensor is an array that can lie on a GPU and can remember where it came from.
def torch_by_hand(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    for _ in range(STEPS):
        error = x @ weight + bias - y
        weight = weight - LR * 2 * x.T @ error / error.numel()
        bias = bias - LR * 2 * error.sum(dim=0) / error.numel()
    return weight, bias


# 3. autograd: we write the loss, and backward() finds the gradient.
def autograd(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    weight = weight.clone().requires_grad_()
    bias = bias.clone().requires_grad_()
    for _ in range(STEPS):
        loss = ((x @ weight + bias - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():  # the step itself is not to be remembered
            weight -= LR * weight.grad
            bias -= LR * bias.grad
        weight.grad = bias.grad = None  # else the next backward() adds to it
    return weight, bias


# 4. nn.Sequential and nn.MSELoss: the layer holds its weights, and the loss has a name.
def sequential(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    net = nn.Sequential(set_weights(nn.Linear(4, 2), weight, bias))
    loss_function = nn.MSELoss()
    for _ in range(STEPS):
        loss = loss_function(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= LR * parameter.grad
    return net[0].weight.T, net[0].bias


# 5. torch.optim: the optimizer knows the step, so that another one is another name.
def optim(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    net = nn.Sequential(set_weights(nn.Linear(4, 2), weight, bias))
    loss_function = nn.MSELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    for _ in range(STEPS):
        loss = loss_function(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net[0].weight.T, net[0].bias


# 6. nn.Module: a net of one's own, whose forward() may do what no chain of layers can.
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def module(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    net = Net()
    set_weights(net.linear, weight, bias)
    loss_function = nn.MSELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    for _ in range(STEPS):
        loss = loss_function(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.linear.weight.T, net.linear.bias


# 7. The config: the loop is Lightning's, and data, loss, optimizer and length are words. `python train.py` and these.
CONFIG = [
    "model=linear_regression",
    "data=linear",
    "data.num_samples=80",  # 64 for training, 8 for validation, 8 for test
    "loss=mse",
    "optimizer=sgd",
    f"optimizer.lr={LR}",
    "scheduler=constant",
    f"trainer.max_epochs={STEPS // 10}",  # of ten passes each
    "trainer.precision=64-true",
]


class SameStart(lightning.Callback):
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weights = weight, bias

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        set_weights(pl_module.net, *self.weights)


def config(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    from kindling import compose, train  # here, so that the other rungs read without it

    with tempfile.TemporaryDirectory() as folder:
        cfg = compose([*CONFIG, "trainer.accelerator=cpu", "monitor=null", f"hydra.run.dir={folder}/run"])
        with redirect_stdout(io.StringIO()):  # its progress, which is not our subject
            net = train(cfg, callbacks=[SameStart(weight, bias)], draw=False).model.net
    return net.weight.T, net.bias


# What all share.
def set_weights(layer: nn.Linear, weight: Tensor, bias: Tensor) -> nn.Linear:
    """nn.Linear keeps its weights the other way round: (outputs, inputs)."""
    layer.double()
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        layer.bias.copy_(bias)
    return layer


def rows() -> tuple[Tensor, Tensor]:
    """x (64, 4) and y (64, 2): the training rows of rung 7, so that the other six have the same."""
    from kindling.data.linear import Linear

    data = Linear(num_samples=80)
    data.load()
    return data.splits["train"].x.double(), data.splits["train"].y.double()


def start() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(4, 2, generator=draw).double(), torch.randn(2, generator=draw).double()


def climb() -> dict[str, Weights]:
    """Of each rung, the weights that it ends with."""
    x, y = rows()
    weight, bias = start()
    ends = {"numpy, gradient by hand": numpy_by_hand(x.numpy(), y.numpy(), weight.numpy(), bias.numpy())}
    in_torch = {
        "torch, gradient by hand": torch_by_hand,
        "autograd": autograd,
        "nn.Sequential": sequential,
        "torch.optim": optim,
        "nn.Module": module,
    }
    found = {name: rung(x, y, weight, bias) for name, rung in in_torch.items()}
    found["LightningModule, config"] = config(weight, bias)
    return ends | {name: (w.detach().numpy(), b.detach().numpy()) for name, (w, b) in found.items()}


# What the page shows.
def loss_of(x: Array, y: Array, weight: Array, bias: Array) -> float:
    return float(((x @ weight + bias - y) ** 2).mean())


def table_of_rungs() -> str:
    ends = climb()
    first_weight, first_bias = ends["numpy, gradient by hand"]
    x, y = (part.numpy() for part in rows())
    lines = ["| rung | loss after 100 steps | weights and biases as in rung 1 |", "|---|---|---|"]
    for number, (name, (weight, bias)) in enumerate(ends.items(), start=1):
        gap = max(np.abs(weight - first_weight).max(), np.abs(bias - first_bias).max())
        same = "to one in a million" if gap < 1e-6 else f"no, off by {gap:.2g}"
        lines.append(f"| {number}. {name} | {loss_of(x, y, weight, bias):.5f} | {same if number > 1 else 'itself'} |")
    return "\n".join(lines)


def losses(forget: bool, steps: int = 100) -> list[float]:
    """Of rung 3, before each step; `forget` leaves out that the gradient is emptied."""
    x, y = rows()
    weight, bias = (part.clone().requires_grad_() for part in start())
    course = []
    for _ in range(steps):
        loss = ((x @ weight + bias - y) ** 2).mean()
        course.append(loss.item())
        loss.backward()
        with torch.no_grad():
            weight -= LR * weight.grad
            bias -= LR * bias.grad
        if not forget:
            weight.grad = bias.grad = None
    return course


def table_of_forgetting() -> str:
    right, forgotten = losses(forget=False), losses(forget=True)
    lines = ["| updates | loss, emptied each time | loss, never emptied |", "|---|---|---|"]
    lines += [f"| {step} | {right[step]:.3f} | {forgotten[step]:.3f} |" for step in (0, 5, 10, 15, 20, 40, 60, 80)]
    return "\n".join(lines)


def table_of_switches() -> str:
    """What eval() and no_grad each turn off, seen on a layer that drops half of its inputs."""
    lines = ["| | dropout sets inputs to 0 | remembered for backward() |", "|---|---|---|"]
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(100, 1))
    for mode, set_mode in {"net.train()": net.train, "net.eval()": net.eval}.items():
        set_mode()
        for recording in (True, False):
            with torch.set_grad_enabled(recording):
                x = torch.ones(1, 100)
                drops, remembers = bool((net[0](x) == 0).any()), net(x).requires_grad
            name = mode if recording else f"{mode}, torch.no_grad()"
            lines.append(f"| `{name}` | {'yes' if drops else 'no'} | {'yes' if remembers else 'no'} |")
    return "\n".join(lines)


def draw() -> Any:
    from kindling.figure import Figure, style

    x, y = (part.numpy() for part in rows())
    weight, bias = (part.numpy() for part in start())
    ways = []
    for _ in range(STEPS):
        ways.append([*weight.flat, *bias])
        error = x @ weight + bias - y
        weight, bias = weight - LR * 2 * x.T @ error / error.size, bias - LR * 2 * error.sum(axis=0) / error.size
    best = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    with style():
        figure = Figure(figsize=(5.6, 2.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(losses(forget=False), label="emptied each time")
        left.plot(losses(forget=True), label="never emptied", linewidth=1)
        left.set(xlabel="updates", ylabel="loss", title="The gradient, emptied or not")
        left.set_ylim(top=11)
        left.legend(loc="upper right")
        right.plot(ways, color="C0", linewidth=1)
        right.plot([STEPS] * best.size, best.flat, "o", color="C1", markersize=4, label="least squares")
        right.set(xlabel="updates", title="Eight weights and two biases")
        right.set_ylim(top=2.6)
        right.legend(loc="upper right")
    return figure


def main() -> None:
    tables = {"rungs": table_of_rungs(), "forgetting": table_of_forgetting(), "switches": table_of_switches()}
    leave("05-ladder.md", tables, {"05-ladder": draw})


if __name__ == "__main__":
    main()
