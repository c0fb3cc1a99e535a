"""The rows that a method of scikit-learn learns from and is asked about, and its scores: those of our models."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Regression, Task


@dataclass(frozen=True)
class Rows:
    """x (N, in_features); y as scikit-learn takes it, (N,) or (N, outputs), standardised where our models see it so;
    the truth as our metrics take it; weights (N,) or None."""

    x: np.ndarray
    y: np.ndarray
    truth: Tensor
    weight: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def some(self, count: int) -> "Rows":
        """So many of them at random, the same for every method."""
        if count >= len(self):
            return self
        rows = np.random.default_rng(0).permutation(len(self))[:count]
        return Rows(self.x[rows], self.y[rows], self.truth[rows], None if self.weight is None else self.weight[rows])


def read(datamodule: SupervisedDataModule, split: SplitName) -> Rows:
    """All rows of a split, as a model is given them, in a row each."""
    batches = list(datamodule.batches(split))
    x, y, *weight = (torch.cat(parts) for parts in zip(*batches, strict=True))
    truth = datamodule.task.truth(y)
    target = datamodule.task.target(y) if isinstance(datamodule.task, Regression) else truth
    target = target.squeeze(1) if target.ndim == 2 and target.shape[1] == 1 else target
    return Rows(x.flatten(1).double().numpy(), target.numpy(), truth, weight[0].numpy() if weight else None)


def scores(task: Task, predicted: np.ndarray, truth: Tensor) -> dict[str, float]:
    """Those of the task, by their names."""
    found = {}
    for name, metric in task.metrics().items():
        metric.update(prediction(task, predicted, truth), truth)
        found[name] = metric.compute().item()
    return found


def prediction(task: Task, predicted: np.ndarray, truth: Tensor) -> Tensor:
    """What was predicted, as our metrics take it: values in the units of y, or probabilities of 0 and 1.

    In the shape of the truth, where scikit-learn leaves out a single column.
    """
    answer = torch.as_tensor(np.ascontiguousarray(predicted))  # scikit-learn has columns in a row each
    if isinstance(task, Regression):
        return task.prediction(answer.to(truth.dtype).reshape(truth.shape))
    if task.name == "multiclass":
        return one_hot(answer.long(), task.out_features).float()
    return answer.float().reshape(truth.shape)


def error(found: dict[str, float]) -> float:
    return found["rmse"] if "rmse" in found else -found["acc"]
