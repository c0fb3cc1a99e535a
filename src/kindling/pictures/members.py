"""The members of a population: how far they lie apart."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from kindling.figure import BLACK, Figure
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen


def measure(seen: Seen) -> Found | None:
    if seen.population is None:
        return None
    table = seen.population.tested
    return {str(name): table[name].to_numpy() for name in table.columns}


def draw(found: Found, about: About) -> Figure:
    """One panel a metric of the test: the members, from the lowest value to the highest."""
    names = [column for column in found if column.startswith("test/")]
    figure = Figure(figsize=(4 * len(names), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        values = np.sort(found[name][~np.isnan(found[name])])
        axes.plot(range(1, len(values) + 1), values, marker="." if len(values) < 100 else "")
        axes.axhline(values.mean(), color=BLACK, linewidth=1, linestyle="--", label=f"mean {values.mean():.4g}")
        axes.set(xlabel="members, by value", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure
