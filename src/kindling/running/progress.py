"""What is seen of a run in a terminal while it learns."""

import logging
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from lightning.pytorch.callbacks import Timer
from pydantic import NonNegativeFloat
from torch import Tensor
from tqdm import tqdm

from kindling.process import screens
from kindling.running.callbacks import of_kind
from kindling.running.length import share, steps_of_run
from kindling.running.watch import num_samples
from kindling.text import columns, fitting, in_terminal

LEAST_BAR = 4  # columns of a bar that says anything


class ProgressBar(LightningProgressBar):
    """In a terminal one bar for the whole run: optimizer steps, loss, the score that decides, learning rate, samples a
    second and the time left. It is gone when the run ends; the lines of epochs stay.

    Args:
        refresh_rate: times a second; 0: no bar.
    """

    def __init__(self, refresh_rate: NonNegativeFloat = 4.0) -> None:
        super().__init__()
        self.interval = 1 / refresh_rate if refresh_rate else math.inf
        self.score: str | None = None  # that is shown, which `build` knows
        self.is_enabled = in_terminal() and refresh_rate > 0
        self.bar: tqdm[Any] | None = None
        self.loss: Any = None
        self.began, self.began_at, self.samples_before = 0.0, 0.0, 0
        self.drawn = 0.0

    def disable(self) -> None:
        self.is_enabled = False

    def enable(self) -> None:
        self.is_enabled = in_terminal() and math.isfinite(self.interval)

    def print(self, *args: Any, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.clear()
        print(*args, **kwargs)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._open()
        self.began, self.began_at = time.perf_counter(), share(trainer) or 0.0
        self.samples_before = num_samples(trainer, pl_module) or 0
        self._draw(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._due():
            self.loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            self._draw(trainer, pl_module)

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        if self._due() and trainer.state.fn == "fit":
            self._draw(trainer, pl_module, f"validating, batch {args[2] + 1}")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._open()

    def on_test_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        if self._due():
            self._write(None, [f"testing, batch {args[2] + 1}"])

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._close()

    def _open(self) -> None:
        if self.is_enabled:
            self.bar = tqdm(total=1.0, leave=False, file=sys.stdout, bar_format="{desc}", delay=1e-9)
            for handler in screens():
                handler.addFilter(self._make_way)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        for handler in screens():
            handler.removeFilter(self._make_way)

    def _make_way(self, record: logging.LogRecord) -> bool:
        """For a message, after which the bar is drawn anew."""
        if self.bar is not None:
            self.bar.clear()
        return True

    def _due(self) -> bool:
        return self.bar is not None and time.perf_counter() - self.drawn >= self.interval

    def _draw(self, trainer: L.Trainer, pl_module: L.LightningModule, doing: str | None = None) -> None:
        if self.bar is None:
            return
        done, seconds = share(trainer), time.perf_counter() - self.began
        shown = [
            doing or counted(trainer),
            self._time_left(trainer, done, seconds),
            loss_of(self.loss),
            score_of(trainer, self.score),
            rate_of(trainer),
            speed((num_samples(trainer, pl_module) or 0) - self.samples_before, seconds),
        ]
        order = [0, 2, 3, 4, 5, 1]  # on the screen; in `shown`, what is left out last comes first
        texts = fitting(shown, columns() - LEAST_BAR)
        self._write(done, [texts[place] for place in order if texts[place]])

    def _time_left(self, trainer: L.Trainer, done: float | None, seconds: float) -> str:
        left = [seconds * (1 - done) / (done - self.began_at)] if done and done > self.began_at else []
        left += [remaining for timer in of_kind(trainer, Timer) if (remaining := timer.time_remaining()) is not None]
        return f"{tqdm.format_interval(max(0.0, min(left)))} left" if left else ""

    def _write(self, done: float | None, texts: Sequence[str]) -> None:
        assert self.bar is not None
        text = "  ".join(texts)
        self.bar.ncols = columns()
        self.bar.bar_format = "{desc}" if done is None or self.bar.ncols - len(text) < LEAST_BAR else "{bar}{desc}"
        self.bar.n, self.bar.desc = done or 0.0, text if self.bar.bar_format == "{desc}" else f" {text}"
        self.bar.refresh()
        self.drawn = time.perf_counter()


def counted(trainer: L.Trainer) -> str:
    """Optimizer steps, and of how many where that is known."""
    most = steps_of_run(trainer)
    return f"{trainer.global_step}/{most}" if most else f"step {trainer.global_step}"


def loss_of(loss: Any) -> str:
    """The mean over the steps of a call, and over the members of a population."""
    return f"loss {loss.float().mean().item():.3g}" if isinstance(loss, Tensor) else ""


def score_of(trainer: L.Trainer, name: str | None) -> str:
    value = trainer.callback_metrics.get(name) if name else None
    return f"{name} {value.item():.3g}" if value is not None else ""


def rate_of(trainer: L.Trainer) -> str:
    rates = [group["lr"] for optimizer in trainer.optimizers[:1] for group in optimizer.param_groups if "lr" in group]
    return f"lr {float(rates[0]):.2g}" if rates else ""


def speed(samples: int, seconds: float) -> str:
    return f"{tqdm.format_sizeof(samples / seconds)}/s" if samples and seconds else ""
