"""Images as they are kept and drawn."""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

MOST_PIXELS = 128  # of a side


def smaller(picture: Tensor, most: int = MOST_PIXELS) -> Tensor:
    """(C, H, W), of at most so many pixels a side: means of what a pixel covers."""
    height, width = picture.shape[-2:]
    if max(height, width) <= most:
        return picture
    scale = most / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    scaled = F.adaptive_avg_pool2d(picture.float(), size)
    return scaled if picture.is_floating_point() else scaled.round().to(picture.dtype)


def as_drawn(picture: Tensor) -> np.ndarray:
    """Of three channels (H, W, 3) in colour, else the first channel."""
    if len(picture) != 3:
        return picture[0].numpy()
    colours = picture.permute(1, 2, 0).numpy()
    if colours.dtype == np.uint8:
        return colours
    low, high = colours.min(), colours.max()
    return (colours - low) / max(high - low, 1e-12)
