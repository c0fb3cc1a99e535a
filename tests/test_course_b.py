"""Lessons 4 to 7: their commands run, their numbers are those of their scripts, and their answers are right."""

import math
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course import Checkout, answers, commands, page, script, smallest
from kindling.models.losses import GaussianNLLLoss, HuberLoss, MSELoss
from kindling.studies.page import block

LESSONS = {4: "gradient", 5: "ladder", 6: "batches", 7: "losses"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("course"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_tables_of_the_page_are_what_the_script_prints(lesson: int, checkout: Checkout) -> None:
    names = re.findall(r"<!-- (?!end|study|made by)(.+) -->", page(lesson).read_text())
    printed = checkout.run(f"docs/course/code/{LESSONS[lesson]}.py")
    assert len(names) >= 3
    for name in names:
        assert block(page(lesson), name) in printed
    assert max(map(len, printed.splitlines())) < 110


OTHERS = sorted({command for lesson in LESSONS for command in commands(page(lesson)) if not command.endswith(".py")})


@pytest.mark.parametrize("command", OTHERS)
def test_every_command_runs(command: str, checkout: Checkout) -> None:
    assert checkout.run(*smallest(command))


def test_all_seven_rungs_end_with_the_same_weights() -> None:
    ladder = script("ladder")
    ends = list(ladder.climb().values())
    assert len(ends) == 7
    for (weight, bias), (next_weight, next_bias) in pairwise(ends):
        assert weight.dtype == bias.dtype == next_weight.dtype == np.float64
        assert np.abs(weight - next_weight).max() < 1e-6
        assert np.abs(bias - next_bias).max() < 1e-6


def test_each_gradient_is_that_of_its_loss_and_no_slip_is() -> None:
    gradient = script("gradient")
    x, y, weight = gradient.rows()
    for function, by_hand in (
        (gradient.half_sum, gradient.gradient_of_half_sum),
        (gradient.mean, gradient.gradient_of_mean),
    ):
        found = gradient.finite_differences(lambda w, function=function: function(x, w, y), weight)
        assert np.allclose(by_hand(x, weight, y), found, rtol=1e-6)
    tensor = torch.tensor(weight, requires_grad=True)
    torch.nn.MSELoss()(torch.tensor(x) @ tensor, torch.tensor(y)).backward()
    right, *slips = (slip(x, weight, y) for slip in gradient.SLIPS.values())
    assert np.allclose(right, tensor.grad, rtol=1e-12)
    assert not any(np.allclose(right, slip, rtol=1e-2) for slip in slips)


@pytest.mark.parametrize("variance", [0.1, 1.0, 7.0])
def test_the_gaussian_likelihood_is_largest_where_the_squares_are_least(variance: float) -> None:
    """At the minimum of the one, the gradient of the other is nothing, and steps down it stay within 1e-6."""
    losses = script("losses")
    x, y = losses.points(outlier=True)
    least = losses.line(MSELoss(), x, y)
    a, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in least)
    gradients = torch.autograd.grad(GaussianNLLLoss(variance)(a * x + b, y), (a, b))
    exact = torch.linalg.lstsq(torch.stack([x, torch.ones_like(x)], dim=1), y[:, None]).solution.flatten()
    assert max(abs(gradient.item()) for gradient in gradients) < 1e-6
    assert least == pytest.approx(exact.tolist(), abs=1e-6)


# The answers: each computed, and found in what the page says.
def slope_of_three_rows() -> list[str]:
    gradient = script("gradient")
    assert gradient.slope(2.0) == 0
    return ["At w = 2", f"is {gradient.slope(3.0):.2f}"]


def half_sum_over_mean() -> list[str]:
    gradient = script("gradient")
    ratio = gradient.gradient_of_half_sum(*over(gradient)) / gradient.gradient_of_mean(*over(gradient))
    return [f"By {ratio.mean():.0f}:", f"0.001 becomes {0.001 * ratio.mean():.3f}"]


def over(gradient: ModuleType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, weight = gradient.rows()
    return x, weight, y


def gradient_of_bias() -> list[str]:
    line = re.match(r"`(.+?)`", answers(4)[2])[1]
    bias = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    x, y = torch.randn(64, 2, dtype=torch.float64), torch.randn(64, 2, dtype=torch.float64)
    F.mse_loss(x + bias, y).backward()
    assert np.allclose(eval(line, {"error": (x - y).numpy()}), bias.grad)
    return [line]


def way_still_to_go() -> list[str]:
    ladder = script("ladder")
    x, _ = (part.numpy() for part in ladder.rows())
    start = np.vstack([part.numpy() for part in ladder.start()])
    inputs, y = np.column_stack([x, np.ones(64)]), np.random.default_rng(0).standard_normal((64, 2))
    loss = lambda weight: ((inputs @ weight - y) ** 2).mean()  # noqa: E731
    least = loss(np.linalg.lstsq(inputs, y, rcond=None)[0])
    shares = []
    for factor in (2 / y.size, 2):
        weight = start
        for _ in range(5000):
            weight = weight - 1e-6 * factor * inputs.T @ (inputs @ weight - y)
        shares.append((loss(weight) - least) / (loss(start) - least))
    return [
        f"{shares[0]:.0%} of the way",
        f"still {shares[1]:.0%} of the loss",
        f"smallest possible loss is {least:.2f}",
    ]


def accumulated() -> list[str]:
    w = torch.ones(1, requires_grad=True)
    (3 * w).sum().backward()
    (3 * w).sum().backward()
    twice = w.grad.item()
    w.grad = None
    (3 * w).sum().backward()
    return [f"First {twice:.0f}", f"Then {w.grad.item():.0f}."]


def leaves() -> list[str]:
    a = torch.ones(2, requires_grad=True)
    b = 2 * a
    b.sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (a.is_leaf, a.requires_grad, b.requires_grad, b.is_leaf, b.grad) == (True, True, True, False, None)
    return [
        f"`a.grad` is `{a.grad}`",
        "`a.is_leaf`, `a.requires_grad` and `b.requires_grad` are true, `b.is_leaf` is not",
    ]


def updates() -> list[str]:
    batches = torch.arange(60_000).split(128)
    return [f"{10 * len(batches):,} updates, {len(batches)} an epoch", f"the last has {len(batches[-1])}"]


def unseen() -> list[str]:
    rows = torch.arange(1000)
    seen = sum(len(rows[i * 64 : (i + 1) * 64]) for i in range(len(rows) // 64))
    assert sum(len(rows[i : i + 64]) for i in range(0, len(rows), 64)) == 1000
    return [f"{1000 - seen}: there are 15", f"which is {seen} rows", "`for i in range(0, len(X), 64)`"]


def loss_of_the_epoch() -> list[str]:
    return [f"{np.average([0.4, 1.0], weights=[20, 5]):.2f}:", f"two losses, {np.mean([0.4, 1.0]):.1f}"]


def huber_of_three() -> list[str]:
    losses = script("losses")
    return [f"{losses.best_number(HuberLoss(delta=3.0), losses.AGES):.2f}:"]


def first_loss() -> list[str]:
    return [f"{F.cross_entropy(torch.zeros(1, 10), torch.tensor([3])).item():.3f}"]


def divergence() -> list[str]:
    line = re.match(r"`(.+?)`", answers(7)[2])[1]
    p, q = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    there, back = (float(eval(line, {"p": a, "q": b})) for a, b in ((p, q), (q, p)))
    assert there == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2), abs=1e-6)
    return [f"gives {there:.3f}", f"it is {back:.3f}"]


ANSWERS: dict[tuple[int, int], Callable[[], list[str]]] = {
    (4, 1): slope_of_three_rows,
    (4, 2): half_sum_over_mean,
    (4, 3): gradient_of_bias,
    (5, 1): way_still_to_go,
    (5, 2): accumulated,
    (5, 3): leaves,
    (6, 1): updates,
    (6, 2): unseen,
    (6, 3): loss_of_the_epoch,
    (7, 1): huber_of_three,
    (7, 2): first_loss,
    (7, 3): divergence,
}


@pytest.mark.parametrize(("lesson", "exercise"), ANSWERS)
def test_every_answer_is_right(lesson: int, exercise: int) -> None:
    said = answers(lesson)[exercise - 1]
    for text in ANSWERS[lesson, exercise]():
        assert text in said


def test_what_the_pages_say_of_a_refused_loss() -> None:
    from kindling import compose, train
    from kindling.errors import UserError

    with pytest.raises(UserError, match="loss=mse does not go with data=mnist"):
        train(compose(["model=mlp", "data=mnist", "loss=mse"]))
    assert "`loss=mse` itself is refused for MNIST" in " ".join(page(7).read_text().split())
