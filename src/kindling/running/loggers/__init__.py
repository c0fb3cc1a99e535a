"""Where the course of a run is sent besides metrics.csv: W&B, TensorBoard, MLflow, or any logger of Lightning's.

All get the rows of metrics.csv from running/record.py. What else a logger takes are methods that it may have: `begin`,
`log_weights`, `leave` and `end`, as in the modules beside this one.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from kindling.abilities import offers
from kindling.errors import shown
from kindling.folders import read_summary
from kindling.process import rank
from kindling.running.loggers import wandb
from kindling.running.loggers.mlflow import mlflow_logger as mlflow_logger  # configs name them here
from kindling.running.loggers.wandb import wandb_logger as wandb_logger

if TYPE_CHECKING:
    from kindling.config.asked import Asked
    from kindling.running.build import Parts

log = logging.getLogger(__name__)

CONTINUED = ("kindling.running.loggers.wandb_logger", "kindling.running.loggers.mlflow_logger")
OPEN: list[Any] = []  # the loggers of the run of this process, as W&B keeps its own


def same_run(node: DictConfig, version: str | None) -> dict[str, str]:
    """What makes a logger go on with the run that it knows by `version`; the others write to the same files anyway."""
    return {"id": version} if version and node._target_ in CONTINUED else {}


def begin_logging(loggers: list[Any], asked: "Asked", summary: dict[str, Any]) -> None:
    """Tell each what the run is, once that is known."""
    OPEN.extend(loggers)
    for logger in of_this_process(loggers, "begin"):
        logger.begin(asked, summary)


def hand_over(run_dir: Path, parts: "Parts") -> None:
    """To each logger what the run leaves: how it went, pictures, predictions, the best weights, its page."""
    if parts.trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    for logger in of_this_process(parts.trainer.loggers, "leave"):
        with costs_a_warning(logger):
            logger.leave(run_dir, parts, read_summary(run_dir))


@contextmanager
def finished_loggers(run_dir: Path) -> Iterator[None]:
    """Close them on every way out, each with how the run ended: a W&B run that stays open would take in the metrics of
    the next run of the process."""
    status = "failed"
    try:
        yield
        status = "completed"
    finally:
        if status == "failed" and OPEN:
            status = read_summary(run_dir)["status"]
        for logger in of_this_process(OPEN, "end"):
            with costs_a_warning(logger):
                logger.end(status)
        OPEN.clear()
        if "wandb" in sys.modules:
            wandb.finish(sys.modules["wandb"], exit_code=int(status not in ("completed", "pruned")))


def of_this_process(loggers: list[Any], ability: str) -> list[Any]:
    return [logger for logger in loggers if offers(logger, ability)] if rank() == 0 else []


@contextmanager
def costs_a_warning(logger: Any) -> Iterator[None]:
    """Whatever a logger or its server raises: the run has its record without it."""
    try:
        yield
    except Exception as error:
        reason = shown(f"{type(error).__name__}: {error}", 300)
        log.warning(f"WARNING: {type(logger).__name__} has not taken all that the run left ({reason})")
