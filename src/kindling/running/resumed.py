"""What a run goes on from, and what it is asked to do otherwise than before where its checkpoint has a say too."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf

from kindling.budget import MIN_BYTES, Budget
from kindling.checkpoints.format import load
from kindling.checkpoints.last import LastCheckpoint
from kindling.config.resume import flat
from kindling.config.since import filled_in
from kindling.data.identity import check_same, identity
from kindling.errors import UserError, listed
from kindling.running.build import Parts
from kindling.running.callbacks import of_kind
from kindling.running.ending import has_stopped

# These live on in the checkpoint: as weights, as the state of the optimizer, in what has been measured.
KEPT = ("seed", "population", "monitor", "mode", "model", "loss", "optimizer", "param_groups", "scheduler")


@dataclass
class Before:
    """What a run goes on from; nothing of a run that begins.

    Args:
        checkpoint: the one named, or the newest of the run; None where the run stopped before its first.
        data: what the checkpoint knows of them.
        changed: by key, what the run was trained with and is to go on with.
    """

    checkpoint: Path | None = None
    data: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def take_up(cfg: DictConfig, resume: str | None) -> Before:
    """Raises:
    UserError: where the checkpoint cannot be used, or overrules what `cfg` asks for.
    """
    path = Path(resume) if resume else None
    if path and path.is_dir():
        path = newest(path)
    if resume is None or path is None:
        return Before()
    content = load(path)
    if "progress" not in content:
        raise UserError(f"resume={path}: holds weights alone; init_from={path} starts a new run from them")
    now: Any = OmegaConf.to_container(cfg, resolve=True)
    changed = changes(content["config"], now)
    found = [*kept_problems(changed, resume), *done_problems(content, cfg.trainer)]
    if found:
        raise UserError(listed(found))
    return Before(path, content["data"] if isinstance(content.get("data"), dict) else {}, changed)


def done_problems(content: dict[str, Any], trainer: Mapping[str, Any]) -> Iterator[str]:
    """An end that the run is past."""
    progress = content["progress"]
    epochs = progress["epoch"] + progress["epoch_done"]
    for key, done in (("max_epochs", epochs), ("max_steps", content["global_step"])):
        most = trainer.get(key, -1)
        if most not in (None, -1) and most < done:
            yield f"trainer.{key}={most}: the run has done {done:,} {key.removeprefix('max_')}, and can only go on"


def newest(folder: Path) -> Path | None:
    """The last checkpoint, or without one the newest that can be gone on with: the best member of a population cannot.

    A run does not start again over what it has saved.
    """
    last = folder / "checkpoints" / "last.ckpt"
    if last.exists():
        return last
    others = sorted(folder.glob("checkpoints/*.ckpt"), key=lambda file: file.stat().st_mtime, reverse=True)
    return next((file for file in others if "progress" in load(file)), None)


def budget_for(cfg: DictConfig, checkpoint: Path | None) -> AbstractContextManager[Any]:
    """A model that goes on from a checkpoint takes up about what is in it, whatever its config says."""
    if checkpoint is None:
        return nullcontext()
    return Budget(f"{checkpoint}: its {cfg.model._target_}", MIN_BYTES + 8 * checkpoint.stat().st_size)


def go_on(before: Before, cfg: DictConfig, parts: Parts) -> None:
    """Raises:
    UserError: where the data are others, or where a callback that is needed is gone or cannot take what has changed.
    """
    if before.checkpoint is None:
        return
    check_same(before.data, identity(parts.datamodule), parts.datamodule, cfg.run_dir)
    callbacks: list[Callback] = parts.trainer.callbacks  # type: ignore[attr-defined]
    if not of_kind(parts.trainer, LastCheckpoint):
        raise UserError("callbacks.last is what goes on with a run; leave it there")
    found = list(callback_problems(before.changed, parts.chosen))
    if found:
        raise UserError(listed(found))
    callbacks.insert(0, AsAsked(before.changed, parts.chosen))


def changes(then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By full key, what it was and what it is to be, None where there was no such key."""
    after = dict(flat(now))
    before = filled_in(dict(flat(then)), after)
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


class AsAsked(Callback):
    """Gives callbacks the settings back that the state in the checkpoint has overwritten with those of before, and lets
    a run that had been stopped early train on where what stopped it has changed."""

    def __init__(self, changed: Mapping[str, tuple[Any, Any]], chosen: Mapping[str, Callback]) -> None:
        self.chosen = chosen
        keys = [key.split(".") for key in changed if key.startswith("callbacks.") and not key.endswith("dirpath")]
        self.settings = [
            (chosen[name], rest[0], getattr(chosen[name], rest[0]))
            for _, name, *rest in keys
            if len(rest) == 1 and hasattr(chosen.get(name), rest[0])
        ]
        self.stops = {name for _, name, *_ in keys if isinstance(chosen.get(name), EarlyStopping)}
        gone = {name for _, name, *_ in keys if name not in chosen}
        targets = [str(changed.get(f"callbacks.{name}._target_", ("",))[0]) for name in gone]
        self.one_is_gone = any(target.endswith("EarlyStopping") for target in targets)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for callback, name, value in self.settings:
            if getattr(callback, name) != value:
                setattr(callback, name, value)
        stopping = {name: c for name, c in self.chosen.items() if isinstance(c, EarlyStopping) and has_stopped(c)}
        for name in self.stops & stopping.keys():
            waits = stopping[name].stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED
            if not waits or stopping[name].wait_count < stopping[name].patience:
                stopping.pop(name).stopping_reason = EarlyStoppingReason.NOT_STOPPED
        if self.stops or self.one_is_gone:
            trainer.should_stop = bool(stopping)
