"""Loggers that Lightning does not have."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig

log = logging.getLogger(__name__)


def wandb_logger(save_dir: str, project: str, **kwargs: Any) -> WandbLogger:
    """Weights & Biases: online where a key is configured, else offline with a line that says how to upload later.

    `mode` and the environment variable WANDB_MODE overrule both. Further arguments are those of `wandb.init`.
    """
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # already before init(), to which Lightning passes what W&B warns of
    mode = kwargs.pop("mode", None) or os.environ.get("WANDB_MODE")
    if mode is None:
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    if mode in ("offline", "dryrun"):
        log.info(f"W&B is offline; to upload the run: wandb sync {save_dir}/wandb/offline-run-*")
    run_id = kwargs.pop("id", None) or wandb.sdk.lib.runid.generate_id()
    settings = wandb.Settings(silent=True, console="off")
    return WandbLogger(save_dir=save_dir, project=project, id=run_id, mode=mode, settings=settings, **kwargs)


def same_run(node: DictConfig, version: str | None) -> dict[str, str]:
    """What makes a logger go on with the run that it knows by `version`; the others write to the same files anyway."""
    return {"id": version} if version and node._target_.endswith("wandb_logger") else {}


@contextmanager
def finished_loggers() -> Iterator[None]:
    """Close W&B's run on every way out: one left open would take in the metrics of the next run of the process."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if "wandb" in sys.modules:
            sys.modules["wandb"].finish(exit_code=exit_code)
