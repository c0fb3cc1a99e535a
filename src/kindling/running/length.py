"""How long a run is, and how much of it is done."""

import math
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import GradientAccumulationScheduler, Timer

from kindling.lightning_internals import batches_done
from kindling.running.callbacks import of_kind


def num_epochs(trainer: L.Trainer) -> float | None:
    """Of the whole run; None where nothing says how long it is."""
    found = []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        found.append(float(trainer.max_epochs))
    steps = steps_of_epoch(trainer)
    if trainer.max_steps > 0 and steps:
        found.append(math.ceil(trainer.max_steps / steps))
    return min(found, default=None)


def steps_of_epoch(trainer: L.Trainer) -> float | None:
    """Of the optimizers; None where it is up to the model, or the data have no length."""
    loader: Any = trainer.train_dataloader
    if getattr(loader, "steps_per_call", 1) > 1:
        return float(loader.num_batches)
    by_hand = not trainer.lightning_module.automatic_optimization
    if by_hand or of_kind(trainer, GradientAccumulationScheduler) or not math.isfinite(trainer.num_training_batches):
        return None
    return float(math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))


def steps_of_run(trainer: L.Trainer) -> int | None:
    """Of the optimizers; None where nothing says how many."""
    of_epoch, epochs = steps_of_epoch(trainer), trainer.max_epochs
    found = [trainer.max_steps] if trainer.max_steps > 0 else []
    if of_epoch and epochs is not None and epochs > 0:
        found.append(int(of_epoch * epochs))
    return min(found, default=None)


def share(trainer: L.Trainer) -> float | None:
    """Of the run, how much is done; None where nothing says how long it is."""
    found, epochs, batches = [], trainer.max_epochs, trainer.num_training_batches
    if trainer.max_steps > 0:
        found.append(trainer.global_step / trainer.max_steps)
    if epochs is not None and epochs > 0 and math.isfinite(batches) and batches:
        found.append((trainer.current_epoch + min(1.0, batches_done(trainer) / batches)) / epochs)
    for timer in of_kind(trainer, Timer):
        if (left := timer.time_remaining()) is not None:
            found.append(timer.time_elapsed() / max(1e-9, timer.time_elapsed() + left))
    return min(1.0, max(found)) if found else None
