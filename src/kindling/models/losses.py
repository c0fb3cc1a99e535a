"""Losses, each with the tasks it makes sense for. A loss without `tasks` (any of torch.nn) is taken as it is.

Of rows with weights, and of classes with weights, the loss is the weighted mean, sum(w * loss) / sum(w) over the rows;
where both are given, the weight of a row is their product. So is the loss of an epoch, whatever its batches.
"""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from kindling.errors import UserError

ClassWeights = Literal["balanced"] | list[PositiveFloat] | None
ClassCounts = list[int] | list[list[int]] | None
Smoothing = Annotated[float, Field(ge=0, le=1)]


class MSELoss(nn.MSELoss):
    """Mean squared error."""

    tasks = ("regression",)


class L1Loss(nn.L1Loss):
    """Mean absolute error."""

    tasks = ("regression",)


class HuberLoss(nn.HuberLoss):
    """Squared error near zero, absolute error beyond `delta` (Huber, 1964)."""

    tasks = ("regression",)

    def __init__(self, delta: PositiveFloat = 1.0) -> None:
        super().__init__(delta=delta)


class GaussianNLLLoss(nn.Module):
    """Negative log-likelihood in nats of targets with Gaussian noise of a fixed variance, averaged over all elements.

    Its minimum is that of least squares: this is the maximum-likelihood reading of mean squared error.
    """

    tasks = ("regression",)

    reduction = "mean"

    def __init__(self, variance: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.variance = variance

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        squares = F.mse_loss(output, target, reduction=self.reduction)
        return 0.5 * (squares / self.variance + math.log(2 * math.pi * self.variance))


class BCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """Binary cross-entropy of logits in nats.

    Args:
        class_weights: of 0 and of 1, for the weighted mean over rows; or of several labels, for each what a 1 of it
            counts beside a 0 (`pos_weight`), for a plain mean. balanced: so that both sides weigh the same in training.
        label_smoothing: the target is moved by so much towards 1/2.
        class_counts: rows of 0 and of 1 in training; of several labels, such a pair for each.
    """

    tasks = ("binary", "multilabel")
    class_weights: Tensor | None

    def __init__(
        self, class_weights: ClassWeights = None, label_smoothing: Smoothing = 0.0, class_counts: ClassCounts = None
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", weights_of_classes(class_weights, class_counts), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        smooth = target + self.label_smoothing * (0.5 - target) if self.label_smoothing else target
        if self.class_weights is None:
            return super().forward(output, smooth)
        weights = self.weights_of_rows(target)
        if weights is None:
            return F.binary_cross_entropy_with_logits(
                output, smooth, pos_weight=self.class_weights, reduction=self.reduction
            )
        zero, one = self.class_weights
        values = one * smooth * F.softplus(-output) + zero * (1 - smooth) * F.softplus(output)
        return values if self.reduction == "none" else values.sum() / weights.sum()

    def weights_of_rows(self, target: Tensor) -> Tensor | None:
        """None where every row counts as much, as those of labels do."""
        of_labels = target.ndim > 1 and target.shape[-1] > 1
        if self.class_weights is None or of_labels or len(self.class_weights) != 2:
            return None
        zero, one = self.class_weights
        weights = one * target + zero * (1 - target)
        return weights if weights.ndim == 1 else weights.squeeze(-1)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """Cross-entropy of logits in nats.

    Args:
        label_smoothing: the share of the target that is spread evenly over all classes.
        class_weights: one for each class, for the weighted mean over rows. balanced: n / (classes * count), of the rows
            of training.
        class_counts: of each class, its rows in training.
    """

    tasks = ("multiclass",)
    class_weights: Tensor | None

    def __init__(
        self, label_smoothing: Smoothing = 0.0, class_weights: ClassWeights = None, class_counts: ClassCounts = None
    ) -> None:
        super().__init__(label_smoothing=label_smoothing)
        self.register_buffer("class_weights", weights_of_classes(class_weights, class_counts), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        weights = self.weights_of_rows(target) if target.is_floating_point() and self.reduction == "mean" else None
        reduction = self.reduction if weights is None else "none"  # torch would divide by the number of rows
        values = F.cross_entropy(
            output, target, self.class_weights, reduction=reduction, label_smoothing=self.label_smoothing
        )
        return values if weights is None else values.sum() / weights.sum()

    def weights_of_rows(self, target: Tensor) -> Tensor | None:
        """Of indices (N,), or of probabilities of classes (N, C)."""
        if self.class_weights is None:
            return None
        return target @ self.class_weights if target.is_floating_point() else self.class_weights[target]


class BrierLoss(nn.Module):
    """Squared error of probabilities, summed over classes and averaged over rows (Brier, 1950).

    The 'L2 loss' of classic XOR and MNIST nets. Output (N, 1) with target (N, 1) of 0 and 1 counts the one
    probability; output (N, C) with class indices (N,), or with probabilities (N, C), counts all C.
    """

    tasks = ("binary", "multiclass")
    reduction = "mean"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point() and output.shape[1] == 1:
            return F.mse_loss(output.sigmoid(), target, reduction=self.reduction)
        wanted = target if target.is_floating_point() else F.one_hot(target, output.shape[1])
        values = torch.sum((output.softmax(dim=1) - wanted) ** 2, dim=1)
        return values if self.reduction == "none" else values.mean()


def weights_of_classes(given: ClassWeights, counts: ClassCounts) -> Tensor | None:
    """Of each class (C,), or of each label (L,), whose counts are pairs.

    Raises:
        UserError: where there are more or fewer than classes, or one of them has no rows to be balanced by.
    """
    if given is None:
        return None
    key = f"loss.class_weights={given}".replace(" ", "")
    what = "label" if counts and isinstance(counts[0], list) else "class"
    if given != "balanced":
        if counts is not None and len(given) != len(counts):
            several = "labels" if what == "label" else "classes"
            raise UserError(f"{key}: are {len(given)} numbers, and the data have {len(counts)} {several}")
        return torch.tensor(given, dtype=torch.get_default_dtype())
    if counts is None:
        raise UserError(
            f"{key}: the data do not say how many rows each class has (class_counts); give a list of numbers"
        )
    rows = torch.tensor(counts, dtype=torch.float64)
    for place, number in enumerate(rows.reshape(len(rows), -1).amin(dim=1).tolist()):
        if not number:
            lacks = "no rows of both kinds" if what == "label" else "no rows"
            raise UserError(f"{key}: {what} {place}, counted from 0, has {lacks} for training; give a list of numbers")
    weights = rows[:, 0] / rows[:, 1] if rows.ndim == 2 else rows.sum() / (len(rows) * rows)
    return weights.to(torch.get_default_dtype())


def weighted(loss: nn.Module, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The mean over rows of which each has a weight (N,): sum(w * loss) / sum(w); 0 where no row has any.

    Raises:
        UserError: where the loss cannot be had for each row.
    """
    if getattr(loss, "reduction", None) != "mean":
        raise UserError(
            f"loss: rows with weights need the loss of each row, and {type(loss).__name__} has no `reduction`, which "
            "is mean and can be none"
        )
    loss.reduction = "none"  # type: ignore[assignment]
    try:
        values = loss(output, target)
    finally:
        loss.reduction = "mean"  # type: ignore[assignment]
    values = values.flatten(1).mean(dim=1) if values.ndim > 1 else values
    weight, of_classes = weight.to(values.dtype), weights_of_rows(loss, target)
    total = weight.sum() if of_classes is None else (weight * of_classes).sum()
    return (weight * values).sum() / total.clamp_min(torch.finfo(total.dtype).tiny)


def weights_of_rows(loss: nn.Module, target: Tensor) -> Tensor | None:
    """By their classes; None where all are 1, as of a loss that does not say."""
    if not isinstance(loss, BCEWithLogitsLoss | CrossEntropyLoss):
        return None
    return loss.weights_of_rows(target)
