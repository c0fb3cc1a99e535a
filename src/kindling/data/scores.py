"""Metrics that torchmetrics does not have."""

import torch
from torch import Tensor
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.regression import R2Score


class StandardisedR2Score(R2Score):
    """R² of standardised values: it does not depend on the scale, and the sums of large numbers lose their digits.

    NaN where there are fewer than two rows.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update((preds - self.mean) / self.std, (target - self.mean) / self.std)

    def compute(self) -> Tensor:
        """The formula alone: torchmetrics looks at the values on the way, which `vmap` cannot do."""
        deviation = self.sum_squared_error - self.sum_error * (self.sum_error / self.total)
        return torch.where(self.total > 1, 1 - self.residual / deviation, torch.nan).mean()


class ProbabilityAccuracy(BinaryAccuracy):
    """Takes its input for probabilities: torchmetrics looks whether there are logits in it, which `vmap` cannot do."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update((preds > self.threshold).int(), target)


class LabelAccuracy(ProbabilityAccuracy):
    """Of probabilities of several labels (N, L), each of which counts as much."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.flatten(), target.flatten())


class ExactMatch(ProbabilityAccuracy):
    """The share of rows all of whose labels (N, L) are right."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        right = ((preds > self.threshold) == target.bool()).all(dim=-1)
        super().update(right.float(), torch.ones_like(right, dtype=torch.int64))
