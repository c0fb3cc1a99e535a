"""The test of a run."""

import logging
from typing import Any

import lightning as L
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig

from kindling.random_state import seeded
from kindling.running.best import Best
from kindling.running.build import Parts
from kindling.running.callbacks import of_kind
from kindling.running.weights import OneSetOfWeights

log = logging.getLogger(__name__)


def test(cfg: DictConfig, parts: Parts, best: Best) -> dict[str, float]:
    """What the test measures of the best weights, which the model then has; nothing where there is no test. Random
    numbers that the model draws are the same whenever it is tested.

    Weights are put into the model here, and not by `trainer.test`: callbacks that keep two sets of them, such as an
    average, would bring back the set that the score was not measured with.
    """
    trainer, model = parts.trainer, parts.model
    if best.content:
        model.on_load_checkpoint(dict(best.content))
        model.load_state_dict(best.content["state_dict"], strict=model.strict_loading)
    missing = None if cfg.test else "test=false"
    missing = missing or untested(parts.datamodule, model)
    if missing:
        log.info(f"no test: {missing}")
        return {}
    (weights,) = of_kind(trainer, OneSetOfWeights)
    weights.tested = best.content["state_dict"] if best.content else None
    with seeded(cfg.seed):
        path = best.path if not best.content else None  # only Lightning can read what is divided
        measured: list[Any] = trainer.test(model, datamodule=parts.datamodule, ckpt_path=path, verbose=False)
    if best.content:  # for the figures: a callback may have put its own back
        model.load_state_dict(best.content["state_dict"], strict=model.strict_loading)
    return {name: value for metrics in measured for name, value in metrics.items()}


def untested(datamodule: L.LightningDataModule, model: L.LightningModule) -> str | None:
    """Why there is no test, where there is none."""
    for part, method in ((model, "test_step"), (datamodule, "test_dataloader")):
        if not is_overridden(method, part):
            return f"{type(part).__name__} has no {method}"
    return None
