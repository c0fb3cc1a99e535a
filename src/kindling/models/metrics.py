"""The metrics of a stage."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

States = dict[str, dict[str, Tensor]]  # of metrics by name, by their own names


class MeanLoss(Metric):
    """The mean over rows of losses that are means over batches.

    torchmetrics' own MeanMetric either looks at each value for NaN, for which a step would wait, or, with
    nan_strategy="disable", leaves the weights out: a smaller last batch then counts as much as a whole one.
    """

    full_state_update = False
    higher_is_better = False
    mean_value: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("mean_value", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: int | Tensor) -> None:
        """Each value with the number of its rows."""
        weights = torch.as_tensor(weight, dtype=self.weight.dtype, device=value.device).expand_as(value)
        self.mean_value = self.mean_value + (value * weights).sum()
        self.weight = self.weight + weights.sum()

    def compute(self) -> Tensor:
        return self.mean_value / self.weight


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


def metrics_of_stages(metrics: Mapping[str, Metric]) -> tuple[Metrics, Metrics, Metrics]:
    """For training, validation and test, each with metrics of its own."""
    train, val, test = (
        Metrics({name: metric.clone() for name, metric in metrics.items()}, prefix)
        for prefix in ("train/", "val/", "test/")
    )
    return train, val, test
