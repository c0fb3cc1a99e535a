"""The parts a model file names: activations, normalisation layers and weight initialisation."""

from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"]
Normalization = Literal["none", "batch", "layer"]
Init = Literal["default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"]

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


def initialize(module: nn.Module, init: Init) -> None:
    """Draw the weights of every linear layer anew by `torch.nn.init`, biases 0; `default` leaves all as it is."""
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            getattr(nn.init, f"{init}_")(layer.weight)
            nn.init.zeros_(layer.bias)
