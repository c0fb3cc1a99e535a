"""The colours of the jobs of a sweep: each that of what it was tried with."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_hex

from kindling.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from kindling.report.axes import number, written
from kindling.report.importances import is_log, is_numeric
from kindling.report.sweep_folder import SweepFolder

# Of numbers: told apart by the colour-blind and in grey, and without the ends, which are not seen on dark or on light.
COLOURS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.25, 0.88, 128)))
DISTINCT = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE)


class Paint:
    """Of few values each its own colour; of many numbers a scale from low to high; else all are grey.

    Args:
        ranked: the swept keys, the most important first: the first that varies is painted.
    """

    def __init__(self, sweep: SweepFolder, frame: pd.DataFrame, ranked: list[str]) -> None:
        self.key = next((key for key in ranked if frame[key].nunique(dropna=False) > 1), "")
        self.values: dict[int, Any] = dict(zip(frame["job"], frame[self.key], strict=True)) if self.key else {}
        self.norm: Normalize | None = None
        self.colours: dict[str, str] = {}
        distinct = list(dict.fromkeys(map(written, self.values.values())))
        if not self.key:
            return
        values = frame[self.key]
        if is_numeric(values):
            distinct = [written(value) for value in sorted(values.unique())]
        if len(distinct) <= len(DISTINCT):
            self.colours = dict(zip(distinct, DISTINCT, strict=False))
        elif is_numeric(values):
            scale = LogNorm if is_log(sweep.space[self.key], values) else Normalize
            self.norm = scale(float(values.min()), float(values.max()))

    def colour(self, job: int) -> str:
        value = self.values.get(job)
        if self.norm and value is not None:
            return to_hex(COLOURS(self.norm(float(value))))
        return self.colours.get(written(value), GREY)

    def label(self, job: int) -> str:
        """For a legend; nothing where colours need none."""
        return f"{self.key.rpartition('.')[2]} {number(self.values.get(job))}" if self.colours else ""
