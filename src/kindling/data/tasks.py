"""What kind of answer a data set asks for: what the loss sees, what the user sees, and what is measured."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from kindling.data.scores import ExactMatch, LabelAccuracy, ProbabilityAccuracy, StandardisedR2Score


class Task(nn.Module):
    """Stands between a model's output and the data's targets y.

    `target(y)` is what the loss compares the output with, `prediction(output)` is what the user wants to know,
    in the units of y. `metrics()` are updated with `prediction(output)` and `truth(y)`. `arguments()` are those that
    it was made with, as plain data.
    """

    name: ClassVar[str]
    out_features: int

    def target(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def prediction(self, output: Tensor) -> Tensor:
        raise NotImplementedError

    def output(self, prediction: Tensor) -> Tensor:
        """One that has this prediction."""
        raise NotImplementedError

    def truth(self, y: Tensor) -> Tensor:
        """y as metrics know it: the likeliest class, where mixed images have the probabilities of several."""
        return y

    def metrics(self) -> dict[str, Metric]:
        raise NotImplementedError

    def counts(self, y: Tensor) -> list[Any] | None:
        """Rows of each class, as `class_weights` of a loss are balanced by; None where there are no classes."""
        return None

    def arguments(self) -> dict[str, Any]:
        return {}

    def state(self) -> dict[str, Any]:
        """What `restored` makes an equal task from: a checkpoint carries it."""
        return {"kind": _kind(type(self)), **self.arguments()}


def restored(state: dict[str, Any]) -> Task:
    """The task of that `state()`, of a class that has been imported already: a checkpoint names no other."""
    arguments = {key: value for key, value in state.items() if key != "kind"}
    return {_kind(cls): cls for cls in _subclasses(Task)}[state["kind"]](**arguments)


def _kind(cls: type[Task]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _subclasses(cls: type[Task]) -> Iterator[type[Task]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


class Regression(Task):
    """y (N, out_features) of floats; the model works on (y - mean) / std, of out_features numbers each."""

    name = "regression"
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor | list[float], std: Tensor | list[float], double: bool = False) -> None:
        super().__init__()
        self.out_features = len(mean)
        dtype = torch.float64 if double else None  # as lists say nothing of it
        self.register_buffer("mean", torch.as_tensor(mean, dtype=dtype))
        self.register_buffer("std", torch.as_tensor(std, dtype=dtype))

    def target(self, y: Tensor) -> Tensor:
        return (y - self.mean) / self.std

    def prediction(self, output: Tensor) -> Tensor:
        return output * self.std + self.mean

    def output(self, prediction: Tensor) -> Tensor:
        return self.target(prediction)

    def metrics(self) -> dict[str, Metric]:
        return {
            "mae": MeanAbsoluteError(num_outputs=1),
            "rmse": MeanSquaredError(squared=False),
            "r2": StandardisedR2Score(self.mean, self.std),
        }

    def arguments(self) -> dict[str, Any]:
        double = {"double": True} if self.mean.dtype is torch.float64 else {}
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), **double}


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

    def output(self, prediction: Tensor) -> Tensor:
        return prediction.logit(eps=torch.finfo(prediction.dtype).eps).unsqueeze(-1)

    def truth(self, y: Tensor) -> Tensor:
        return (y > 0.5).long() if y.is_floating_point() else y

    def metrics(self) -> dict[str, Metric]:
        return {"acc": ProbabilityAccuracy()}

    def counts(self, y: Tensor) -> list[int]:
        return y.bincount(minlength=2).tolist()

    def arguments(self) -> dict[str, Any]:
        return {"classes": self.classes}


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

    def output(self, prediction: Tensor) -> Tensor:
        return prediction.clamp_min(torch.finfo(prediction.dtype).tiny).log()

    def truth(self, y: Tensor) -> Tensor:
        return y.argmax(dim=-1) if y.is_floating_point() else y

    def metrics(self) -> dict[str, Metric]:
        return {"acc": MulticlassAccuracy(self.out_features, average="micro", validate_args=False)}

    def counts(self, y: Tensor) -> list[int]:
        return y.bincount(minlength=self.out_features).tolist()

    def arguments(self) -> dict[str, Any]:
        return {"classes": self.classes}


class Multilabel(Task):
    """y (N, L) of 0 and 1, each label by itself; the output (N, L) are logits, the prediction (N, L) probabilities.

    Measured are the share of right answers, over rows and labels, and that of the rows with no wrong one.
    """

    name = "multilabel"

    def __init__(self, labels: list[str]) -> None:
        super().__init__()
        self.labels = labels
        self.out_features = len(labels)

    def target(self, y: Tensor) -> Tensor:
        return y.to(torch.get_default_dtype())

    def prediction(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def output(self, prediction: Tensor) -> Tensor:
        return prediction.logit(eps=torch.finfo(prediction.dtype).eps)

    def truth(self, y: Tensor) -> Tensor:
        return (y > 0.5).long() if y.is_floating_point() else y

    def metrics(self) -> dict[str, Metric]:
        return {"acc": LabelAccuracy(), "exact": ExactMatch()}

    def counts(self, y: Tensor) -> list[list[int]]:
        ones = y.sum(dim=0)
        return torch.stack([len(y) - ones, ones], dim=1).tolist()

    def arguments(self) -> dict[str, Any]:
        return {"labels": self.labels}
