"""The course of a run in a few short lines, on the screen and in train.log."""

import logging
import math
from collections.abc import Iterator
from typing import Any

import lightning as L

from kindling.lightning_internals import fresh, latest
from kindling.running.callbacks import Late
from kindling.running.length import num_epochs
from kindling.text import columns, fitting

log = logging.getLogger(__name__)

MOST_LINES = 20


class EpochLines(Late):
    """A line for an epoch: for each of a short run, for every n-th of a long one, for the last and for the best.

    Args:
        score: that decides, by its `mode` min or max; None: the last is the best.
    """

    def __init__(self, score: str | None, mode: str) -> None:
        self.score = score
        self.sign = -1 if mode == "max" else 1
        self.validated: set[str] = set()  # what the validation of this epoch has measured
        self.best: tuple[float, str] | None = None  # the cost and its line
        self.told = ""  # the last line that was
        self.line = ""  # of the last epoch

    def state_dict(self) -> dict[str, Any]:
        return {"best": list(self.best) if self.best else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = tuple(state_dict["best"]) if state_dict["best"] else None

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.validated = set(fresh(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        new, self.validated = self.validated | fresh(trainer).keys(), set()
        if not trainer.is_global_zero:
            return
        values = {name: value for name, value in latest(trainer).items() if name in new}
        cost = self.sign * values[self.score] if self.score in values else None
        is_best = cost is not None and (self.best is None or cost < self.best[0])
        due = is_due(trainer.current_epoch, num_epochs(trainer))
        if values:
            names = [str(name) for name in in_order(values, self.score, trainer.progress_bar_metrics)]
            self.line = line_of(trainer.current_epoch, {name: values[name] for name in names})
        if cost is not None and is_best:
            self.best = (cost, self.line)
        if due and values:
            self._tell(self.line)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.line and self.line != self.told:
            self._tell(self.line)
        if self.best and self.best[1] != self.line:
            self._tell(f"best: {self.best[1]}")

    def _tell(self, line: str) -> None:
        log.info(line)
        self.told = line


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


def line_of(epoch: int, values: dict[str, float]) -> str:
    """As many of the values as fit the terminal."""
    texts = fitting([f"epoch {epoch}", *(f"{name} {value:<6.4g}" for name, value in values.items())], columns() + 2)
    return "  ".join(text for text in texts if text).rstrip()
