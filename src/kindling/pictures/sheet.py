"""Many small images in one panel, each with a title: a panel for each would take seconds to lay out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from kindling.figure import SMALLEST

FINEST = 24  # pixels of the longer side, at least, so that gaps can be narrower than a pixel of the image
LINE = 1.25 * SMALLEST / 72  # inches of a line of a title


@dataclass
class Sheet:
    """Args:
    images: (N, H, W), or in colour (N, H, W, 3).
    width: of an image and the gap beside it, in inches.
    lines: of a title.
    """

    images: np.ndarray
    columns: int
    width: float
    lines: int = 1

    def __post_init__(self) -> None:
        finer = -(-FINEST // max(self.images.shape[1:3]))
        self.images = self.images.repeat(finer, axis=1).repeat(finer, axis=2)
        height, width = self.images.shape[1:3]
        self.gap = max(1, round(0.08 * width))
        self.inch = (width + self.gap) / self.width  # in pixels
        self.band = max(1, round((self.lines * LINE + 0.06) * self.inch))
        self.step = height + self.band
        self.rows = -(-len(self.images) // self.columns)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return self.columns * self.width, self.rows * self.step / self.inch

    def place(self, number: int) -> tuple[int, int]:
        """The upper left corner of an image: row and column of the pixel."""
        row, column = divmod(number, self.columns)
        return row * self.step + self.band, column * (self.images.shape[2] + self.gap)

    def draw(self, axes: Axes, titles: Sequence[str], letters: float = SMALLEST, **how: Any) -> Any:
        """`how` is for imshow; returns what it has drawn."""
        colours = self.images.ndim == 4
        height, width = self.images.shape[1:3]
        shape = self.rows * self.step, self.columns * (width + self.gap) - self.gap
        scale = 255 if self.images.dtype == np.uint8 and colours else 1
        canvas = np.full((*shape, 3) if colours else shape, 1.0 if colours else np.nan)
        for number, image in enumerate(self.images):
            top, left = self.place(number)
            canvas[top : top + height, left : left + width] = image / scale
        axes.set_axis_off()
        drawn = axes.imshow(canvas, interpolation="nearest", **how)
        for number, title in enumerate(titles):
            top, left = self.place(number)
            middle = left + width / 2 - 0.5
            axes.text(middle, top - 0.03 * self.inch, title, ha="center", va="bottom", fontsize=letters)
        return drawn
