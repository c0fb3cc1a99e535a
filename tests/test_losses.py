"""Losses against the formulas of the textbooks."""

import math

import pytest
import torch
from torch import tensor

from kindling.models import losses


def test_binary_brier_is_the_squared_error_of_the_probability() -> None:
    logits = tensor([[0.0], [math.log(3)]])  # probabilities 1/2 and 3/4
    assert losses.BrierLoss()(logits, tensor([[1.0], [0.0]])).item() == pytest.approx((0.25 + 0.5625) / 2)


def test_multiclass_brier_sums_over_classes() -> None:
    logits = tensor([[math.log(2), 0.0, 0.0]])  # probabilities 1/2, 1/4, 1/4
    assert losses.BrierLoss()(logits, tensor([0])).item() == pytest.approx(0.25 + 0.0625 + 0.0625)


def test_gaussian_nll_is_the_log_density() -> None:
    y, output = torch.randn(20, 2, dtype=torch.double), torch.randn(20, 2, dtype=torch.double)
    density = torch.distributions.Normal(output, math.sqrt(0.3)).log_prob(y)
    assert losses.GaussianNLLLoss(variance=0.3)(output, y).item() == pytest.approx(-density.mean().item())


def test_gaussian_nll_has_the_gradient_of_squared_error_up_to_scale() -> None:
    y, output = torch.randn(20, 2), torch.randn(20, 2, requires_grad=True)
    (nll,) = torch.autograd.grad(losses.GaussianNLLLoss(variance=0.5)(output, y), output)
    (mse,) = torch.autograd.grad(losses.MSELoss()(output, y), output)
    torch.testing.assert_close(nll, mse)  # 1 / (2 * 0.5) of it


def test_huber_turns_from_squared_to_absolute() -> None:
    loss = losses.HuberLoss(delta=1.0)
    assert loss(tensor([0.5]), tensor([0.0])).item() == pytest.approx(0.125)
    assert loss(tensor([3.0]), tensor([0.0])).item() == pytest.approx(2.5)
