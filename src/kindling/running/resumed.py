"""What a resumed run is asked to do otherwise than before, where its checkpoint has a say in it too."""

from collections.abc import Iterator, Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities.model_helpers import is_overridden

from kindling.config.resume import flat
from kindling.errors import UserError, listed
from kindling.running.build import Parts
from kindling.running.ending import has_stopped

# These live on in the checkpoint: as weights, as the state of the optimizer, in what has been measured.
KEPT = ("seed", "population", "monitor", "mode", "model", "loss", "optimizer", "scheduler")


def changes(then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By full key, what it was and what it is to be, None where there was no such key."""
    before, after = dict(flat(then)), dict(flat(now))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def kept_problems(changed: Mapping[str, tuple[Any, Any]], resume: str) -> Iterator[str]:
    """Settings that would do nothing, since the checkpoint overrules them."""
    for key, (before, after) in changed.items():
        if key.partition(".")[0] in KEPT:
            yield (
                f"{key}={after}: a run that goes on keeps what it has, {before}; "
                f"init_from={resume} starts another from its weights"
            )


def callback_problems(changed: Mapping[str, tuple[Any, Any]], chosen: Mapping[str, Callback]) -> Iterator[str]:
    """The same of callbacks: what belongs to their state, and cannot be told apart from it."""
    for key, (before, after) in changed.items():
        section, _, rest = key.partition(".")
        name, _, setting = rest.partition(".")
        callback = chosen.get(name) if section == "callbacks" else None
        if callback is None or f"callbacks.{name}._target_" in changed or setting.endswith("dirpath"):
            continue
        stateful = any(is_overridden(method, callback, Callback) for method in ("state_dict", "on_save_checkpoint"))
        if isinstance(callback, ModelCheckpoint) or (stateful and not hasattr(callback, setting)):
            yield f"{key}={after}: the callback goes on with {before}, which its state belongs to; leave it out"


def take(changed: Mapping[str, tuple[Any, Any]], parts: Parts) -> None:
    """Raises:
    UserError: where a callback cannot take what has changed.
    """
    found = list(callback_problems(changed, parts.chosen))
    if found:
        raise UserError(listed(found))
    parts.trainer.callbacks.insert(0, AsAsked(changed, parts.chosen))  # type: ignore[attr-defined]


class AsAsked(Callback):
    """Gives callbacks the settings back that the state in the checkpoint has overwritten with those of before, and lets
    a run that had been stopped train on where its callbacks would not stop it now."""

    def __init__(self, changed: Mapping[str, tuple[Any, Any]], chosen: Mapping[str, Callback]) -> None:
        keys = [key.split(".") for key in changed if key.startswith("callbacks.")]
        self.chosen = chosen
        self.changed = bool(keys)
        self.settings = [
            (chosen[key[1]], key[2], getattr(chosen[key[1]], key[2]))
            for key in keys
            if len(key) == 3 and hasattr(chosen.get(key[1]), key[2])
        ]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for callback, name, value in self.settings:
            if getattr(callback, name) != value:
                setattr(callback, name, value)
        if not self.changed:
            return
        trainer.should_stop = False
        for callback in self.chosen.values():
            if isinstance(callback, EarlyStopping) and has_stopped(callback):
                if callback.wait_count < callback.patience:
                    callback.stopping_reason = EarlyStoppingReason.NOT_STOPPED
                else:
                    trainer.should_stop = True
