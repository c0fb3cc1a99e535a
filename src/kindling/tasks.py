"""What kind of answer a data set asks for: what the loss sees, what the user sees, and what is measured."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from kindling.metrics import ProbabilityAccuracy, StandardisedR2Score


class Task(nn.Module):
    """Stands between a model's output and the data's targets y.

    `target(y)` is what the loss compares the output with, `prediction(output)` is what the user wants to know,
    in the units of y. `metrics()` are updated with `prediction(output)` and y.
    """

    name: ClassVar[str]
    out_features: int

    def target(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def prediction(self, output: Tensor) -> Tensor:
        raise NotImplementedError

    def metrics(self) -> dict[str, Metric]:
        raise NotImplementedError


class Regression(Task):
    """y (N, out_features) of floats; the model works on (y - mean) / std, of shape (out_features,) each."""

    name = "regression"
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.out_features = len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def target(self, y: Tensor) -> Tensor:
        return (y - self.mean) / self.std

    def prediction(self, output: Tensor) -> Tensor:
        return output * self.std + self.mean

    def metrics(self) -> dict[str, Metric]:
        return {
            "mae": MeanAbsoluteError(num_outputs=1),
            "rmse": MeanSquaredError(squared=False),
            "r2": StandardisedR2Score(self.mean, self.std),
        }


class Binary(Task):
    """y (N,) of 0 and 1; the output (N, 1) is a logit, the prediction (N,) the probability of 1."""

    name = "binary"
    out_features = 1

    def __init__(self, classes: list[str]) -> None:
        super().__init__()
        self.classes = classes

    def target(self, y: Tensor) -> Tensor:
        return y.to(torch.get_default_dtype()).unsqueeze(-1)

    def prediction(self, output: Tensor) -> Tensor:
        return output.squeeze(-1).sigmoid()

    def metrics(self) -> dict[str, Metric]:
        return {"acc": ProbabilityAccuracy(validate_args=False)}


class Multiclass(Task):
    """y (N,) of class indices; the output (N, C) are logits, the prediction (N, C) probabilities."""

    name = "multiclass"

    def __init__(self, classes: list[str]) -> None:
        super().__init__()
        self.classes = classes
        self.out_features = len(classes)

    def target(self, y: Tensor) -> Tensor:
        return y

    def prediction(self, output: Tensor) -> Tensor:
        return output.softmax(dim=-1)

    def metrics(self) -> dict[str, Metric]:
        return {"acc": MulticlassAccuracy(self.out_features, average="micro", validate_args=False)}
