"""What a run leaves besides its record, once that is complete: none of it may cost the run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from kindling import report
from kindling.errors import Refused
from kindling.process import rank
from kindling.running import figures
from kindling.running.build import Parts
from kindling.running.loggers import hand_over

log = logging.getLogger(__name__)


def leave(cfg: DictConfig, parts: Parts, draw: bool) -> None:
    """The pictures of the run, where it draws any; its page, which shows them; and to its loggers all of that."""
    run_dir = Path(cfg.run_dir)
    if draw and rank() == 0:
        figures.draw_of_run(run_dir, parts.trainer, parts.model, parts.datamodule, figures.split_of(cfg))
    leave_page(cfg)
    hand_over(run_dir, parts)


@contextmanager
def page_of_stopped(cfg: DictConfig) -> Iterator[None]:
    """A run that fails, is stopped or given up has a page too; one that is refused leaves its folder as it was."""
    try:
        yield
    except Refused:
        raise
    except BaseException:
        leave_page(cfg)
        raise


def leave_page(cfg: DictConfig) -> None:
    chosen = cfg.callbacks.get("figures")
    if rank() != 0 or not chosen or not chosen.get("report", True) or cfg.trainer.get("fast_dev_run"):
        return
    try:
        report.write_run(cfg.run_dir)
    except Exception as error:  # whatever it is, the run has been
        log.warning("WARNING: there is no report.html: %s: %s", type(error).__name__, error)
