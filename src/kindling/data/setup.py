"""When a datamodule is prepared and set up: once, and each time from the same random numbers."""

import os
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf

from kindling.config.construct import construct
from kindling.config.signatures import takes_augmentation
from kindling.data.augmentation import Augmentation
from kindling.random_state import seeded


def make_datamodule(cfg: DictConfig) -> Any:
    """The data of a config, with its augmentation where they take one, to be set up once and in the run's precision."""
    handed_over = {}
    if takes_augmentation(OmegaConf.to_container(cfg.data)):  # type: ignore[arg-type]
        nodes = {name: node for name, node in cfg.augmentation.items() if node is not None}
        transforms = {name: construct(f"augmentation.{name}", node) for name, node in nodes.items()}
        if transforms:
            handed_over["augmentation"] = Augmentation(transforms)
    datamodule = construct("data", cfg.data, **handed_over)
    set_up_once(datamodule, cfg.seed)
    keep_in_precision(datamodule, cfg.trainer.get("precision"))
    return datamodule


def set_up_once(datamodule: L.LightningDataModule, seed: int) -> None:
    """Have prepare_data run once a process, and setup once for each stage, also where Lightning calls them again.

    Each begins with random numbers from `seed` and leaves the generators as they were: a random_split without a seed
    divides the rows alike in training, in the test, and in every process that comes back to the run.
    """
    done: set[Any] = set()

    def once(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)  # Lightning looks behind it for what the user has written
        def call(*args: Any, **kwargs: Any) -> None:
            key = (method.__name__, *args, *kwargs.values())
            if key not in done:
                with seeded(seed):
                    method(*args, **kwargs)
                done.add(key)

        return call

    for name in ("prepare_data", "setup"):
        if is_overridden(name, datamodule):
            setattr(datamodule, name, once(getattr(datamodule, name)))


def keep_in_precision(datamodule: L.LightningDataModule, precision: Any) -> None:
    """Data that say of which kind their numbers are keep them in double precision where the run computes in it."""
    if hasattr(datamodule, "row_dtype") and str(precision).startswith("64"):
        datamodule.row_dtype = torch.float64


def prepare_early(datamodule: L.LightningDataModule) -> None:
    """Before there is a model, which wants to know something of the data. One process at a time."""
    name = f"kindling-{os.getuid()}-{type(datamodule).__module__}.{type(datamodule).__qualname__}.lock"
    with FileLock(Path(tempfile.gettempdir()) / name):
        if "LOCAL_RANK" not in os.environ or "TORCHELASTIC_RUN_ID" in os.environ or os.environ["LOCAL_RANK"] == "0":
            datamodule.prepare_data()  # the first process has done so before it started this one


def attribute(datamodule: L.LightningDataModule, name: str, needed: bool) -> Any:
    """What the data say of themselves: at once, or else after an early set-up; None where they do not.

    One that is not `needed` is worth a set-up only where the datamodule's class says that there is one. What the data
    say is prepared: it may be the path of a file that the model reads.
    """
    value = _peek(datamodule, name)
    if value is not None:
        prepare_early(datamodule)
    declared = any(
        hasattr(cls, name) or name in getattr(cls, "__annotations__", {}) for cls in type(datamodule).__mro__
    )
    if value is None and (needed or declared):
        prepare_early(datamodule)
        datamodule.setup("fit")
        value = getattr(datamodule, name, None)
    return value


def set_up_where_told(datamodule: L.LightningDataModule) -> None:
    """Data that can be told from others, or that decide on a setting of theirs, do so before the run begins."""
    for name in ("digest", "resolved"):
        attribute(datamodule, name, needed=False)


def _peek(datamodule: L.LightningDataModule, name: str) -> Any:
    try:
        return getattr(datamodule, name, None)
    except Exception:  # a property of data that are not there yet
        return None
