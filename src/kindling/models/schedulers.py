"""Learning rates with a warm-up, and schedules one after another: each step has a factor of the lr of each group."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from kindling.config.signatures import length_argument
from kindling.errors import UserError, did_you_mean, some
from kindling.models.schedule import in_proportion

Share = Annotated[float, Field(ge=0, le=1)]
Length = NonNegativeInt | Share  # optimizer steps, or a share of those of the run


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup: Length = 0.1, end_factor: Share = 0.0) -> LambdaLR:
    """From 0 in a line to the lr, and along half a cosine (Loshchilov & Hutter, 2017) to `end_factor` of it.

    Raises:
        UserError: where the warm-up is longer than the run.
    """
    return _warmed_up(optimizer, total_steps, warmup, end_factor, lambda left: (1 - math.cos(math.pi * left)) / 2)


def warmup_linear(optimizer: Optimizer, total_steps: int, warmup: Length = 0.1, end_factor: Share = 0.0) -> LambdaLR:
    """From 0 in a line to the lr, and in a line to `end_factor` of it.

    Raises:
        UserError: where the warm-up is longer than the run.
    """
    return _warmed_up(optimizer, total_steps, warmup, end_factor, lambda left: left)


def _warmed_up(
    optimizer: Optimizer, total_steps: int, warmup: Length, end_factor: float, decay: Callable[[float], float]
) -> LambdaLR:
    """With `decay` from 1, of all that is left after the warm-up, to 0."""
    rising = _in_steps("warmup", warmup, total_steps)
    falling = max(total_steps - rising, 1)

    def factor(step: int) -> float:
        if step < rising:
            return step / rising
        return end_factor + (1 - end_factor) * decay(max(total_steps - step, 0) / falling)

    return LambdaLR(optimizer, factor)


def sequence(
    optimizer: Optimizer,
    total_steps: int,
    schedulers: Mapping[str, Callable[..., LRScheduler] | None],
    lengths: Mapping[str, Length | None],
) -> LambdaLR:
    """One scheduler after another, each as if the run began and ended with its part.

    Each has an optimizer of its own to write to. In torch's SequentialLR they share one, where OneCycleLR and CyclicLR
    overwrite what the others begin with, and those that have schedulers themselves do not begin at all.

    Raises:
        UserError: where the lengths are not those of the schedulers, or longer than the run.
    """
    for name in lengths.keys() - schedulers.keys():
        hint = did_you_mean(name, list(schedulers))
        raise UserError(f"scheduler.lengths.{name}: there is no such scheduler{hint}")
    makers = {name: make for name, make in schedulers.items() if make is not None}
    steps = _lengths_in_steps({name: lengths.get(name, "missing") for name in makers}, total_steps)
    rates = [group["lr"] for group in optimizer.param_groups]
    parts = {name: _alone(name, make, optimizer, steps[name]) for name, make in makers.items() if steps[name]}
    coming = _rates([(parts[name], steps[name]) for name in parts])
    known: list[list[float]] = []  # the rates of all groups by step, as far as they have been asked for

    def factor(step: int, group: int) -> float:
        while len(known) <= step:
            known.append(next(coming))
        return known[step][group] / rates[group] if rates[group] else 0.0

    def of_group(group: int) -> Callable[[int], float]:
        return lambda step: factor(step, group)  # a function, which is no part of the scheduler's state

    return LambdaLR(optimizer, [of_group(group) for group in range(len(rates))])


def _alone(name: str, make: Callable[..., LRScheduler], optimizer: Optimizer, num_steps: int) -> LRScheduler:
    groups = [{"params": [torch.zeros(1)], "lr": float(group["lr"])} for group in optimizer.param_groups]
    stand_in: Any = SGD(groups, lr=float(optimizer.defaults["lr"]))
    stand_in._opt_called = True  # it has no steps to take
    length = length_argument(make)
    try:
        told = {length: num_steps} if length else {}
        scheduler = make(stand_in, **told, **in_proportion(make, stand_in))
    except (TypeError, ValueError) as error:
        raise UserError(f"scheduler.schedulers.{name}: {' '.join(str(error).split())}") from None
    if isinstance(scheduler, ReduceLROnPlateau):
        raise UserError(
            f"scheduler.schedulers.{name}: waits for validation, and can only be the one scheduler of a run"
        )
    return scheduler


def _rates(parts: list[tuple[LRScheduler, int]]) -> Iterator[list[float]]:
    """Of all groups, step by step; the last part goes on."""
    for scheduler, num_steps in [*parts[:-1], (parts[-1][0], None)]:
        for _ in islice(iter(int, 1), num_steps):
            yield [float(group["lr"]) for group in scheduler.optimizer.param_groups]
            scheduler.step()


def _lengths_in_steps(lengths: Mapping[str, Any], total_steps: int) -> dict[str, int]:
    open_ones = [name for name, length in lengths.items() if length is None]
    missing = [name for name, length in lengths.items() if length == "missing"]
    if missing:
        raise UserError(f"scheduler.lengths.{missing[0]}: is needed, a share of the run, or a whole number of steps")
    if len(open_ones) != 1:
        names = some(open_ones) if open_ones else "none"
        raise UserError(
            f"scheduler.lengths: one of them is to be null, and takes what is left of the run; here {names}"
        )
    steps = {
        name: _in_steps(f"lengths.{name}", length, total_steps)
        for name, length in lengths.items()
        if length is not None
    }
    left = total_steps - sum(steps.values())
    if left < 0:
        raise UserError(
            f"scheduler.lengths: are {sum(steps.values()):,} steps together, and the run has {total_steps:,}"
        )
    return {name: steps.get(name, left) for name in lengths}


def _in_steps(key: str, length: Length, total_steps: int) -> int:
    steps = length if isinstance(length, int) else round(length * total_steps)
    if steps > total_steps:
        raise UserError(
            f"scheduler.{key}={length}: is longer than the run, which has {total_steps:,} steps; "
            "a number from 0.0 to 1.0 is a share of it"
        )
    return steps
