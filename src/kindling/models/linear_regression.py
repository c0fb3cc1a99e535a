from typing import Any

from torch import nn

from kindling.models.base import SupervisedModule


class LinearRegression(SupervisedModule):
    """x (N, in_features) -> (N, out_features), by one affine map."""

    tasks = ("regression",)

    def __init__(self, in_features: int, out_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.net = nn.Linear(in_features, out_features)
