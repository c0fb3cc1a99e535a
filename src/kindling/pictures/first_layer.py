"""The weights of a first layer over images, as images."""

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from kindling.figure import Figure, short
from kindling.models.base import SupervisedModule
from kindling.pictures.about import About
from kindling.pictures.images import smaller
from kindling.pictures.seen import Found, Seen
from kindling.pictures.sheet import Sheet

SAYS = (
    "What each unit of the first layer looks for: where a pixel is red, ink there raises the unit, where it is blue, "
    "ink lowers it. Those that count most in the next layer come first."
)
MOST, COLUMNS = 24, 8  # units
MOST_PIXELS = 64  # of a side

Layer = nn.Linear | nn.Conv2d


def measure(seen: Seen) -> Found | None:
    shape = seen.data.row_shape
    if len(shape) != 3:
        return None
    layers = list(layers_of(seen.model))
    images = images_of(layers[0], shape) if layers else None
    if images is None or not images.isfinite().all():
        return None
    following = layers[1] if len(layers) > 1 else None
    order = by_outgoing(layers[0], following)
    classes = seen.classes if following is None and len(seen.classes) == len(images) else []
    if classes:  # which are units of their own: in their order
        order = torch.arange(len(images))
    chosen = order[:MOST]
    return {
        "images": np.stack([smaller(images[unit], MOST_PIXELS).numpy() for unit in chosen]),
        "units": chosen.numpy(),
        "classes": np.array([classes[unit] for unit in chosen] if classes else [], dtype=str),
        "total": np.array(len(images)),
    }


def layers_of(model: SupervisedModule) -> Iterator[Layer]:
    """Those with weights, in the order in which the model names them."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and not name.startswith(("loss", "task")):
            yield module


def images_of(layer: Layer, shape: list[int]) -> Tensor | None:
    """(units, C, H, W): of what the layer takes, images of that shape or their pixels; None where it takes others."""
    weight = layer.weight.detach().float().cpu()
    if isinstance(layer, nn.Linear):
        return weight.reshape(len(weight), *shape) if layer.in_features == prod(shape) else None
    return weight if weight.shape[1] == shape[0] and weight[0, 0].numel() > 1 else None


def by_outgoing(layer: Layer, following: Layer | None) -> Tensor:
    """Units, first those with the largest weights to the next layer; where there is none, of the largest own."""
    own = layer.weight.detach().float().cpu()
    size = own.flatten(1).norm(dim=1)
    if following is not None and following.weight.shape[1] == len(own):
        size = following.weight.detach().float().cpu().transpose(0, 1).flatten(1).norm(dim=1)
    return size.argsort(descending=True, stable=True)


def draw(found: Found, about: About) -> Figure:
    """On one scale for all, with 0 in its middle."""
    images, classes, total = found["images"], found["classes"], int(found["total"])
    most = max(float(np.abs(images).max()), 1e-12)
    colours = images.shape[1] == 3
    units = [f"unit {unit}" for unit in found["units"]]
    titles = [short(str(name), 12) for name in classes] if len(classes) else units
    pictures = (images.transpose(0, 2, 3, 1) / most + 1) / 2 if colours else images[:, 0]
    sheet = Sheet(pictures, min(COLUMNS, len(images)), 0.92)
    width, height = sheet.size
    figure = Figure(figsize=(max(6.6, width + 0.9), 0.6 + 0.2 * colours + max(height, 1.8)), layout="constrained")
    axes = figure.subplots()
    drawn = sheet.draw(axes, titles, cmap="RdBu_r", vmin=-most, vmax=most)
    if not colours:
        figure.colorbar(drawn, ax=axes, shrink=0.8, label="weight of a pixel")
    how = f"all {total:,} units" if total == len(images) else f"the {len(images)} of {total:,} units that count most"
    what = "\ngrey is 0, and what has the colour of a pixel raises the unit" if colours else ""
    figure.suptitle(f"weights of the first layer, {how}{what}")
    return figure
