"""Nets that are nothing but dense layers: what pictures of weights and units are made of."""

from torch import nn

from kindling.models.base import SupervisedModule
from kindling.models.layers import ACTIVATIONS

BETWEEN = (*ACTIVATIONS.values(), nn.Flatten, nn.Dropout)


def dense(model: SupervisedModule) -> list[nn.Linear]:
    """The layers, from the inputs on; none where there is anything else in the net that has weights."""
    parts = list(model.net) if isinstance(model.net, nn.Sequential) else [model.net]
    if not all(isinstance(part, (nn.Linear, *BETWEEN)) for part in parts):
        return []
    return [part for part in parts if isinstance(part, nn.Linear)]
