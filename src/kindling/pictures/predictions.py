"""What a regression predicts, against what is true, and how far off it is."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from kindling.data.tasks import Regression
from kindling.figure import Figure, plain
from kindling.palette import BLACK, BLUE, GREY
from kindling.pictures import columns
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen

SAYS = (
    "Above, each test row by what is true and what the model says: on the line it is right. Below, what is left over: "
    "a cloud without shape around zero means that nothing more can be learned from these features."
)
MOST_ROWS = 2_000  # that are drawn
MOST_OUTPUTS = 4


def measure(seen: Seen) -> Found | None:
    """Of more outputs than can be shown, those with the lowest R²; the scores are those of all rows."""
    if not isinstance(seen.model.task, Regression) or not len(seen.tested[1]):
        return None
    predicted, true = (part.double().numpy() for part in seen.tested)
    errors, spread = ((predicted - true) ** 2).mean(axis=0), true.var(axis=0)
    shares = errors / np.where(spread > 0, spread, np.inf)  # of the variance that is not explained
    worst = np.sort(np.argsort(-shares, kind="stable")[:MOST_OUTPUTS])
    rows = np.linspace(0, len(true) - 1, min(len(true), MOST_ROWS)).astype(int)
    noise = getattr(seen.data, "noise_std", None)
    return {
        "predicted": predicted[np.ix_(rows, worst)].astype(np.float32),
        "true": true[np.ix_(rows, worst)].astype(np.float32),
        "names": np.array(columns.targets(seen.data))[worst],
        "outputs": np.array(true.shape[1]),
        "rmse": np.sqrt(errors[worst]),
        "spread": np.sqrt(spread[worst]),  # rmse of the mean of these rows
        "noise": np.array(np.nan if noise is None else float(noise)),
    }


def draw(found: Found, about: About) -> Figure:
    """`predicted` and `true` (N, outputs), a column of panels for each output."""
    names = [plain(str(name)) for name in found["names"]]
    figure = Figure(figsize=(max(4.4, min(2.9 * len(names), 9.6)), 5.6), layout="constrained")
    above, below = figure.subplots(2, len(names), squeeze=False, height_ratios=[1.0, 0.62])
    for place, name in enumerate(names):
        true, predicted = found["true"][:, place], found["predicted"][:, place]
        look: dict[str, Any] = {
            "s": 26 if len(true) < 50 else 12,
            "alpha": 1 if len(true) < 50 else 0.6,
            "linewidths": 0,
        }
        above[place].scatter(true, predicted, color=BLUE, **look)
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        above[place].plot(ends, ends, color=BLACK, linewidth=1, label="prediction = truth")
        above[place].set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        above[place].set_title(scores(found, place), fontsize=8)
        residuals(below[place], predicted, predicted - true, float(found["rmse"][place]), look)
        below[place].set(xlabel=f"predicted {name}", ylabel="prediction - truth")
        for axes in (above[place], below[place]):
            axes.locator_params(nbins=5 if len(names) < 3 else 3)
    above[0].legend(loc="upper left")
    below[0].legend(loc="best", fontsize=7)
    if int(found["outputs"]) > len(names):
        figure.suptitle(f"the {len(names)} of {int(found['outputs'])} outputs that are predicted worst")
    return figure


def scores(found: Found, place: int) -> str:
    rmse, spread, noise = float(found["rmse"][place]), float(found["spread"][place]), float(found["noise"])
    explained = f"R² {1 - (rmse / spread) ** 2:.4g}, " if spread > 0 else ""
    floor = f"noise {noise:.3g}, " if np.isfinite(noise) else ""
    return f"{explained}rmse {rmse:.3g}\n{floor}mean alone {spread:.3g}"


def residuals(axes: Axes, predicted: np.ndarray, errors: np.ndarray, rmse: float, look: dict[str, Any]) -> None:
    """With a band of one rmse, and an axis that does not blow up what is only rounding."""
    axes.axhspan(-rmse, rmse, color=GREY, alpha=0.2, linewidth=0, label="± rmse")
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.scatter(predicted, errors, color=BLUE, **look)
    least = 1e-5 * max(np.abs(predicted).max(), 1e-30)
    if np.abs(errors).max() < least:
        axes.set_ylim(-least, least)
        axes.set_title("nothing but rounding", fontsize=8)
