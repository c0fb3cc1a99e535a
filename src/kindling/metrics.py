"""Metrics that torchmetrics does not have."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import vmap
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.regression import R2Score

States = dict[str, dict[str, Tensor]]  # of metrics by name, by their own names


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

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update((preds > self.threshold).int(), target)


class Metrics(MetricCollection):
    """Metrics of one stage, whose states can be taken and put back in the middle of an epoch."""

    def __init__(self, metrics: Mapping[str, Metric], prefix: str) -> None:
        super().__init__(dict(metrics), prefix=prefix, compute_groups=False)

    def get_states(self) -> States:
        return {name: dict(metric.metric_state) for name, metric in self.items()}  # type: ignore[arg-type]

    def set_states(self, states: States) -> None:
        for name, metric in self.items():
            for key, value in states[name].items():
                setattr(metric, key, value.to(metric.device, copy=True))  # which some metrics change in place


class MemberMetrics(Metrics):
    """The metrics of each member of a population: states, arguments and values have a leading dimension of members.

    For metrics whose states are tensors, and that do not look at values on the way.
    """

    def __init__(self, metrics: Metrics, num_members: int) -> None:
        super().__init__(dict(metrics.items(keep_base=True)), metrics.prefix or "")
        self.num_members = num_members
        self.states: States = {}

    def reset(self) -> None:
        super().reset()
        self.states = {}

    def update(self, weight: int | Tensor, **batch: Tensor) -> None:  # type: ignore[override]
        """The `weight` is one for all members."""

        def updated(states: States, batch: dict[str, Tensor]) -> States:
            Metrics.set_states(self, states)
            for metric in self.values():
                # The method of the class: that of the object keeps count of its calls for warnings of no use here.
                type(metric).update(metric, **metric._filter_kwargs(weight=weight, **batch))
            return Metrics.get_states(self)

        self.states = vmap(updated)(self.states or self._initial_states(), batch)
        super().reset()

    def compute(self) -> dict[str, Tensor]:
        def computed(states: States) -> dict[str, Tensor]:
            Metrics.set_states(self, states)
            return {name: type(metric).compute(metric).squeeze() for name, metric in self.items()}

        values: dict[str, Tensor] = vmap(computed)(self.states or self._initial_states())
        super().reset()
        return values

    def get_states(self) -> States:
        return self.states

    def set_states(self, states: States) -> None:
        self.states = {
            name: {key: value.to(metric.device) for key, value in states[name].items()}
            for name, metric in self.items()
            if states
        }

    def _initial_states(self) -> States:
        return {
            name: {key: value.expand(self.num_members, *value.shape) for key, value in states.items()}
            for name, states in super().get_states().items()
        }
