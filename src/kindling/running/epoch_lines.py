"""The course of a run in a few short lines, on the screen and in train.log."""

import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import lightning as L

from kindling.lightning_internals import fresh, latest
from kindling.running.callbacks import Late
from kindling.running.length import num_epochs
from kindling.text import columns, fitting

log = logging.getLogger(__name__)

MOST_LINES = 20


class Told(NamedTuple):
    """An epoch, what was measured, and of that what decides, the less the better."""

    epoch: int
    values: dict[str, float]
    cost: float | None


class EpochLines(Late):
    """A line for an epoch: for each of a short run, for every n-th of a long one, for the last and for the best.

    Args:
        score: that decides, by its `mode` min or max; None: the last is the best.
    """

    def __init__(self, score: str | None, mode: str) -> None:
        self.score = score
        self.sign = -1 if mode == "max" else 1
        self.validated: set[str] = set()  # what the validation of this epoch has measured
        self.best: Told | None = None
        self.last: Told | None = None
        self.told: Told | None = None  # the last one that was

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best and list(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"] and Told(*state_dict["best"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.validated = set(fresh(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        new, self.validated = self.validated | fresh(trainer).keys(), set()
        values = {name: value for name, value in latest(trainer).items() if name in new}
        if not values or not trainer.is_global_zero:
            return
        names = in_order(values, self.score, trainer.progress_bar_metrics)
        cost = self.sign * values[self.score] if self.score in values else None
        self.last = Told(trainer.current_epoch, {name: values[name] for name in names}, cost)
        if cost is not None and (self.best is None or self.best.cost is None or cost < self.best.cost):
            self.best = self.last
        if is_due(trainer.current_epoch, num_epochs(trainer)):
            self._tell(self.last)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.last and self.last != self.told:
            self._tell(self.last)
        if self.last and self.best and self.best.epoch != self.last.epoch:
            self._tell(self.best, "best: ")

    def _tell(self, epoch: "Told", before: str = "") -> None:
        log.info(before + line_of(epoch, columns() - len(before)))
        self.told = epoch


def is_due(epoch: int, length: float | None) -> bool:
    """Whether an epoch gets a line: at most about MOST_LINES do, the first among them."""
    if length is None:  # ever fewer: half as many once there are as many as that
        every = 2 ** max(0, int(math.log2((epoch + 1) / (MOST_LINES / 2))))
    else:
        every = math.ceil(length / MOST_LINES)
    return epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == length


def in_order(values: dict[str, float], score: str | None, on_bar: dict[str, Any]) -> Iterator[str]:
    """The score that decides and the same of the training, then what the model wants to be seen, then the rest."""
    of_training = (score or "").replace("val", "train", 1)
    first = [name for name in (score, of_training, *on_bar) if name in values]
    yield from dict.fromkeys([*first, *sorted(values.keys() - {"lr"})])


def line_of(told: Told, width: int) -> str:
    """As many of the values as fit."""
    values = [f"{name} {value:<6.4g}" for name, value in told.values.items()]
    return "  ".join(filter(None, fitting([f"epoch {told.epoch}", *values], width + 2))).rstrip()
