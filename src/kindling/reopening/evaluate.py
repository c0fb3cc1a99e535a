"""The metrics of a finished run."""

import copy
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities.model_helpers import is_overridden

from kindling.abilities import offers
from kindling.config.construct import construct
from kindling.data.splits import SplitName
from kindling.errors import UserError
from kindling.random_state import seeded
from kindling.reopening.tta import averaged

if TYPE_CHECKING:
    from kindling.reopening.run import Run

# By split, the method of Lightning's trainer that measures it, and what it needs of model and data.
MEASURED_BY = {
    "test": ("test", "test_step", "test_dataloader"),
    "val": ("validate", "validation_step", "val_dataloader"),
}


def evaluate(run: "Run", split: SplitName, tta: int | None) -> dict[str, float]:
    """Raises:
    UserError: where nothing measures that split, or nothing says what `tta` augments with.
    """
    torch.set_float32_matmul_precision("high")
    trainer = construct("trainer", run.cfg.trainer, logger=False)
    model = copy.deepcopy(run.model) if tta is None else averaged(run, tta)  # which another precision may change
    if not str(run.cfg.trainer.get("precision")).startswith(("64", "16-true", "bf16-true")):
        model.float()
    if offers(run.described, "evaluation_loader") and is_overridden("test_step", model):  # the test, of any split
        run.datamodule.trainer = trainer
        with seeded(run.cfg.seed):
            (metrics,) = trainer.test(model, dataloaders=run.datamodule.evaluation_loader(split), verbose=False)
        return {name.replace("test/", f"{split}/"): value for name, value in metrics.items()}
    method = method_for(run, split)
    with seeded(run.cfg.seed):  # as the run itself did
        measured: list[Any] = getattr(trainer, method)(model, datamodule=run.described, verbose=False)
    return {name: value for metrics in measured for name, value in metrics.items()}


def method_for(run: "Run", split: str) -> str:
    if split not in MEASURED_BY:
        raise UserError(f"split={split}: {run.cfg.data._target_} has no evaluation_loader for it; val and test can be")
    method, step, loader = MEASURED_BY[split]
    for part, name in ((run.model, step), (run.described, loader)):
        if not is_overridden(name, part):
            raise UserError(f"{run.path}: {type(part).__name__} has no {name}, so that there is nothing to evaluate")
    return method
