"""The course of a run in a short table, on the screen and in train.log."""

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
CELL = 10  # letters of a value: -1.234e-05


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
        self.columns: list[str] = []  # below which lines stand

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
            log.info(in_words(self.best, columns()))

    def _tell(self, epoch: "Told") -> None:
        """Below the names of its values, which are said anew where others are measured than before."""
        if not epoch.values.keys() <= set(self.columns):
            self.columns = list(epoch.values)
            log.info(row("", {name: name for name in self.columns}, columns()))
        values = {name: f"{epoch.values[name]:.4g}" if name in epoch.values else "" for name in self.columns}
        log.info(row(f"epoch {epoch.epoch}", values, columns()))
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


def row(first: str, cells: dict[str, str], width: int) -> str:
    """As many of the cells as fit, each as wide as its name at least."""
    texts = [text.rjust(max(len(name), CELL)) for name, text in cells.items()]
    return "  ".join(filter(None, fitting([first.ljust(9), *texts], width + 2))).rstrip()


def in_words(told: Told, width: int) -> str:
    """The best epoch, with as many of its values as fit."""
    values = [f"{name} {value:.4g}" for name, value in told.values.items()]
    return "  ".join(filter(None, fitting([f"best: epoch {told.epoch}", *values], width + 2)))
