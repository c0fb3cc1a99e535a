from typing import Any, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from kindling.models.base import SupervisedModule
from kindling.models.layers import ACTIVATIONS, Activation, Init, check_scale, initialize


class XOR(SupervisedModule):
    """x (N, in_features) -> logit (N, 1), by one hidden layer; its sigmoid is the probability of a one."""

    tasks = ("binary",)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden_features: PositiveInt = 4,
        activation: Activation = "silu",
        init: Init | Literal["looks_linear"] = "default",
        init_scale: PositiveFloat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        hidden = nn.Linear(in_features, hidden_features)
        output = nn.Linear(hidden_features, out_features)
        self.net = nn.Sequential(hidden, ACTIVATIONS[activation](), output)
        if init == "looks_linear":
            check_scale(init, init_scale)
            looks_linear(hidden)
            nn.init.xavier_normal_(output.weight)
            nn.init.zeros_(output.bias)
        else:
            initialize(self.net, init, init_scale)


@torch.no_grad()
def looks_linear(layer: nn.Linear) -> None:
    """Mirrored orthogonal units, w and -w, whose hyperplanes pass through (0.5, ..., 0.5), the middle of 0/1 inputs.

    Whatever the input, one unit of a pair is awake: the best start found here for ReLU on XOR. After the mirrored
    blocks of Balduzzi et al., 'The Shattered Gradients Problem' (2017).
    """
    half = nn.init.orthogonal_(torch.empty(-(-layer.out_features // 2), layer.in_features), gain=2**0.5)
    layer.weight.copy_(torch.cat([half, -half])[: layer.out_features])
    layer.bias.copy_(-0.5 * layer.weight.sum(dim=1))
