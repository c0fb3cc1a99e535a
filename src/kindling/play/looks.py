"""What a page shows of a model at work: the image that it sees, and its hidden units."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from kindling.models.layers import ACTIVATIONS

MAX_UNITS = 1024  # of a hidden layer, that are shown


@contextmanager
def hidden_units(model: nn.Module) -> Iterator[list[dict[str, Any]]]:
    """What the activations within give for the one row that goes through; of images, the mean of each channel."""
    found: list[dict[str, Any]] = []

    def note(name: str, output: Tensor) -> None:
        units = output[0].flatten(1).mean(dim=1) if output.ndim > 2 else output[0]
        if units.ndim == 1 and len(units) <= MAX_UNITS:
            found.append({"name": name, "values": [round(value, 4) for value in units.float().tolist()]})

    kinds = tuple(kind for kind in ACTIVATIONS.values() if kind is not nn.Identity)
    parts: list[tuple[str, nn.Module]] = [(name, part) for name, part in model.named_modules() if type(part) in kinds]
    hooks = [
        part.register_forward_hook(lambda _part, _inputs, output, name=name: note(name, output)) for name, part in parts
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def png(picture: np.ndarray, white: float) -> str:
    """What `as_drawn` gives, (H, W) or (H, W, 3), as an address that an <img> takes."""
    if picture.dtype != np.uint8:
        picture = picture * (255 if picture.ndim == 3 else 255 / white)  # colours are shares
    buffer = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).round().astype(np.uint8)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
