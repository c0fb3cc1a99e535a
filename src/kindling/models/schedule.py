"""Schedulers that are as long as the run."""

from functools import partial
from typing import Any

import lightning as L
from torch.optim.lr_scheduler import LRScheduler

from kindling.config.signatures import length_argument
from kindling.errors import UserError


class Schedule(partial[LRScheduler]):
    """The scheduler of a config, to be called with an optimizer.

    One that wants the number of optimizer steps of the run (`total_steps` and the like) is told it by the trainer of
    `model`, unless it is given; then it counts steps.
    """

    model: L.LightningModule | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> LRScheduler:
        length = length_argument(self)
        if length and length not in kwargs and self.model is not None:
            kwargs[length] = number_of_steps(self.model.trainer)
        scheduler = super().__call__(*args, **kwargs)
        scheduler.counts_steps = length is not None  # type: ignore[attr-defined]
        return scheduler


def number_of_steps(trainer: L.Trainer) -> int:
    """Of the optimizer, in the whole run.

    Raises:
        UserError: where nothing says how long it is.
    """
    steps = trainer.estimated_stepping_batches
    if not 0 < steps < float("inf"):
        raise UserError("the scheduler is as long as the run: trainer.max_epochs or max_steps must say how long")
    return int(steps)


def count_steps_where_told(trainer: L.Trainer) -> None:
    """A scheduler that was told how many steps there are steps with each of them, whatever its module says."""
    for config in trainer.lr_scheduler_configs:
        if getattr(config.scheduler, "counts_steps", False):
            config.interval = "step"
