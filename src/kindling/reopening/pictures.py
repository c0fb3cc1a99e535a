"""Pictures of an opened run, for a notebook."""

from typing import TYPE_CHECKING

from kindling.data.splits import SplitName
from kindling.data.tasks import Binary, Multiclass
from kindling.errors import UserError
from kindling.figure import Figure, style
from kindling.models.predictor import probabilities
from kindling.pictures import confusion as matrix
from kindling.pictures.about import About
from kindling.pictures.seen import predict

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
    about = About.of(run.folder)
    with style():
        figure = matrix.draw(matrix.counted(predicted, y, task.classes, split), about)
        figure.caption(about.caption)
    return figure
