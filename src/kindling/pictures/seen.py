"""A trained model and its data, and what several pictures need of both, worked out once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.models.base import SupervisedModule
from kindling.pictures.features import Features, placed
from kindling.pictures.trace import Trace
from kindling.population.model import Population

Found = dict[str, np.ndarray]  # what a picture is drawn from


@dataclass
class Seen:
    """All pictures are of the rows of `split`, test or val, but for those that say otherwise."""

    model: SupervisedModule
    data: SupervisedDataModule
    trace: Trace = field(default_factory=Trace)
    split: SplitName = "test"  # val, where the test rows are left alone
    population: Population | None = None  # of which the model is the best member

    @classmethod
    def of(cls, model: SupervisedModule, data: SupervisedDataModule, trace: Trace, split: SplitName = "test") -> "Seen":
        model.eval()  # after a test it is as it was before, in training: no dropout, nor statistics of batches
        if isinstance(model, Population):
            return cls(model.member(model.best_member), data, trace, split, model)
        return cls(model, data, trace, split)

    @cached_property
    def tested(self) -> tuple[Tensor, Tensor]:
        """Predictions (N, ...) of the rows in their order, and what is true of them."""
        return predict(self.model, self.data.batches(self.split))

    @cached_property
    def features(self) -> Features | None:
        """Those of a table, and what they are worth to the model; None where the data are no table."""
        return Features.of(self.model, self.data, self.split)

    @property
    def classes(self) -> list[str]:
        return list(getattr(self.model.task, "classes", []))

    @property
    def is_truth_table(self) -> bool:
        """Whether the decision surface shows all that there is: four rows of two features."""
        return self.data.row_shape == [2] and len(self.tested[1]) <= 4

    @contextmanager
    def at(self, moment: float) -> Iterator[None]:
        """The model with the weights that it had then: 0 before training, 0.5 half-way."""
        trained = {name: value.detach().clone() for name, value in self.model.named_parameters()}
        try:
            put(self.model, self.trace.weights(moment))
            yield
        finally:
            put(self.model, trained)


@torch.no_grad()
def put(model: SupervisedModule, weights: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])


@torch.no_grad()
def predict(
    model: SupervisedModule, batches: Iterable[Sequence[Tensor]], num_rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Predictions for every row, or the first of them, and what is true of it; on the CPU."""
    predictions, targets, count = [], [], 0
    for x, y, *_ in batches:
        predictions.append(model.task.prediction(model(placed(x, model))).cpu())
        targets.append(y.cpu())
        count += len(y)
        if num_rows is not None and count >= num_rows:
            break
    found, true = torch.cat(predictions)[:num_rows], torch.cat(targets)[:num_rows]
    return found if found.dtype is torch.float64 else found.float(), true
