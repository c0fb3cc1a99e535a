"""The figures of a run, written as PNG files into its folder."""

import io
import logging
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from kindling import abilities
from kindling.errors import OF_THE_MACHINE, told
from kindling.folders import read_course, write_whole
from kindling.running.callbacks import of_kind
from kindling.running.weights import DIVIDED

log = logging.getLogger(__name__)


class Figures(Callback):
    """Has the run draw its learning curves, and the figures that the model makes of itself, into `run_dir`/figures.

    Args:
        report: its page too, report.html, which shows them beside all else (leave.py).
    """

    def __init__(self, run_dir: str, report: bool = True) -> None:
        self.run_dir = Path(run_dir)
        self.report = report


def draw_of_run(run_dir: Path, trainer: L.Trainer, model: L.LightningModule, datamodule: Any) -> None:
    """After the test, where the run has Figures among its callbacks; a full disk costs the figures, not the run."""
    if not of_kind(trainer, Figures) or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    divided = isinstance(trainer.strategy, DIVIDED)  # one process alone cannot run it
    try:
        draw(run_dir, None if divided else model, datamodule)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        log.warning("WARNING: there are no figures, or not all: %s", told(error))


def draw(run_dir: Path, model: L.LightningModule | None = None, datamodule: Any = None) -> None:
    """The learning curves, and where there is a `model`, what it draws itself: see abilities.py."""
    import pandas as pd

    from kindling.running.curves import learning_curves

    if (run_dir / "metrics.csv").exists():
        figure = learning_curves(pd.read_csv(io.StringIO(read_course(run_dir))))
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
