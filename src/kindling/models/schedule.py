"""Schedulers that are as long as the run, and know the learning rate of each group of parameters."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning as L
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from kindling.config.signatures import given, length_argument
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
        optimizer = args[0] if args else kwargs["optimizer"]
        scheduler: Any = super().__call__(*args, **{**in_proportion(self, optimizer), **kwargs})
        scheduler.counts_steps = length is not None
        if length:
            scheduler.run_length = kwargs[length]  # which that of a checkpoint takes the place of
            remember_start(scheduler)
        return scheduler


def in_proportion(make: Callable[..., LRScheduler], optimizer: Optimizer) -> dict[str, Any]:
    """The rates that `make` gives all groups alike, for groups with a learning rate of their own: as many times as
    theirs is that of the optimizer.

    Raises:
        UserError: where that is 0.
    """
    _, keywords = given(make)
    rates, base = [float(group["lr"]) for group in optimizer.param_groups], float(optimizer.defaults.get("lr", 1))
    names = [name for name in ("max_lr", "base_lr") if isinstance(keywords.get(name), int | float)]
    if not names or set(rates) == {base}:
        return {}
    if base == 0:
        raise UserError(f"scheduler.{names[0]}: is for an optimizer.lr that is not 0, where groups have others")
    return {name: [keywords[name] * rate / base for rate in rates] for name in names}


def number_of_steps(trainer: L.Trainer) -> int:
    """Of the optimizer, in the whole run.

    Raises:
        UserError: where nothing says how long it is.
    """
    steps = trainer.estimated_stepping_batches
    if not 0 < steps < float("inf"):
        raise UserError("the scheduler is as long as the run: trainer.max_epochs or max_steps must say how long")
    return int(steps)


def keep_in_step(trainer: L.Trainer) -> None:
    """A scheduler that was told how many steps there are steps with each of them, whatever its module says, and where
    the run that goes on has another length, it is where one of that length would be."""
    for config in trainer.lr_scheduler_configs:
        if not getattr(config.scheduler, "counts_steps", False):
            continue
        config.interval = "step"
        begun = start_of(config.scheduler)
        if begun and begun["scheduler"].get("run_length") != getattr(config.scheduler, "run_length", None):
            start_again(config.scheduler)


def remember_start(scheduler: Any) -> None:
    """What it and its optimizer begin with. Not in the scheduler, whose attributes are its state in a checkpoint."""
    groups = [
        {key: value for key, value in group.items() if key not in ("params", "fused")}
        for group in scheduler.optimizer.param_groups
    ]
    scheduler.optimizer.start = copy.deepcopy({"scheduler": scheduler.state_dict(), "groups": groups})


def start_of(scheduler: Any) -> Any:
    return getattr(scheduler.optimizer, "start", None)


def start_again(scheduler: Any) -> None:
    """From its own start, which knows how long the run is to be now, up to as many steps as it has done."""
    start, num_steps = copy.deepcopy(start_of(scheduler)), scheduler.last_epoch
    for group, settings in zip(scheduler.optimizer.param_groups, start["groups"], strict=True):
        group.update(settings)
    scheduler.load_state_dict(start["scheduler"])
    scheduler.optimizer._opt_called = True  # in the steps before
    for _ in range(num_steps):
        scheduler.step()
