"""Why a run ended."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from kindling.running.callbacks import of_kind


def ending(trainer: L.Trainer, callbacks: Mapping[str, Callback]) -> dict[str, Any]:
    """In words, and whether it was earlier than the config's number of epochs or steps."""
    for name, callback in callbacks.items():
        if trainer.should_stop and isinstance(callback, EarlyStopping) and has_stopped(callback):
            return {"early": True, "reason": f"{stopped_because(callback)} (callbacks.{name})"}
    times_left = [timer.time_remaining() for timer in of_kind(trainer, Timer)]
    if any(left is not None and left <= 0 for left in times_left):
        return {"early": True, "reason": "its time is over (max_time)"}
    if trainer.should_stop:
        return {"early": True, "reason": "trainer.should_stop was set by a callback or by the model"}
    steps, epochs = trainer.max_steps, trainer.max_epochs
    if steps != -1 and trainer.global_step >= steps:
        return {"early": False, "reason": f"max_steps={steps} is reached"}
    if epochs not in (None, -1) and trainer.current_epoch >= epochs:
        return {"early": False, "reason": f"max_epochs={epochs} is reached"}
    return {"early": True, "reason": "its data ended"}


def has_stopped(callback: EarlyStopping) -> bool:
    return callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED


def stopped_because(callback: EarlyStopping) -> str:
    score = callback.monitor
    if callback.stopping_reason is EarlyStoppingReason.STOPPING_THRESHOLD:
        return f"{score} has reached {callback.stopping_threshold}"
    if callback.stopping_reason is EarlyStoppingReason.DIVERGENCE_THRESHOLD:
        return f"{score} went beyond {callback.divergence_threshold}"
    if callback.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{score} is not finite"
    checks = f"{callback.wait_count} check{'s' * (callback.wait_count != 1)}"
    return f"{score} was not better than {float(callback.best_score):.4g} in {checks}"
