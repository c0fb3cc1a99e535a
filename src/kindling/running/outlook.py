"""What is ahead of a run, in words: the course of its learning rate, and how often an epoch goes over the rows."""

import copy
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from kindling.data.base import InMemoryDataModule
from kindling.lightning_internals import loaders
from kindling.models.base import SupervisedModule
from kindling.running.callbacks import Late
from kindling.running.facts import in_lines

log = logging.getLogger(__name__)

MOST_STEPS = 10_000  # of a schedule that are gone through one by one, in a tenth of a second
MOST_TURNS = 4


class Outlook(Late):
    """Says it when training starts: only then are there an optimizer and a schedule, and is its length known.

    Args:
        name: of the schedule; None: that of its class.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        told = "; ".join(filter(None, [rates(trainer, pl_module, self.name), *sizes(trainer), passes(trainer)]))
        if told:
            log.info(in_lines(told))


def passes(trainer: L.Trainer) -> str | None:
    """Over the training rows in an epoch, where that is not one."""
    datamodule, of_trainer = trainer.datamodule, loaders(trainer)  # type: ignore[attr-defined]
    number = float(datamodule.num_repeats) if isinstance(datamodule, InMemoryDataModule) else 1.0
    try:
        (loader,) = of_trainer
        number *= min(1.0, trainer.num_training_batches / len(loader))
    except (TypeError, ValueError):  # several loaders, or one without a length
        return None
    return None if number == 1 else f"1 epoch = {number:.3g} passes"


def rates(trainer: L.Trainer, model: L.LightningModule, name: str | None = None) -> str:
    """From now on, of each optimizer: `lr 0.002 to 0.05 to 0, one_cycle`. Nothing where none has a learning rate."""
    configs = {id(config.scheduler.optimizer): config for config in trainer.lr_scheduler_configs}
    told = []
    for optimizer in trainer.optimizers:
        config = configs.get(id(optimizer))
        steps = list(ahead(config, steps_left(trainer, model, config))) if config else []
        groups = list(zip(*(steps or [current(optimizer)]), strict=True))
        if not groups:
            continue
        text = f"lr {of_groups(groups)}"
        if config and isinstance(config.scheduler, ReduceLROnPlateau):
            text += f", times {config.scheduler.factor:g} after more than {config.scheduler.patience} "
            text += f"{config.interval}s without a better {config.monitor}"
        told.append(f"{text}, {name or type(config.scheduler).__name__}" if config else text)
    return "; ".join(dict.fromkeys(told))


def sizes(trainer: L.Trainer) -> Iterator[str]:
    """Of the groups of parameters that have a name."""
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            if "name" in group:
                yield f"{group['name']}: {sum(parameter.numel() for parameter in group['params']):,} parameters"


def current(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]


def steps_left(trainer: L.Trainer, model: L.LightningModule, config: LRSchedulerConfig) -> int:
    """That the schedule has rates for. One where it is up to the model, or to the scores, when it steps."""
    supervised = isinstance(model, SupervisedModule)
    if isinstance(config.scheduler, ReduceLROnPlateau) or not (supervised or model.automatic_optimization):
        return 1
    length = model.schedule_length if isinstance(model, SupervisedModule) else None
    steps = (length or trainer.estimated_stepping_batches) - trainer.global_step
    if config.interval == "epoch":
        most = trainer.max_epochs
        epochs = (math.inf if most is None or most < 0 else most) - trainer.current_epoch
        batches = trainer.num_training_batches / trainer.accumulate_grad_batches
        steps = epochs if supervised and not model.automatic_optimization else min(epochs, steps / batches)
    return max(1, math.ceil(steps / config.frequency)) if math.isfinite(steps) else 1


def ahead(config: LRSchedulerConfig, num_steps: int) -> Iterator[list[float]]:
    """The rates of all groups at each of the steps, found on a copy; at the first alone where that cannot be had."""
    yield current(config.scheduler.optimizer)
    try:
        scheduler = without_weights(config.scheduler)
        start = scheduler.last_epoch
        places: Sequence[int] = range(num_steps)
        if num_steps > MOST_STEPS:
            if not (hasattr(scheduler, "_get_closed_form_lr") or isinstance(scheduler, OneCycleLR | LambdaLR)):
                return  # each rate follows from the one before
            places = [round(i * (num_steps - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no optimizer steps in between
            for before, place in pairwise(places):
                scheduler.step(*([] if place == before + 1 else [start + place]))
                yield current(scheduler.optimizer)
    except Exception:  # whatever a user's scheduler cannot do by itself
        return


def without_weights(scheduler: Any) -> Any:
    """A copy of scheduler and optimizer that shares what is large."""
    optimizer = scheduler.optimizer
    shared = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return copy.deepcopy(scheduler, {id(optimizer.state): {}, **{id(part): part for part in shared}})


def of_groups(groups: list[tuple[float, ...]]) -> str:
    told = list(dict.fromkeys(course(rates) for rates in groups))
    if len(told) <= 3:
        return " and ".join(told)
    by_size = sorted(groups, key=max)
    return f"{course(by_size[0])} ... {course(by_size[-1])} ({len(groups)} groups)"


def course(rates: Sequence[float]) -> str:
    """Where it begins, turns and ends."""
    turns, last, rising = [rates[0]], rates[0], None
    for rate in rates[1:]:
        if math.isclose(rate, last, rel_tol=1e-9):
            continue
        if rising not in (None, rate > last):
            turns.append(last)
        last, rising = rate, rate > last
    turns += [last] * (rising is not None)
    highest = max(map(abs, rates))
    if len(turns) > MOST_TURNS:
        return f"between {written(min(rates), highest)} and {written(highest, highest)}"
    return " to ".join(written(rate, highest) for rate in turns)


def written(rate: float, highest: float) -> str:
    """What is less than a hundred thousandth of the highest is nothing."""
    return f"{rate:.3g}" if abs(rate) >= 1e-5 * highest else "0"
