from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from kindling.models.base import SupervisedModule
from kindling.models.layers import ACTIVATIONS, NORMALIZATIONS, Activation, Init, Normalization, initialize


class MLP(SupervisedModule):
    """x (N, ...) with in_features values a row -> (N, out_features), by any number of hidden layers."""

    tasks = ("regression", "binary", "multiclass", "multilabel")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden_features: Sequence[PositiveInt] = (256,),
        activation: Activation = "relu",
        normalization: Normalization = "none",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        init: Init = "default",
        init_scale: PositiveFloat | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in pairwise([in_features, *hidden_features]):
            layers.append(nn.Linear(fan_in, fan_out))
            if normalization != "none":
                layers.append(NORMALIZATIONS[normalization](fan_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.net = nn.Sequential(*layers, nn.Linear([in_features, *hidden_features][-1], out_features))
        initialize(self.net, init, init_scale)
