"""What a neuron computes, on three flats. python docs/course/code/neuron.py [--write]"""

import numpy as np
from lesson import leave

FLATS = np.loadtxt("src/kindling/data/housing.csv", delimiter=",", skiprows=1)
X, PRICE = FLATS[:, :3], FLATS[:, 3]  # area, rooms, distance; price
TRIED = [(0.1, 0.3, 3), (0.1, 0.3, 4), (0.1, 0.2, 2)]


def predict(w: np.ndarray, b: float) -> np.ndarray:
    return X @ w + b  # for each flat: area * w[0] + rooms * w[1] + distance * w[2] + b


def rows(*lines: str) -> str:
    """A table: of its first line are the names."""
    return "\n".join(f"| {line} |" for line in (lines[0], " | ".join(["---"] * len(lines[0].split(" | "))), *lines[1:]))


def by_hand(w: np.ndarray) -> str:
    lines = ["flat | area | rooms | distance | the neuron says | price"]
    for place, x in enumerate(X):
        parts = [f"{value:g} * {weight:g} = {value * weight:.1f}" for value, weight in zip(x, w, strict=True)]
        lines.append(f"{place + 1} | {' | '.join(parts)} | {x @ w:.1f} | {PRICE[place]:g}")
    return rows(*lines)


def errors() -> str:
    lines = ["weights, bias 0.5 | it says | away from 6, 7, 8.5 by | mean"]
    for w in TRIED:
        said = predict(np.array(w), 0.5)
        away = abs(said - PRICE)
        texts = (", ".join(f"{value:.1f}" for value in values) for values in (said, away))
        lines.append(f"{w} | {' | '.join(texts)} | {away.mean():.3f}")
    return rows(*lines)


def threshold(w: np.ndarray, limit: float) -> str:
    lines = [f"flat | sum | sum > {limit:g}? | sum - {limit:g} | > 0? | step"]
    for place, total in enumerate(X @ w):
        above = "yes" if total > limit else "no"
        lines.append(f"{place + 1} | {total:.1f} | {above} | {total - limit:+.1f} | {above} | {int(total - limit > 0)}")
    return rows(*lines)


def gradient(w: np.ndarray, b: float) -> tuple[np.ndarray, float]:
    """Of the mean squared error, to the weights and to the bias."""
    error = predict(w, b) - PRICE
    return 2 * (error @ X) / len(X), 2 * error.mean()


def one_step(w: np.ndarray, b: float, lr: float) -> str:
    slopes, slope = gradient(w, b)
    lines = ["of | weight | gradient | new weight"]
    for name, old, down in zip(("area", "rooms", "distance", "bias"), [*w, b], [*slopes, slope], strict=True):
        lines.append(f"{name} | {old:g} | {down:.3f} | {old:g} - {lr:g} * ({down:.3f}) = {old - lr * down:.4f}")
    return rows(*lines)


def descend(w: np.ndarray, b: float, lr: float) -> str:
    lines = ["steps | area | rooms | distance | bias | it says | mean error"]
    for step in range(100_001):
        if step in (0, 1, 10, 100, 1_000, 10_000, 100_000):
            said = predict(w, b)
            weights = " | ".join(f"{value:.3f}" for value in [*w, b])
            texts = ", ".join(f"{value:.2f}" for value in said)
            lines.append(f"{step:,} | {weights} | {texts} | {abs(said - PRICE).mean():.3f}")
        slopes, slope = gradient(w, b)
        w, b = w - lr * slopes, b - lr * slope
    return rows(*lines)


def perfect() -> str:
    """Every one of these fits the three flats; they differ about a fourth."""
    lines = ["area | rooms | distance | bias | it says | a flat of 34, 3 rooms, 0.4"]
    for t in (0, 0.1, 0.2, 0.5, 1, 2):
        w, b = np.array([t, 1.5 - 3 * t, 5 - 5 * t]), 0.0 - 21.5 * t
        said = ", ".join(f"{value:g}" for value in predict(w, b).round(9))
        new = np.array([34, 3, 0.4]) @ w + b
        lines.append(f"{t:g} | {w[1]:g} | {w[2]:g} | {b:g} | {said} | {new:.2f}")
    return rows(*lines)


def draw(w: np.ndarray, b: float) -> bytes:
    """The neuron, with the first flat in it."""
    from kindling.figure import Figure, style
    from kindling.palette import BLUE, GREEN, ORANGE

    with style():
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        axes = figure.subplots()
        for place, name in enumerate(("area", "rooms", "distance")):
            y = 2.1 - 1.1 * place
            axes.annotate("", (3.22, 1), (1.05, y), arrowprops={"arrowstyle": "->", "color": BLUE, "shrinkB": 4})
            axes.plot(0.6, y, "o", ms=52, color="white", mec=BLUE)
            axes.text(0.6, y, f"{name}\n{X[0, place]:g}", ha="center", va="center", fontsize=8)
            axes.text(1.9, y + 0.39 * (1 - y) + 0.12, f"* {w[place]:g}", ha="center", color=BLUE)
        axes.annotate("", (3.6, 1.4), (3.6, 2.2), arrowprops={"arrowstyle": "->", "color": ORANGE})
        axes.text(3.6, 2.3, f"bias + {b:g}", ha="center", color=ORANGE)
        axes.plot(3.6, 1, "o", ms=52, color="white", mec=GREEN)
        axes.text(3.6, 1, "sum", ha="center", va="center")
        axes.annotate("", (5.3, 1), (4.1, 1), arrowprops={"arrowstyle": "->", "color": GREEN})
        axes.text(5.4, 1, f"{predict(w, b)[0]:g}", va="center", fontsize=13)
        axes.text(5.4, 0.62, f"target {PRICE[0]:g}", va="center", fontsize=9)
        axes.set(xlim=(0, 6.4), ylim=(-0.6, 2.7))
        axes.set_axis_off()
    return figure.png()


if __name__ == "__main__":
    first = np.array([0.1, 0.3, 4])
    tables = {
        "by hand": by_hand(first),
        "errors": errors(),
        "threshold": threshold(first, 6),
        "one step": one_step(first, 0.5, 0.0005),
        "descent": descend(first, 0.5, 0.0005),
        "perfect": perfect(),
    }
    leave("02-neuron.md", tables, {"02-neuron": lambda: draw(first, 0.5)}, seeds="nothing drawn at random")
