"""The parts a model file names: activations, normalisation layers and weight initialisation."""

from typing import Literal

from torch import nn

from kindling.errors import UserError

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"]
Normalization = Literal["none", "batch", "layer"]
Init = Literal[
    "default",
    "zeros",
    "constant",
    "uniform",
    "normal",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
]
SCALES = {"constant": "the value", "uniform": "the bound on either side of 0", "normal": "the standard deviation"}

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
NORMALIZATIONS: dict[Normalization, type[nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}


def initialize(module: nn.Module, init: Init, scale: float | None = None) -> None:
    """Draw the weights of every linear layer anew by `torch.nn.init`, biases 0; `default` leaves all as it is."""
    check_scale(init, scale)
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            if scale is None:
                getattr(nn.init, f"{init}_")(layer.weight)
            elif init == "uniform":
                nn.init.uniform_(layer.weight, -scale, scale)
            elif init == "normal":
                nn.init.normal_(layer.weight, std=scale)
            else:
                nn.init.constant_(layer.weight, scale)
            nn.init.zeros_(layer.bias)


def check_scale(init: str, scale: float | None) -> None:
    """
    Raises:
        UserError: where a scale is missing, or would do nothing.
    """
    if init in SCALES and scale is None:
        raise UserError(f"model.init_scale: model.init={init} needs one, {SCALES[init]}, such as 0.5")
    if init not in SCALES and scale is not None:
        raise UserError(f"model.init_scale: does nothing with model.init={init}, only with {', '.join(SCALES)}")
