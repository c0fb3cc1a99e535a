"""What a regression predicts, against what is true."""

from kindling.data.tasks import Regression
from kindling.figure import BLACK, Figure
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen


def measure(seen: Seen) -> Found | None:
    if not isinstance(seen.model.task, Regression):
        return None
    predictions, y = seen.tested
    return {"predicted": predictions.numpy(), "true": y.numpy()}


def draw(found: Found, about: About) -> Figure:
    predicted, true = found["predicted"], found["true"]
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    for column in range(true.shape[1]):
        label = f"output {column}" if true.shape[1] > 1 else None
        axes.scatter(true[:, column], predicted[:, column], s=12, alpha=0.7, label=label)
    axes.plot([true.min(), true.max()], [true.min(), true.max()], color=BLACK, linewidth=1)
    axes.set(xlabel="true value", ylabel="prediction")
    if true.shape[1] > 1:
        axes.legend()
    return figure
