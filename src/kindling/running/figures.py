"""The pictures of a run, in its folder: what they are drawn from is measured once, when the run ends."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from kindling import abilities
from kindling.data.base import InMemoryDataModule
from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.errors import OF_THE_MACHINE, UserError, shown, told
from kindling.figure import FORMATS, save, style
from kindling.folders import write_whole
from kindling.models.base import SupervisedModule
from kindling.pictures import album
from kindling.pictures.seen import Seen
from kindling.pictures.trace import Trace
from kindling.population.model import Population
from kindling.running.callbacks import of_kind
from kindling.running.weights import DIVIDED

log = logging.getLogger(__name__)

MOST_ROWS = 10_000  # of the validation before training


class Figures(Callback):
    """Has the run draw its learning curves and what its model has learned, into `run_dir`/figures.

    Args:
        format: of png, svg and pdf.
        report: its page too, report.html, which shows them beside all else (leave.py).
    """

    def __init__(
        self,
        run_dir: str,
        format: Sequence[str] = ("png",),  # noqa: A002  # as matplotlib has it
        report: bool = True,
    ) -> None:
        self.run_dir = Path(run_dir)
        self.formats = list(format)
        if unknown := [kind for kind in self.formats if kind not in FORMATS]:
            raise UserError(f"callbacks.figures.format={unknown[0]}: should be one of {', '.join(FORMATS)}")
        self.trace = Trace()

    def state_dict(self) -> dict[str, Any]:
        return self.trace.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.trace.restore(state_dict)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not isinstance(pl_module, SupervisedModule) or isinstance(pl_module, Population):
            return
        if not self.trace.start and trainer.global_step == 0:
            self.trace.start = scores_before(trainer, pl_module)
        if len(trainer.optimizers) == 1:
            self.trace.follow(pl_module, trainer.optimizers[0])


@torch.no_grad()
def scores_before(trainer: L.Trainer, model: SupervisedModule) -> dict[str, float]:
    """What validation measures before training, of the first rows; nothing that is drawn later changes by it."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, InMemoryDataModule):  # files take long to read
        return {}
    metrics, rows, plugin = model.val_metrics.clone(), 0, trainer.precision_plugin
    metrics.reset()
    modes = {module: module.training for module in model.modules()}  # some may be frozen
    with torch.random.fork_rng(devices=[]), plugin.val_step_context():
        model.eval()
        try:
            for batch in datamodule.batches("val"):
                model.step(plugin.convert_input(tuple(part.to(model.device) for part in batch)), metrics)
                rows += len(batch[0])
                if rows >= MOST_ROWS:
                    break
        finally:
            for module, mode in modes.items():
                module.training = mode
    return {name: float(value) for name, value in metrics.compute().items()}


def draw_of_run(run_dir: Path, trainer: L.Trainer, model: L.LightningModule, datamodule: Any, split: SplitName) -> None:
    """After the test, where the run has Figures among its callbacks; none of them can cost the run."""
    chosen = of_kind(trainer, Figures)
    if not chosen or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    divided = isinstance(trainer.strategy, DIVIDED)  # one process alone cannot run it
    draw(run_dir, None if divided else model, datamodule, chosen[0].trace, chosen[0].formats, split)


def draw(
    run_dir: Path,
    model: L.LightningModule | None = None,
    datamodule: Any = None,
    trace: Trace | None = None,
    formats: Sequence[str] = ("png",),
    split: SplitName = "test",
) -> None:
    """The pictures that the folder holds something of, and where there is a `model`, what it draws itself.
    They are of the rows of `split`, test or val.

    What cannot be measured, drawn or written costs a warning, not the others.
    """
    folder = run_dir / "figures"
    with costs_a_warning():
        if isinstance(model, SupervisedModule) and isinstance(datamodule, SupervisedDataModule):
            album.keep(folder, album.measure(Seen.of(model, datamodule, trace or Trace(), split)))
            captions = json.dumps(album.captions(split), indent=2, ensure_ascii=False)
            write_whole(folder / "captions.json", captions + "\n")
    with costs_a_warning():
        save_all(folder, album.draw(run_dir), formats)
    if model is not None:
        with style(), costs_a_warning():
            save_all(folder, abilities.figures(model, datamodule), formats)


def save_all(folder: Path, figures: Iterable[tuple[str, Any]], formats: Sequence[str]) -> None:
    for name, figure in figures:
        with costs_a_warning(f" {name}"):
            save(folder, name, figure, formats)


@contextmanager
def costs_a_warning(which: str = "s, or not all") -> Iterator[None]:
    """Whatever goes wrong with pictures: the run has been."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            reason = told(error)
        else:
            reason = shown(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}", 500)
        log.warning("WARNING: no figure%s: %s", which, reason)


def split_of(cfg: DictConfig) -> SplitName:
    """Of which rows the pictures are: test=false leaves those of the test alone."""
    return "test" if cfg.test else "val"


def trace_in(checkpoint: Mapping[str, Any]) -> Trace:
    """What the run had recorded when that checkpoint was saved; nothing where that cannot be read."""
    trace = Trace()
    with suppress(KeyError, TypeError, ValueError, IndexError, AttributeError):
        trace.restore(checkpoint["callbacks"][Figures.__qualname__])
        return trace
    return Trace()
