"""The learning-rate range test (Smith, 2017): the loss while the rate grows from step to step, until it diverges.

Lightning's own (Tuner.lr_find) halves the first losses, and its average is fifty steps late: the rate that it suggests
is then beyond the steepest fall.
"""

import math
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.ticker import LogLocator
from omegaconf import DictConfig, OmegaConf
from torch.optim.lr_scheduler import ConstantLR

from kindling.config.asked import take_asked
from kindling.config.checks import problems
from kindling.config.construct import construct
from kindling.config.signatures import wanted
from kindling.data.setup import make_datamodule
from kindling.errors import UserError, listed
from kindling.figure import Figure
from kindling.folders import CONF
from kindling.models.build import model_maker
from kindling.process import quiet

BEGIN = 1e-7  # by which nothing learns
END = 10.0  # by which everything diverges
# One optimizer step at a time, on one device, and nothing written.
TRIAL = {
    "devices": 1,
    "strategy": "auto",
    "max_epochs": -1,
    "limit_val_batches": 0,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
DIVERGED = 4.0  # times the least loss above it, and the rate grows no further
SMOOTHED = 11  # steps, of which each point of the curve is the mean
LIMITS = ("min_steps", "min_epochs", "max_time", "limit_train_batches", "overfit_batches")


@dataclass
class Curve:
    """The smoothed loss at each rate; `suggestion` is where it falls most steeply, None where it never does."""

    key: str  # of the config, which sets the rate
    rates: list[float]
    losses: list[float]
    suggestion: float | None

    def figure(self) -> Figure:
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses)
        axes.set(xscale="log", xlabel=self.key, ylabel="loss, smoothed")
        axes.xaxis.set_major_locator(LogLocator(numticks=12))
        low, begin = min(self.losses), self.losses[0]
        if low < begin:  # where it diverges, it goes beyond everything
            axes.set_ylim(low - 0.1 * (begin - low), begin + (begin - low))
        if self.suggestion:
            axes.axvline(self.suggestion, color="C1", linestyle="--", label=f"{self.suggestion:.2g}")
            axes.legend(title="suggestion")
        axes.grid(alpha=0.3)
        return figure


def find_lr(cfg: DictConfig, num_steps: int = 200, begin: float = BEGIN, end: float = END) -> Curve:
    """A fresh model is trained for so many steps on the data of `cfg`, without its schedule; nothing is left of it.

    Raises:
        UserError: where the config is wrong, has no one learning rate, or the loss cannot be measured.
    """
    quiet()
    asked = take_asked(cfg)
    found = problems(cfg, asked)
    if found:
        raise UserError(listed(found))
    key = rate_key(cfg)
    trainer, model, datamodule = trial(cfg, ramp := Ramp(num_steps, begin, end))
    trainer.fit(model, datamodule=datamodule)
    finite = [loss for loss in ramp.losses if math.isfinite(loss)]
    if len(finite) < SMOOTHED:
        raise UserError(f"the loss diverges from {key}={begin:g} on: begin lower (--begin), or look at the data")
    losses = smooth(np.array(finite))
    return Curve(key, ramp.rates[: len(finite)], losses.tolist(), steepest(ramp.rates, losses))


class Ramp(Callback):
    """Has the rate grow by the same factor from step to step, in place of any schedule; groups stay in proportion."""

    def __init__(self, num_steps: int, begin: float, end: float) -> None:
        self.course = np.geomspace(begin, end, num_steps).tolist()
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.factors: list[list[float]] = []  # of the groups of each optimizer
        self.least = math.inf

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        changed = any(not isinstance(config.scheduler, ConstantLR) for config in trainer.lr_scheduler_configs)
        trainer.strategy.lr_scheduler_configs = []
        for optimizer in trainer.optimizers:
            rates = [float(group["lr"]) for group in optimizer.param_groups]
            base = rates[0] if changed else optimizer.defaults["lr"]  # a schedule of the model's own begins elsewhere
            self.factors.append([rate / base if base else 1.0 for rate in rates])

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        rate = self.course[min(trainer.global_step, len(self.course) - 1)]
        for optimizer, factors in zip(trainer.optimizers, self.factors, strict=True):
            for group, factor in zip(optimizer.param_groups, factors, strict=True):
                group["lr"] = rate * factor

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if outputs is None:
            return
        loss = float(outputs["loss"])
        self.losses.append(loss)
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"] / self.factors[0][0])
        recent = float(np.mean(self.losses[-SMOOTHED:]))
        if len(self.losses) >= SMOOTHED:
            self.least = min(self.least, recent)
        if not math.isfinite(loss) or recent > self.least + DIVERGED * abs(self.least):
            trainer.should_stop = True


def rate_key(cfg: DictConfig) -> str:
    """Where the config says how fast the model learns."""
    if cfg.population > 1:
        raise UserError(f"population={cfg.population}: has many losses; set population=1, and give all what one likes")
    if cfg.trainer.get("fast_dev_run"):
        raise UserError("trainer.fast_dev_run: takes one step, and the test takes many; leave it out")
    node: Any = OmegaConf.to_container(cfg.model)
    if "optimizer" in wanted(node) and cfg.optimizer is not None and "lr" in cfg.optimizer:
        return "optimizer.lr"
    for name in ("lr", "learning_rate"):
        if name in cfg.model:
            return f"model.{name}"
    raise UserError(
        f"{cfg.model._target_}: has no learning rate in the config: it takes no optimizer that has one, and there "
        "is no model.lr"
    )


def trial(cfg: DictConfig, ramp: Ramp) -> tuple[L.Trainer, L.LightningModule, L.LightningDataModule]:
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    cfg = cfg.copy()
    if cfg.scheduler is not None:  # others begin with rates of their own
        cfg.scheduler = OmegaConf.load(CONF / "scheduler" / "constant.yaml")
    datamodule = make_datamodule(cfg)
    make_model, _ = model_maker(cfg, datamodule)
    model = make_model()
    if str(cfg.trainer.get("precision")).startswith("64"):
        model.double()
    if not model.automatic_optimization:
        raise UserError(f"{cfg.model._target_}: steps its optimizers by itself, so that no one rate can be tried")
    settings = {key: value for key, value in cfg.trainer.items() if key not in LIMITS}
    node = {**settings, **TRIAL, "max_steps": len(ramp.course)}
    return construct("trainer", node, logger=False, callbacks=[ramp]), model, datamodule


def smooth(losses: np.ndarray) -> np.ndarray:
    """The mean of as many steps before as after each."""
    half = SMOOTHED // 2
    return np.array([losses[max(0, i - half) : i + half + 1].mean() for i in range(len(losses))])


def steepest(rates: list[float], losses: np.ndarray) -> float | None:
    """The rate at which the loss falls fastest on its way to the least."""
    bottom = int(losses.argmin())
    if bottom < SMOOTHED:
        return None
    slopes = np.gradient(losses[: bottom + 1])
    place = int(slopes.argmin())
    return rates[place] if slopes[place] < 0 else None
