"""Lesson 7: what is made small, and what follows from it.

python docs/course/code/losses.py            the tables of the lesson
python docs/course/code/losses.py --write    and the page and its figure anew
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lesson import leave
from torch import Tensor, nn

from kindling.models.losses import GaussianNLLLoss, HuberLoss, L1Loss, MSELoss

LOSSES = {"mse": MSELoss(), "l1": L1Loss(), "huber": HuberLoss(delta=1.0)}
AGES = [1.0, 2.0, 3.0, 4.0, 100.0]
LOGITS = torch.tensor([2.0, 1.0, 0.1])


def best_number(loss: nn.Module, targets: Sequence[float]) -> float:
    """The one number that has the smallest loss, among all hundredths."""
    candidates = torch.arange(0, 110, 0.01, dtype=torch.float64)
    of_each = [loss(value.expand(len(targets)), torch.tensor(targets, dtype=torch.float64)) for value in candidates]
    return float(candidates[int(torch.stack(of_each).argmin())])


def points(outlier: bool) -> tuple[Tensor, Tensor]:
    """Twenty on the line y = 2x + 1, give or take 0.3; the last is written down ten times too large."""
    noise = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.linspace(0, 3, 20, dtype=torch.float64)
    y = 2 * x + 1 + 0.3 * noise
    if outlier:
        y[-1] *= 10
    return x, y


def line(loss: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Slope and intercept of the smallest loss."""
    if isinstance(loss, L1Loss):
        return line_through_two(loss, x, y)
    weights = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    for _ in range(1000):
        (gradient,) = torch.autograd.grad(loss(weights[0] * x + weights[1], y), weights)
        with torch.no_grad():
            weights -= 0.2 * gradient
    return weights[0].item(), weights[1].item()


