"""Losses, each with the tasks it makes sense for. A loss without `tasks` (any of torch.nn) is taken as it is."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn


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

    def __init__(self, variance: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.variance = variance

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (F.mse_loss(output, target) / self.variance + math.log(2 * math.pi * self.variance))


class BCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """Binary cross-entropy of logits in nats."""

    tasks = ("binary",)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """Cross-entropy of logits in nats."""

    tasks = ("multiclass",)

    def __init__(self, label_smoothing: Annotated[float, Field(ge=0, le=1)] = 0.0) -> None:
        super().__init__(label_smoothing=label_smoothing)


class BrierLoss(nn.Module):
    """Squared error of probabilities, summed over classes and averaged over rows (Brier, 1950).

    The 'L2 loss' of classic XOR and MNIST nets. Output (N, 1) with target (N, 1) of 0 and 1 counts the one
    probability; output (N, C) with class indices (N,), or with probabilities (N, C), counts all C.
    """

    tasks = ("binary", "multiclass")

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point() and output.shape[1] == 1:
            return F.mse_loss(output.sigmoid(), target)
        wanted = target if target.is_floating_point() else F.one_hot(target, output.shape[1])
        return torch.sum((output.softmax(dim=1) - wanted) ** 2, dim=1).mean()
