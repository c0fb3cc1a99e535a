"""Lesson 11: one row forward and backward through 2-4-1, by hand. python docs/course/code/backpropagation.py

`--write` puts the tables into the page and draws the figure.
"""

import math
from dataclasses import dataclass

import torch
from lesson import leave

from kindling.figure import Figure
from kindling.palette import BLUE, GREY, VERMILLION

X, Y = (1.0, 0.0), 1.0
W = [[0.5, -0.3], [-0.4, 0.8], [0.7, 0.6], [0.2, 0.9]]  # a row of two weights for each hidden unit
B = [0.1, 0.2, -0.3, 0.0]
V, C = [0.5, -0.6, 0.3, -1.0], 0.1  # of the output


@dataclass
class Pass:
    """What stands at each node: on the way forward its value, on the way back the slope of the loss there."""

    a: list[float]  # of the hidden units, before ReLU
    h: list[float]  # after it
    z: float
    p: float
    loss: float
    dz: float
    dv: list[float]
    dc: float
    dh: list[float]
    da: list[float]
    dw: list[list[float]]
    db: list[float]


def there_and_back(w=W, b=B, v=V, c=C, x=X, y=Y) -> Pass:
    # forward
    a = [unit[0] * x[0] + unit[1] * x[1] + bias for unit, bias in zip(w, b, strict=True)]
    h = [max(0.0, value) for value in a]
    z = sum(weight * value for weight, value in zip(v, h, strict=True)) + c
    p = 1 / (1 + math.exp(-z))
    loss = -(y * math.log(p) + (1 - y) * math.log(1 - p))
    # backward: each line is the one above it times one slope
    dz = p - y
    dv = [dz * value for value in h]
    dh = [dz * weight for weight in v]
    da = [slope if value > 0 else 0.0 for slope, value in zip(dh, a, strict=True)]
    dw = [[slope * x[0], slope * x[1]] for slope in da]
    return Pass(a, h, z, p, loss, dz, dv, dz, dh, da, dw, list(da))


def by_autograd(x=X, y=Y) -> list[float]:
    """The same 17 gradients from torch, in the order of W, B, V, C."""
    w, b, v, c = (torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in (W, B, V, C))
    z = v @ (w @ torch.tensor(x, dtype=torch.float64) + b).relu() + c
    torch.nn.functional.binary_cross_entropy_with_logits(z, torch.tensor(y, dtype=torch.float64)).backward()
    return [number for part in (w, b, v, c) for number in part.grad.flatten().tolist()]


def units(found: Pass) -> str:
    head = ["| | unit 1 | unit 2 | unit 3 | unit 4 |", "|---|---:|---:|---:|---:|"]
    rows = {
        "forward: a = w1 x1 + w2 x2 + b": found.a,
        "h = ReLU(a)": found.h,
        "v h, its share of z": [weight * value for weight, value in zip(V, found.h, strict=True)],
        "backward: dh = dz v": found.dh,
        "da = dh where a > 0": found.da,
        "dw1 = da x1": [row[0] for row in found.dw],
        "dw2 = da x2": [row[1] for row in found.dw],
        "db = da": found.db,
        "dv = dz h": found.dv,
    }
    return "\n".join([*head, *(f"| {name} | {' | '.join(map(shown, row))} |" for name, row in rows.items())])


def output(found: Pass) -> str:
    rows = {"z": found.z, "p": found.p, "loss": found.loss, "dz = p - y": found.dz, "dc = dz": found.dc}
    return "\n".join(["| at the output | |", "|---|---:|", *(f"| {name} | {shown(x)} |" for name, x in rows.items())])


def check(found: Pass) -> str:
    hand = [number for row in found.dw for number in row] + found.db + found.dv + [found.dc]
    widest = max(abs(mine - theirs) for mine, theirs in zip(hand, by_autograd(), strict=True))
    step = 0.5
    after = there_and_back(
        [[w - step * d for w, d in zip(*rows, strict=True)] for rows in zip(W, found.dw, strict=True)],
        [b - step * d for b, d in zip(B, found.db, strict=True)],
        [v - step * d for v, d in zip(V, found.dv, strict=True)],
        C - step * found.dc,
    )
    same = "less" if widest < 1e-6 else "more"
    return (
        f"The {len(hand)} slopes by hand and those of PyTorch differ by {same} than 0.000001.\n"
        f"After one step with learning rate {step} the loss is {after.loss:.4f}, not {found.loss:.4f},\n"
        f"and p is {after.p:.4f}, not {found.p:.4f}."
    )


def shown(number: float) -> str:
    return f"{number + 0.0:.4f}" if round(number, 4) else "0"


def draw(found: Pass) -> Figure:
    """The net with two numbers at each node: its value above, the slope of the loss below."""
    figure = Figure(figsize=(5.8, 3.5), layout="constrained")
    axes = figure.subplots()
    places = {"x1": (0, 2.2), "x2": (0, 0.8)} | {f"h{unit + 1}": (1, 3 - unit) for unit in range(4)}
    places |= {"z": (2, 1.5), "p": (2.75, 1.5), "loss": (3.5, 1.5)}
    pairs = [(f"x{i}", f"h{j}") for i in (1, 2) for j in range(1, 5)] + [(f"h{j}", "z") for j in range(1, 5)]
    for start, end in [*pairs, ("z", "p"), ("p", "loss")]:
        axes.plot(*zip(places[start], places[end], strict=True), color=GREY, linewidth=0.8, zorder=1)
    values = {"x1": X[0], "x2": X[1], "z": found.z, "p": found.p, "loss": found.loss}
    slopes = {"z": found.dz, "p": -1 / found.p, "loss": 1.0}
    for unit in range(4):
        values[f"h{unit + 1}"], slopes[f"h{unit + 1}"] = found.h[unit], found.dh[unit]
    for name, (across, up) in places.items():
        axes.scatter(across, up, s=620, color="white", edgecolor=GREY, zorder=2)
        axes.text(across, up, name, ha="center", va="center", fontsize=9, zorder=3)
        axes.text(across, up + 0.29, f"{values[name]:.3g}", color=BLUE, ha="center", va="bottom", fontsize=8)
        if name in slopes:
            axes.text(across, up - 0.29, f"{slopes[name]:.3f}", color=VERMILLION, ha="center", va="top", fontsize=8)
    axes.text(3.5, 3.3, "forward: values", color=BLUE, ha="right", fontsize=9)
    axes.text(3.5, 3.0, "backward: slopes of the loss", color=VERMILLION, ha="right", fontsize=9)
    axes.set(xlim=(-0.3, 3.8), ylim=(-0.6, 3.6))
    axes.axis("off")
    return figure


def main() -> None:
    found = there_and_back()
    tables = {"output": output(found), "units": units(found), "check": check(found)}
    leave("11-backpropagation.md", tables, {"11-backpropagation": lambda: draw(found)}, "nothing drawn at random")


if __name__ == "__main__":
    main()
