"""The figures of a run, written as PNG files into its folder."""

import io
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

from kindling import abilities
from kindling.folders import write_whole

DIVIDED = (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)  # the model among the processes


class Figures(Callback):
    """Has the run draw its learning curves, and the figures that the model makes of itself, into `run_dir`/figures."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)


def draw_of_run(run_dir: Path, trainer: L.Trainer, model: L.LightningModule, datamodule: Any) -> None:
    """After the test, where the run has Figures among its callbacks."""
    wanted = any(isinstance(callback, Figures) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    if not wanted or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    divided = isinstance(trainer.strategy, DIVIDED)  # one process alone cannot run it
    draw(run_dir, None if divided else model, datamodule)


def draw(run_dir: Path, model: L.LightningModule | None = None, datamodule: Any = None) -> None:
    """The learning curves, and where there is a `model`, what it draws itself: see abilities.py."""
    import pandas as pd

    from kindling.running.curves import learning_curves

    if (run_dir / "metrics.csv").exists():
        figure = learning_curves(pd.read_csv(run_dir / "metrics.csv"))
        if figure is not None:
            save(run_dir, "learning_curves", figure)
    if model is not None:
        for name, figure in abilities.figures(model, datamodule):
            save(run_dir, name, figure)


def save(run_dir: Path, name: str, figure: Any) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    (run_dir / "figures").mkdir(exist_ok=True)
    write_whole(run_dir / "figures" / f"{name}.png", picture.getvalue())
