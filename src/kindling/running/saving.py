"""What the callbacks that save checkpoints are told to save, held against the run before it learns."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from omegaconf import DictConfig

from kindling import abilities
from kindling.checkpoints.last import LastCheckpoint
from kindling.errors import did_you_mean, some


def saving_problems(cfg: DictConfig, model: L.LightningModule, callbacks: Mapping[str, Callback]) -> Iterator[str]:
    """Where a checkpoint would be overwritten by another, or hold other weights than its score was measured with."""
    places: dict[Path, str] = {}
    scores = abilities.scores(model)
    for name, callback in callbacks.items():
        if isinstance(callback, LastCheckpoint):
            places[callback.path.absolute().with_suffix("")] = f"callbacks.{name}"
    for name, callback in callbacks.items():
        if not isinstance(callback, ModelCheckpoint):
            continue
        node, key = cfg.callbacks[name], f"callbacks.{name}"
        file = str(callback.filename or "{epoch}-{step}")
        place = Path(callback.dirpath or f"{cfg.run_dir}/checkpoints").absolute() / file
        if place in places:
            yield f"{key}.filename={file}: {places[place]} saves to the same file; name them apart"
        places.setdefault(place, key)
        if ".." in Path(file).parts or Path(file).is_absolute():
            yield f"{key}.filename={file}: leads out of its folder, {key}.dirpath; name a file in it"
        if file == "best" and callback.monitor != cfg.monitor:
            own, runs = (monitor or "null" for monitor in (callback.monitor, cfg.monitor))
            yield (
                f"{key}.monitor={own}: best.ckpt is the best by monitor={runs}; set monitor={own} instead, or another "
                f"{key}.filename"
            )
        if callback.save_top_k == 0 and callback.monitor == cfg.monitor:
            yield f"{key}.save_top_k=0: saves nothing; {key}=null says that the last weights are what counts"
        stages = {score.partition("/")[0] for score in scores}
        for score in [score for score in scores_of(file) if score.partition("/")[0] in stages and score not in scores]:
            yield f"{key}.filename={file}: {score} is not measured, only {some(scores)}{did_you_mean(score, scores)}"
        if node.get("save_weights_only") and callback.monitor == cfg.monitor:
            yield (
                f"{key}.save_weights_only=true: what a run is opened again with would be missing; leave it out "
                "(scripts/export.py RUN writes weights alone)"
            )
        if cfg.population > 1 and callback.save_top_k not in (0, 1) and callback.monitor == cfg.monitor:
            yield f"{key}.save_top_k={callback.save_top_k}: of a population the best member alone is kept"
        if cfg.population > 1 and scores_of(file) and callback.monitor == cfg.monitor:
            yield f"{key}.filename={file}: of a population the best member alone is kept, under one name"
        yield from _stale(cfg, model, callback, key)


def _stale(cfg: DictConfig, model: L.LightningModule, callback: ModelCheckpoint, key: str) -> Iterator[str]:
    """Settings that save at other moments than those at which the monitor is measured."""
    node = cfg.callbacks[key.partition(".")[2]]
    at_steps = str(callback.monitor).startswith("train") and callback.monitor not in abilities.scores(model)
    if callback.monitor is None or at_steps:
        return
    for setting in ("every_n_train_steps", "train_time_interval"):
        if node.get(setting):
            yield (
                f"{key}.{setting}={node[setting]}: the weights would not be those that {callback.monitor} was measured "
                f"with; leave it out, or validate as often: trainer.val_check_interval={node[setting]}"
            )
    every = cfg.trainer.get("check_val_every_n_epoch", 1), cfg.trainer.get("val_check_interval") or 1.0
    if node.get("save_on_train_epoch_end") and every != (1, 1.0) and not str(callback.monitor).startswith("train"):
        yield (
            f"{key}.save_on_train_epoch_end=true: the weights would not be those that {callback.monitor} was measured "
            "with, since there is not a validation at the end of each epoch; leave it out"
        )


def scores_of(filename: str) -> list[str]:
    """Those that are to be in the names of files."""
    return re.findall(r"{([^{}:]+)[^{}]*}", filename)


def name_files(callback: ModelCheckpoint) -> None:
    """Where several are saved, under names of their own; and where a score has a slash in its name, which would make
    folders, with a `_` in its place."""
    if callback.save_top_k not in (0, 1) and callback.filename and "{" not in callback.filename:
        callback.filename += "-{epoch}-{step}"
    if callback.auto_insert_metric_name and any("/" in score for score in scores_of(callback.filename or "")):
        callback.filename = re.sub(
            r"{([^{}:]+)", lambda found: f"{found[1].replace('/', '_')}={found[0]}", str(callback.filename)
        )
        callback.auto_insert_metric_name = False


def tell_apart(callbacks: Mapping[str, Callback]) -> None:
    """Lightning refuses two callbacks that keep their state under one name, as those with the same monitor do."""
    taken: set[str] = set()
    for name, callback in callbacks.items():
        if callback.state_key in taken:
            kind = type(callback)
            callback.__class__ = type(kind.__name__, (kind,), {"state_key": f"{callback.state_key} {name}"})
        taken.add(callback.state_key)
