"""Lesson 4: the gradient by hand, and three ways to check it.

python docs/course/code/gradient.py               the tables of the lesson
python docs/course/code/gradient.py --weight 3    the first of them at another weight
python docs/course/code/gradient.py --write       the page and its figure anew
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lesson import leave

Array = np.ndarray[Any, np.dtype[np.float64]]
X = np.array([1.0, 2.0, 3.0])  # three rows of one feature
Y = np.array([2.0, 4.0, 6.0])  # which the weight 2 fits
STEP = 1e-3  # of the finite differences


# One weight.
def loss(weight: float) -> float:
    return float(((weight * X - Y) ** 2).mean())


def slope(weight: float) -> float:
    return float(2 / len(X) * (X * (weight * X - Y)).sum())


# A matrix of weights: x (N, inputs), weight (inputs, outputs), y (N, outputs).
def half_sum(x: Array, weight: Array, y: Array) -> float:
    return float(((x @ weight - y) ** 2).sum() / 2)


def gradient_of_half_sum(x: Array, weight: Array, y: Array) -> Array:
    return x.T @ (x @ weight - y)


def mean(x: Array, weight: Array, y: Array) -> float:
    """As nn.MSELoss: over rows and outputs."""
    return float(((x @ weight - y) ** 2).mean())


def gradient_of_mean(x: Array, weight: Array, y: Array) -> Array:
    return 2 / y.size * x.T @ (x @ weight - y)


# Slips: each is a gradient of the mean that is not quite one.
def wrong_sign(x: Array, weight: Array, y: Array) -> Array:
    return 2 / y.size * x.T @ (y - x @ weight)


def without_mean(x: Array, weight: Array, y: Array) -> Array:
    return 2 * x.T @ (x @ weight - y)


def mean_over_rows_alone(x: Array, weight: Array, y: Array) -> Array:
    return 2 / len(y) * x.T @ (x @ weight - y)


def without_two(x: Array, weight: Array, y: Array) -> Array:
    return x.T @ (x @ weight - y) / y.size


def two_rows_fewer(x: Array, weight: Array, y: Array) -> Array:
    return 2 / ((len(y) - 2) * y.shape[1]) * x.T @ (x @ weight - y)


Gradient = Callable[[Array, Array, Array], Array]
SLIPS: dict[str, Gradient] = {
    "right": gradient_of_mean,
    "sign turned: y - xw": wrong_sign,
    "no 1/N: the sum": without_mean,
    "1/N, not 1/(N outputs)": mean_over_rows_alone,
    "the 2 forgotten": without_two,
    "1/(N - 2)": two_rows_fewer,
}


# The checks.
def finite_differences(function: Callable[[Array], float], weight: Array, step: float = STEP) -> Array:
    """Each weight is moved a little to both sides; the difference of the losses, over the way, is the slope."""
    slopes = np.zeros_like(weight)
    for place in np.ndindex(weight.shape):
        up, down = weight.copy(), weight.copy()
        up[place] += step
        down[place] -= step
        slopes[place] = (function(up) - function(down)) / (2 * step)
    return slopes


def by_autograd(function: Callable[[Any], Any], weight: Array) -> Array:
    tensor = torch.tensor(weight, requires_grad=True)
    function(tensor).backward()
    assert tensor.grad is not None
    return tensor.grad.numpy()


def rows() -> tuple[Array, Array, Array]:
    """x (64, 4), y (64, 2) and weights (4, 2) to begin with."""
    draw = np.random.default_rng(0)
    x, true = draw.standard_normal((64, 4)), draw.standard_normal((4, 2))
    return x, x @ true + 0.1 * draw.standard_normal((64, 2)), draw.standard_normal((4, 2))


def descend(gradient: Gradient, steps: int = 100, lr: float = 0.1) -> list[float]:
    """The loss before each step and after the last."""
    x, y, weight = rows()
    course = [mean(x, weight, y)]
    for _ in range(steps):
        weight = weight - lr * gradient(x, weight, y)
        course.append(mean(x, weight, y))
    return course


# What the page shows.
def table_of_rows(weight: float) -> str:
    lines = ["| x | y | prediction wx | error wx - y | x times error |", "|---|---|---|---|---|"]
    for x, y in zip(X, Y, strict=True):
        lines.append(f"| {x:g} | {y:g} | {weight * x:g} | {weight * x - y:g} | {x * (weight * x - y):g} |")
    return "\n".join(lines)


def table_of_one_weight(weight: float) -> str:
    x, y = torch.tensor(X), torch.tensor(Y)
    differences = finite_differences(lambda moved: loss(float(moved[0])), np.array([weight]))[0]
    found = by_autograd(lambda moved: ((moved * x - y) ** 2).mean(), np.array([weight]))[0]
    ways = {
        "by hand, 2/3 of the sum of x times error": slope(weight),
        "finite differences": differences,
        "autograd": found,
    }
    lines = [f"| found by | slope at w = {weight:g} |", "|---|---|"]
    return "\n".join(lines + [f"| {way} | {value:.4f} |" for way, value in ways.items()])


def table_of_matrices() -> str:
    x, y, weight = rows()
    a, b = torch.tensor(x), torch.tensor(y)
    kinds: dict[str, tuple[Any, Gradient, Any]] = {
        "half the sum of squares": (half_sum, gradient_of_half_sum, lambda w: ((a @ w - b) ** 2).sum() / 2),
        "the mean, as nn.MSELoss": (mean, gradient_of_mean, lambda w: torch.nn.functional.mse_loss(a @ w, b)),
    }
    lines = ["| loss | its value | first weight's slope | finite differences | autograd |", "|---|---|---|---|---|"]
    for name, (function, gradient, in_torch) in kinds.items():
        slopes = (
            gradient(x, weight, y),
            finite_differences(lambda w, function=function: function(x, w, y), weight),
            by_autograd(in_torch, weight),
        )
        lines.append(
            f"| {name} | {function(x, weight, y):.3f} | " + " | ".join(f"{s[0, 0]:.4f}" for s in slopes) + " |"
        )
    return "\n".join(lines)


def table_of_slips() -> str:
    x, y, weight = rows()
    right = finite_differences(lambda w: mean(x, w, y), weight)
    lines = ["| gradient | over the right one | loss after 100 steps |", "|---|---|---|"]
    for name, gradient in SLIPS.items():
        ratio, end = float((gradient(x, weight, y) / right).mean()), descend(gradient)[-1]
        lines.append(
            f"| {name} | {ratio:.2f} | {end:.4f} |" if end < 1e3 else f"| {name} | {ratio:.2f} | beyond 1,000 |"
        )
    return "\n".join(lines)


def draw() -> Any:
    from kindling.figure import Figure, style

    with style():
        figure = Figure(figsize=(5.8, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        weights = np.linspace(0, 4, 100)
        left.plot(weights, [loss(w) for w in weights], label="loss")
        near = np.array([0.3, 1.7])
        left.plot(near, loss(1) + slope(1) * (near - 1), label="slope at w = 1")
        left.plot(1, loss(1), "o", color="C1")
        left.set(xlabel="weight w", ylabel="loss", title="Downhill is against the slope")
        left.legend()
        for name, gradient in SLIPS.items():
            right.plot(descend(gradient, 20), label=name, linewidth=1.2)
        right.set(xlabel="steps", yscale="log", ylim=(5e-3, 1e6), title="The loss with each slip")
        right.legend(fontsize=7, loc="upper right", labelspacing=0.1)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weight", type=float, default=1.0, help="of the first table")
    parser.add_argument("--write", action="store_true", help="the page and its figure anew")
    args = parser.parse_args()
    tables = {
        "rows": table_of_rows(args.weight),
        "one weight": table_of_one_weight(args.weight),
        "matrices": table_of_matrices(),
        "slips": table_of_slips(),
    }
    leave("04-gradient.md", tables, {"04-gradient": draw})


if __name__ == "__main__":
    main()
