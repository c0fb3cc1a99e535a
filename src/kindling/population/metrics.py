"""Metrics of each member."""

import torch
from torch import Tensor
from torch.func import vmap

from kindling.models.metrics import Metrics, States


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

    def update(self, value: Tensor, weight: int | Tensor, **batch: Tensor) -> None:  # type: ignore[override]
        """The `weight` may be one for all members."""
        weights = torch.as_tensor(weight, device=value.device).expand_as(value)
        batch = {"value": value, "weight": weights, **batch}

        def updated(states: States, batch: dict[str, Tensor]) -> States:
            Metrics.set_states(self, states)
            for metric in self.values():
                # The method of the class: that of the object keeps count of its calls for warnings of no use here.
                type(metric).update(metric, **metric._filter_kwargs(**batch))
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
