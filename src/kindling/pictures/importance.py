"""Which features of a table a model needs: by how much its loss rises when one of them is shuffled."""

import numpy as np

from kindling.figure import Figure, short
from kindling.palette import BLACK, BLUE, ORANGE
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "By how much the loss of test rows rises when one feature is shuffled among them, so that it says nothing more: "
    "the bar is the mean, each point one shuffle. Of two features that say the same, neither may seem important."
)


def measure(seen: Seen) -> Found | None:
    features = seen.features
    if features is None or seen.is_truth_table or not np.isfinite(features.base):
        return None
    places, rises = features.importance
    return {
        "names": np.array([features.every[place].name for place in places]),
        "rises": rises,
        "base": np.array(features.base),
        "total": np.array(len(features.every)),
        "rows": np.array(len(features.x)),
    }


def draw(found: Found, about: About) -> Figure:
    names, rises = [short(str(name), 32) for name in found["names"]], found["rises"]
    total, rows = int(found["total"]), int(found["rows"])
    figure = Figure(figsize=(6.6, 1.6 + 0.28 * len(names)), layout="constrained")
    axes = figure.subplots()
    places, mean = np.arange(len(names)), rises.mean(axis=1)
    axes.barh(places, mean, color=BLUE, height=0.65, label=f"mean of {rises.shape[1]} shuffles")
    for column, values in enumerate(rises.T):
        axes.plot(values, places, "o", color=ORANGE, markeredgecolor=BLACK, markeredgewidth=0.4, markersize=3.5,
                  label="each of them" if column == 0 else None)  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("rise of the loss when the feature is shuffled")
    which = f"{len(names)} of {total:,} features" if total > len(names) else "all features"
    axes.set_title(f"loss of {rows:,} {about.split} rows: {float(found['base']):.3g}; {which}")
    axes.legend(loc="lower right")
    return figure
