"""What the figures of a sweep share: axes that fit their values, colours, and labels that fit their place."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from kindling.figure import entries, plain
from kindling.palette import BLUE, GREY, ORANGE, VERMILLION
from kindling.report.importances import is_log, is_numeric, spans_decades
from kindling.report.numbers import short

JOBS, BEST, PRUNED, FAILED = BLUE, ORANGE, GREY, VERMILLION
WIDTH = 4.8  # inches: as wide as a telephone, where their words are still read
MOST_NUMBERS = 12  # that may stand side by side

Axis = Literal["x", "y"]


class Position:
    """Where the values of a parameter lie on an axis: numbers where they are, categories side by side."""

    def __init__(self, fields: dict[str, Any], values: pd.Series) -> None:
        numeric = is_numeric(values)
        self.log = numeric and is_log(fields, values)
        self.is_category = not numeric or (not self.log and would_overlap(values))
        self.whole = not self.is_category and bool((values % 1 == 0).all())
        self.is_crowded = len(values) > 30
        self.values = np.unique(values) if not self.is_category else np.array([])
        self.choices = list[str]()
        if self.is_category:
            self.choices = [written(value) for value in np.unique(values)] if numeric else in_order(fields, values)

    def __call__(self, values: pd.Series) -> np.ndarray:
        if not self.is_category:
            return values.to_numpy(dtype=float)
        at = np.array([self.choices.index(written(value)) for value in values], dtype=float)
        # Many jobs in a category lie beside each other, each at a place of its own that looks random.
        beside = values.index.to_numpy() * 0.618 % 1 - 0.5
        return at + (0.4 * beside if self.is_crowded else 0)

    def label(self, axes: Axes, key: str) -> None:
        axes.set_xlabel(shortened_key(key, 36))
        if self.log:
            log_axis(axes, "x")
        if self.are_far_apart():
            axes.set_xticks(self.values, [number(value) for value in self.values])
            axes.xaxis.set_minor_locator(NullLocator())
        elif self.is_category:
            long = sum(min(len(choice), 18) + 2 for choice in self.choices) > 38
            names = [shortened(choice, 18) for choice in self.choices]
            axes.set_xticks(range(len(names)), names, rotation=30 if long else 0, ha="right" if long else "center")
            axes.set_xlim(-0.6, len(names) - 0.4)
        elif not self.log:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=self.whole))

    def are_far_apart(self) -> bool:
        """Whether there is room for each value below the axis."""
        at = np.log(self.values) if self.log else self.values
        return 1 < len(at) <= 6 and bool(np.diff(at).min() >= 0.16 * (at[-1] - at[0]))


def would_overlap(values: pd.Series) -> bool:
    """Whether a few numbers, such as 0, 1e-4 and 1e-2, have no room beside each other on a linear axis."""
    distinct = np.unique(values)
    if not 2 < len(distinct) <= MOST_NUMBERS:
        return False
    return bool(np.diff(distinct).min() < 0.02 * (distinct[-1] - distinct[0]))


def in_order(fields: dict[str, Any], values: pd.Series) -> list[str]:
    """Categories as the command gave them, those that it did not give at the end; numbers by size."""
    if is_numeric(values):
        return [number(value) for value in sorted(values.unique())]
    given = [written(choice) for choice in fields.get("attributes", {}).get("choices", [])]
    found = set(map(written, values))
    return [*(choice for choice in given if choice in found), *sorted(found - set(given))]


def score_axis(axes: Axes, name: str, values: Any, axis: Axis = "y") -> None:
    """Logarithmic where the values are positive and span two decades."""
    getattr(axes, f"set_{axis}label")(shortened(name, 36))
    if spans_decades(values):
        log_axis(axes, axis)


def log_axis(axes: Axes, axis: Axis) -> None:
    getattr(axes, f"set_{axis}scale")("log")
    low, high = getattr(axes, f"get_{axis}lim")()
    if high < 1000 * low:  # too few powers of ten to read values from
        getattr(axes, f"{axis}axis").set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1, 3)))
        getattr(axes, f"{axis}axis").set_major_formatter(lambda value, _: f"{value:g}")
        getattr(axes, f"{axis}axis").set_minor_formatter(NullFormatter())


def shortened(text: str, length: int) -> str:
    """Of a long key or path the end tells the most. A dollar sign is one, and begins no formula."""
    return plain(text if len(text) <= length else f"…{text[1 - length :]}")


def shortened_key(key: str, length: int) -> str:
    """Whole parts of a key, where one at least has room."""
    if len(key) > length:
        key = f"…{key[1 - length :].partition('.')[2] or key[1 - length :]}"
    return shortened(key, length)


def written(value: Any) -> str:
    """A category as the command line has it."""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    return "null" if value is None or value != value else str(value)  # pandas makes NaN of None


def number(value: Any, digits: int = 4) -> str:
    """For people: few significant digits, whole numbers whole, nothing for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_ | str):
        return written(value)
    return short(float(value), digits)


def scatter(axes: Axes, frame: pd.DataFrame, at: np.ndarray, name: str) -> None:
    """Completed jobs as points, pruned ones as hollow triangles."""
    alpha = 0.75 if len(frame) <= 60 else 0.45
    done, pruned = (frame["status"] == "completed").to_numpy(), (frame["status"] == "pruned").to_numpy()
    axes.scatter(at[done], frame[name][done], s=18, c=JOBS, alpha=alpha, linewidths=0, label="completed", zorder=3)
    if pruned.any():
        at, values = at[pruned], frame[name][pruned]
        axes.scatter(
            at, values, s=18, marker="v", facecolors="none", edgecolors=PRUNED, linewidths=0.8, label="pruned", zorder=2
        )
    axes.grid(alpha=0.3)


def legend(figure: Figure, *panels: Axes) -> None:
    """One for all panels, above them: inside it would cover jobs."""
    found = entries(panels)
    drawn = figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    for handle in drawn.legend_handles:
        if handle is not None:
            handle.set_alpha(1)  # one line alone would be too faint to see
