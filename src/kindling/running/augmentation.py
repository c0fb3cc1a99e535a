"""Whether the augmentation of a run goes together with its data and its loss, tried before it trains."""

from typing import Any

import lightning as L
import torch

from kindling.data.augmented import AugmentedDataModule
from kindling.data.base import InMemoryDataModule
from kindling.data.on_disk import OnDiskDataModule
from kindling.data.tasks import Binary, Multiclass
from kindling.errors import UserError
from kindling.models.base import SupervisedModule
from kindling.random_state import seeded


def check_augmentation(datamodule: L.LightningDataModule, model: L.LightningModule) -> None:
    """Raises:
    UserError: where rows are no images, or the loss does not take what relabelling makes of y.
    """
    augmentation = getattr(datamodule, "augmentation", None)
    if not isinstance(datamodule, AugmentedDataModule) or augmentation is None:
        return
    if isinstance(datamodule, InMemoryDataModule):
        train = datamodule.splits["train"]
        with seeded(0):
            datamodule.augmented(train[torch.arange(min(2, len(train)))])
    elif isinstance(datamodule, OnDiskDataModule) and len(datamodule.row_shape) != 3:
        datamodule.augment(torch.zeros(1, *datamodule.row_shape), torch.zeros(1))  # says why not
    if augmentation.relabels and isinstance(model, SupervisedModule):
        check_loss(augmentation.relabels[0], model)


def check_loss(name: str, model: SupervisedModule) -> None:
    task, precision = model.task, next(model.parameters()).dtype
    if not isinstance(task, Binary | Multiclass):
        return
    num_classes = len(task.classes)
    shape = (2, num_classes) if isinstance(task, Multiclass) else (2,)
    y = torch.full(shape, 1 / num_classes, dtype=precision)
    output: Any = torch.zeros(2, task.out_features, dtype=precision)
    try:
        model.loss(output, task.target(y))
    except Exception as error:  # whatever a loss says of a target that it does not know
        raise UserError(
            f"augmentation.{name}: makes probabilities of classes, which {type(model.loss).__name__} does not take; "
            "cross_entropy, brier and bce_with_logits do"
        ) from error
