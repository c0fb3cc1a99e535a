"""Test-time augmentation: what a model predicts for an image and for changed copies of it, on average."""

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kindling.data.augmented import AugmentedDataModule
from kindling.errors import UserError
from kindling.models.base import SupervisedModule

if TYPE_CHECKING:
    from kindling.reopening.run import Run


def averaged(run: "Run", passes: int) -> Any:
    """A copy of the run's model that predicts the mean of 1 + `passes` predictions: of the rows as they are, and as the
    augmentation of the run changes them, but for what changes y too.

    Raises:
        UserError: where nothing says how.
    """
    model, data = run.model, run.described
    augmentation = data.augmentation.without_relabelling() if getattr(data, "augmentation", None) else None
    if passes < 1:
        raise UserError(f"tta={passes}: should be a whole number from 1, of augmented copies")
    if augmentation is None or not augmentation.transforms:
        raise UserError(f"tta={passes}: {run.path} was trained without an augmentation that changes single images")
    if not isinstance(model, SupervisedModule) or not isinstance(data, AugmentedDataModule):
        names = f"{type(model).__name__} on {type(data).__name__}"
        raise UserError(f"tta={passes}: is for a SupervisedModule on an AugmentedDataModule, not for {names}")
    mean_model: Any = copy.deepcopy(model)
    output_of, task = mean_model.forward, mean_model.task

    def forward(x: Tensor) -> Tensor:
        y = torch.zeros(len(x), device=x.device)
        changed = (data.augment(x, y, augmentation)[0] for _ in range(passes))
        predictions = [task.prediction(output_of(rows)) for rows in (x, *changed)]
        return task.output(torch.stack(predictions).mean(dim=0))

    mean_model.forward = forward
    return mean_model