def line_through_two(loss: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Some best line of l1 goes through two of the points: of all that do, the best."""
    first, second = torch.combinations(torch.arange(len(x))).T
    slopes = (y[second] - y[first]) / (x[second] - x[first])
    starts = y[first] - slopes * x[first]
    of_each = [loss(slope * x + start, y) for slope, start in zip(slopes, starts, strict=True)]
    best = int(torch.stack(of_each).argmin())
    return slopes[best].item(), starts[best].item()


# What the page shows.
def table_of_best_numbers() -> str:
    lines = ["| loss | best number for 1, 2, 3, 4, 100 | it is |", "|---|---|---|"]
    names = {"mse": "the mean", "l1": "the median", "huber": "here the median too"}
    lines += [f"| {name} | {best_number(loss, AGES):.2f} | {names[name]} |" for name, loss in LOSSES.items()]
    return "\n".join(lines)


def table_of_lines() -> str:
    lines = ["| loss | line without the slip | line with it |", "|---|---|---|"]
    for name, loss in LOSSES.items():
        (slope, start), (slope_then, start_then) = (line(loss, *points(outlier)) for outlier in (False, True))
        lines.append(
            f"| {name} | {slope:.2f} x + {start:.2f} | {slope_then:.2f} x + {start_then:.2f} |".replace("+ -", "- ")
        )
    return "\n".join(lines)


def table_of_classes() -> str:
    softmax, sigmoid = LOGITS.softmax(dim=0), LOGITS.sigmoid()
    lines = ["| class | logit | exp(logit) | softmax | -log of it | sigmoid |", "|---|---|---|---|---|---|"]
    for number, logit in enumerate(LOGITS.tolist()):
        shares = f"{softmax[number]:.3f} | {-softmax[number].log():.3f}"
        lines.append(f"| {number} | {logit:g} | {math.exp(logit):.3f} | {shares} | {sigmoid[number]:.3f} |")
    total = sum(map(math.exp, LOGITS.tolist()))
    return "\n".join([*lines, f"| sum | | {total:.3f} | {softmax.sum():.3f} | | {sigmoid.sum():.3f} |"])


def table_of_twice() -> str:
    """nn.CrossEntropyLoss, given logits as it wants them, and given probabilities."""
    lines = ["| logit of the right class of 10, the others 0 | given logits | given softmax |", "|---|---|---|"]
    for logit in (0.0, 5.0, 10.0, 100.0):
        logits = torch.zeros(1, 10)
        logits[0, 0] = logit
        right = F.cross_entropy(logits, torch.tensor([0])).item()
        twice = F.cross_entropy(logits.softmax(dim=1), torch.tensor([0])).item()
        lines.append(f"| {logit:g} | {right:.3f} | {twice:.3f} |")
    return "\n".join(lines)


def table_of_pushes() -> str:
    """The slope of each loss over the logit of a sigmoid whose target is 1."""
    lines = [
        "| probability of what is true | cross-entropy | its slope | squared error | its slope |",
        "|---|---|---|---|---|",
    ]
    for probability in (0.001, 0.01, 0.1, 0.5, 0.9):
        logit = torch.logit(torch.tensor(probability)).requires_grad_()
        cells = []
        for loss in (F.binary_cross_entropy_with_logits(logit, torch.tensor(1.0)), (logit.sigmoid() - 1) ** 2):
            (slope,) = torch.autograd.grad(loss, logit)
            cells.append(f"{loss.item():.3f} | {slope.item():.3f}")
        lines.append(f"| {probability:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_likelihood() -> str:
    x, y = points(outlier=False)
    lines = ["| loss | slope | intercept |", "|---|---|---|"]
    for name, loss in {
        "mse": MSELoss(),
        "gaussian_nll, variance 1": GaussianNLLLoss(variance=1.0),
        "gaussian_nll, variance 0.5": GaussianNLLLoss(variance=0.5),
    }.items():
        slope, start = line(loss, x, y)
        lines.append(f"| {name} | {slope:.6f} | {start:.6f} |")
    return "\n".join(lines)


def entropy(p: Tensor) -> float:
    return float(-(p * p.log()).sum())


def cross_entropy(p: Tensor, q: Tensor) -> float:
    return float(-(p * q.log()).sum())


def kl(p: Tensor, q: Tensor) -> float:
    """What is lost by using q where p is true, in nats."""
    return float((p * (p / q).log()).sum())


def table_of_kl() -> str:
    p, q = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([1 / 3, 1 / 3, 1 / 3])
    values = {
        "entropy of p": entropy(p),
        "cross-entropy of q where p is true": cross_entropy(p, q),
        "KL(p, q), the difference": kl(p, q),
        "KL(q, p), the other way round": kl(q, p),
        "`F.kl_div(q.log(), p, reduction='sum')`": float(F.kl_div(q.log(), p, reduction="sum")),
    }
    return "\n".join(
        ["| p = (1/2, 1/4, 1/4), q = (1/3, 1/3, 1/3) | nats |", "|---|---|"]
        + [f"| {name} | {value:.4f} |" for name, value in values.items()]
    )


def draw() -> Any:
    from kindling.figure import Figure, style

    x, y = points(outlier=True)
    with style():
        figure = Figure(figsize=(5.8, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        errors = torch.linspace(-3, 3, 121)
        for number, (name, loss) in enumerate(LOSSES.items()):
            values = [loss(error, torch.tensor(0.0)).item() for error in errors]
            left.plot(errors, values, label=name, color=f"C{number}")
            slope, start = line(loss, x, y)
            right.plot(x, slope * x + start, label=name, color=f"C{number}")
        left.set(xlabel="error", ylabel="loss of one row", title="What an error costs", ylim=(0, 5))
        left.legend(loc="upper center", bbox_to_anchor=(0.5, 1))
        right.plot(x, y, "o", color="0.3", markersize=3)
        right.set(xlabel="x", ylabel="y", title=f"The last y is {y[-1]:.0f}, far above", ylim=(-4, 16))
        right.legend(loc="upper left")
    return figure


def main() -> None:
    tables = {
        "best numbers": table_of_best_numbers(),
        "lines": table_of_lines(),
        "classes": table_of_classes(),
        "twice": table_of_twice(),
        "pushes": table_of_pushes(),
        "likelihood": table_of_likelihood(),
        "kl": table_of_kl(),
    }
    leave("07-losses.md", tables, {"07-outliers": draw})


if __name__ == "__main__":
    main()
