"""What a model is to beat: the scores of the best answer that is the same for all rows."""

import torch
from torch import Tensor

from kindling.data.base import InMemoryDataModule
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression, Task
from kindling.pictures import columns
from kindling.pictures.seen import Seen

MOST_ROWS = 10_000


def unit(data: SupervisedDataModule) -> str:
    """Of what a regression predicts; nothing where it is unknown, or there are several."""
    names = columns.targets(data) if isinstance(data.task, Regression) else []
    return names[0].partition(" (")[2].removesuffix(")") if len(names) == 1 else ""


@torch.no_grad()
def chance(seen: Seen) -> dict[str, float]:
    """What validation says of the mean target of training, or of the shares of its classes: nothing of rows on disk."""
    model, data = seen.model, seen.data
    if not isinstance(data, InMemoryDataModule) or not len(data.splits["val"]):
        return {}
    y = data.splits["val"].y[:MOST_ROWS]
    answer = constant(model.task, data.splits["train"].y.to(y.device))
    if answer is None:
        return {}
    device = next(model.parameters()).device
    y, weight = y.to(device), data.splits["val"].weight
    weights = () if weight is None else (weight[:MOST_ROWS].to(device),)
    predictions = answer.to(device).expand(len(y), *answer.shape).contiguous()
    metrics = model.val_metrics.clone()
    metrics.reset()
    output = model.task.output(predictions)
    if output.shape[1:] != (model.task.out_features,):
        return {}
    loss = model.loss_of(output, y, *weights)
    metrics.update(value=loss, weight=model.weight_of(y, *weights), preds=predictions, target=model.task.truth(y))
    return {name: float(value) for name, value in metrics.compute().items() if torch.isfinite(value).all()}


def constant(task: Task, y: Tensor) -> Tensor | None:
    """A prediction, without the dimension of rows; None of a task that is the user's own."""
    if isinstance(task, Regression | Multilabel):
        return y.to(torch.get_default_dtype()).mean(dim=0)
    if y.is_floating_point():
        return None
    if isinstance(task, Multiclass):
        return y.bincount(minlength=task.out_features) / len(y)
    return y.float().mean() if isinstance(task, Binary) else None
