"""Losses against the formulas of the textbooks."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import tensor

from kindling.errors import UserError
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


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_classes_are_those_of_torch(smoothing: float) -> None:
    output, target = torch.randn(20, 3), torch.arange(20) % 3
    loss = losses.CrossEntropyLoss(smoothing, class_weights=[1, 5, 2])
    weight = tensor([1.0, 5.0, 2.0])
    expected = torch.nn.functional.cross_entropy(output, target, weight, label_smoothing=smoothing)
    torch.testing.assert_close(loss(output, target), expected)


def test_the_weighted_loss_is_the_log_loss_of_scikit_learn() -> None:
    output, target = torch.randn(30, 3, dtype=torch.double), torch.arange(30) % 3
    loss, weight = losses.CrossEntropyLoss(class_weights=[1, 5, 2]).double(), torch.rand(30, dtype=torch.double)
    by_class = torch.tensor([1.0, 5.0, 2.0])[target]
    probabilities = output.softmax(dim=1)
    assert loss(output, target).item() == pytest.approx(log_loss(target, probabilities, sample_weight=by_class))
    assert losses.weighted(loss, output, target, weight).item() == pytest.approx(
        log_loss(target, probabilities, sample_weight=by_class * weight)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_two_classes_by_one_logit_are_as_by_two(smoothing: float) -> None:
    logit, target, weight = torch.randn(20, 1), torch.arange(20) % 2, torch.rand(20)
    binary = losses.BCEWithLogitsLoss([1, 5], smoothing)
    several = losses.CrossEntropyLoss(smoothing, [1, 5])
    both, y = torch.cat([torch.zeros(20, 1), logit], dim=1), target.float()[:, None]
    torch.testing.assert_close(binary(logit, y), several(both, target))
    torch.testing.assert_close(
        losses.weighted(binary, logit, y, weight), losses.weighted(several, both, target, weight)
    )


def test_of_labels_the_weights_are_those_of_their_ones() -> None:
    output, target = torch.randn(20, 3), torch.randint(0, 2, (20, 3)).float()
    pos_weight = tensor([1.0, 5.0, 2.0])
    loss = losses.BCEWithLogitsLoss([1, 5, 2])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output, target, pos_weight=pos_weight)
    torch.testing.assert_close(loss(output, target), expected)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    y = np.repeat([0, 1, 2], [5, 20, 75])
    loss = losses.CrossEntropyLoss(class_weights="balanced", class_counts=[5, 20, 75])
    expected = compute_class_weight("balanced", classes=np.unique(y), y=y)
    assert loss.class_weights.tolist() == pytest.approx(expected.tolist())
    assert losses.BCEWithLogitsLoss("balanced", class_counts=[[90, 10], [50, 50]]).class_weights.tolist() == [9, 1]


@pytest.mark.parametrize(
    "loss",
    [losses.MSELoss(), losses.L1Loss(), losses.HuberLoss(), losses.GaussianNLLLoss(0.5), losses.BCEWithLogitsLoss()],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize("columns", [1, 3])
def test_a_row_that_weighs_two_is_there_twice(loss: torch.nn.Module, columns: int) -> None:
    output, target = torch.randn(3, columns), torch.randint(0, 2, (3, columns)).float()
    twice = tensor([0, 1, 1])
    expected = loss(output[twice], target[twice])
    torch.testing.assert_close(losses.weighted(loss, output, target, tensor([1.0, 2.0, 0.0])), expected)


@pytest.mark.parametrize("loss", [losses.CrossEntropyLoss(0.1), losses.BrierLoss()], ids=["cross_entropy", "brier"])
def test_so_is_one_with_a_class(loss: torch.nn.Module) -> None:
    output, target, twice = torch.randn(3, 4), tensor([3, 0, 1]), tensor([0, 1, 1])
    expected = loss(output[twice], target[twice])
    torch.testing.assert_close(losses.weighted(loss, output, target, tensor([1, 2, 0])), expected)


def test_a_batch_without_weight_teaches_nothing() -> None:
    output = torch.randn(3, 2, requires_grad=True)
    loss = losses.weighted(losses.MSELoss(), output, torch.randn(3, 2), torch.zeros(3))
    loss.backward()
    assert loss.item() == 0
    assert not output.grad.any()


def test_a_loss_that_is_none_of_rows_takes_no_weights() -> None:
    with pytest.raises(UserError, match="rows with weights need the loss of each row, and Identity has no `reduction`"):
        losses.weighted(torch.nn.Identity(), torch.zeros(3), torch.zeros(3), torch.ones(3))


@pytest.mark.parametrize(
    ("weights", "counts", "expected"),
    [
        ([1, 2], [3, 3, 3], "[1,2]: are 2 numbers, and the data have 3 classes"),
        ([1, 2], [[3, 3]] * 3, "[1,2]: are 2 numbers, and the data have 3 labels"),
        ("balanced", [3, 0], "balanced: class 1, counted from 0, has no rows for training; give a list of numbers"),
        (
            "balanced",
            [[3, 3], [6, 0]],
            "balanced: label 1, counted from 0, has no rows of both kinds for training; give a list of numbers",
        ),
        (
            "balanced",
            None,
            "balanced: the data do not say how many rows each class has (class_counts); give a list of numbers",
        ),
    ],
)
def test_weights_that_do_not_fit_the_classes_are_refused(weights: object, counts: object, expected: str) -> None:
    with pytest.raises(UserError) as error:
        losses.weights_of_classes(weights, counts)
    assert str(error.value) == f"loss.class_weights={expected}"


def test_probabilities_of_one_class_are_its_index_also_with_weights() -> None:
    output, y = torch.randn(20, 3), torch.randint(0, 3, (20,))
    for smoothing in (0.0, 0.1):
        loss = losses.CrossEntropyLoss(label_smoothing=smoothing, class_weights=[1.0, 5.0, 2.0])
        soft = torch.nn.functional.one_hot(y, 3).float()
        assert loss(output, soft).item() == pytest.approx(loss(output, y).item(), rel=1e-6)
        assert torch.equal(loss.weights_of_rows(soft), loss.weights_of_rows(y))


def test_a_loss_of_ones_own_may_have_class_weights_too() -> None:
    class Focal(torch.nn.Module):
        class_weights = torch.ones(3)

    assert losses.weights_of_rows(Focal(), torch.zeros(3, dtype=torch.int64)) is None
