"""The metrics of a stage."""

from collections.abc import Mapping

from torch import Tensor
from torchmetrics import Metric, MetricCollection

States = dict[str, dict[str, Tensor]]  # of metrics by name, by their own names


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
