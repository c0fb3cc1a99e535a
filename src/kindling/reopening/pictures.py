"""Pictures of an opened run, for a notebook."""

from typing import TYPE_CHECKING

from torch import nn

from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Binary, Multiclass
from kindling.errors import UserError
from kindling.figure import Figure, style
from kindling.models.base import SupervisedModule
from kindling.models.predictor import probabilities
from kindling.pictures import confusion as matrix
from kindling.pictures import first_layer
from kindling.pictures.about import About
from kindling.pictures.album import PICTURES, drawn, learning_curves, read
from kindling.pictures.seen import Seen, predict

if TYPE_CHECKING:
    from kindling.reopening.run import Run


def confusion(run: "Run", split: SplitName) -> Figure:
    """Raises:
    UserError: where what the model predicts has no classes.
    """
    task = getattr(run.model, "task", None)
    if not isinstance(task, Binary | Multiclass):
        what = f"a {task.name}" if task else run.cfg.model._target_
        raise UserError(f"{run.path}: {what} has no classes to confuse; see predictions()")
    predictions, y = predict(run.model, run.datamodule.batches(split))
    predicted = probabilities(task, predictions).argmax(dim=1)
    return drawn(matrix, matrix.counted(predicted, y, task.classes, split), About.of(run.folder))


def picture(run: "Run", name: str) -> Figure:
    """One of those that a run leaves, measured anew on the data.

    Raises:
        UserError: where there is no such picture of this model and these data.
    """
    found = PICTURES[name].measure(Seen(run.model, run.datamodule)) if is_own(run) else None
    if found is None:
        model, data = (type(part).__name__ for part in (run.model, run.described))
        raise UserError(f"{run.path}: there is no picture {name} of {model} on {data}")
    return drawn(PICTURES[name], found, About.of(run.folder))


def is_own(run: "Run") -> bool:
    return isinstance(run.model, SupervisedModule) and isinstance(run.described, SupervisedDataModule)


def curves(run: "Run") -> Figure:
    """Raises:
    UserError: where nothing was logged while it learned.
    """
    found = read(run.folder / "figures").get("learning_curves", {})
    figure = learning_curves(run.metrics, found, About.of(run.folder))
    if figure is None:
        raise UserError(f"{run.path}: has no learning curves, since nothing was logged while it learned")
    return figure


def weights(run: "Run") -> Figure:
    """Those of the first layer: over images a unit as an image; of a linear regression beside least squares, where the
    run has measured that; else of the first linear layer a row a unit, a column an input.

    Raises:
        UserError: where there is no such layer.
    """
    if is_own(run) and (found := first_layer.measure(Seen(run.model, run.described))):
        return drawn(first_layer, found, About.of(run.folder))
    if run.path.is_dir() and (kept := read(run.folder / "figures").get("weights")):
        return drawn(PICTURES["weights"], kept, About.of(run.folder))
    layer = next((part for part in run.model.modules() if isinstance(part, nn.Linear)), None)
    if layer is None:
        raise UserError(f"{run.path}: {type(run.model).__name__} has no linear layer, whose weights could be shown")
    with style():
        figure = matrix_of(layer)
        figure.caption(About.of(run.folder).caption)
    return figure


def matrix_of(layer: nn.Linear) -> Figure:
    """Blue below zero and red above."""
    values = layer.weight.detach().float().numpy()
    limit = float(abs(values).max())
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set(xlabel="input", ylabel="unit of the first linear layer")
    figure.colorbar(image, label="weight")
    return figure
