"""The scores that decide something: held against what the model logs, before it learns and once it has logged."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig
from torchmetrics import Metric, MetricCollection

from kindling import abilities
from kindling import lightning_internals as internals
from kindling.errors import UserError, did_you_mean, some
from kindling.running.callbacks import Late

log = logging.getLogger(__name__)

# Of these, wherever they end a name, more is better. That alone refuses nothing: an attack may want a low accuracy.
MORE_IS_BETTER = re.compile(r"(^|[/_.])(acc(uracy)?|f1|auc|auroc|precision|recall|r2|iou|dice|psnr|ssim|bleu)$", re.I)
LESS_IS_BETTER = re.compile(r"(^|[/_.])(loss|err(or)?|mse|rmse|mae|nll|bce|brier|perplexity|ppl|fid|[wc]er)$", re.I)


class Watched(NamedTuple):
    """A score that decides something: which checkpoint is the best, or when a run ends."""

    key: str  # of the config, which says which score: monitor, or callbacks.stop.monitor
    name: str
    mode: str | None
    mode_key: str

    @property
    def of_training(self) -> bool:
        return self.name.startswith("train")


def watched(cfg: DictConfig, callbacks: Mapping[str, Callback]) -> list[Watched]:
    """The monitor of the run, and those of its callbacks that differ."""
    found = [Watched("monitor", cfg.monitor, cfg.mode, "mode")] if cfg.monitor else []
    for name, callback in callbacks.items():
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", None)
        if not isinstance(monitor, str) or (monitor, mode) == (cfg.monitor, cfg.mode):
            continue
        if getattr(callback, "strict", True):  # else the user says that it may be missing
            new = "" if "mode" in cfg.callbacks[name] else "+"
            found.append(Watched(f"callbacks.{name}.monitor", monitor, mode, f"{new}callbacks.{name}.mode"))
    return found


def mode_of(name: str, node: DictConfig, cfg: DictConfig, model: L.LightningModule) -> dict[str, str]:
    """What `mode: auto` of callbacks.NAME comes to, where it is auto: what is best of the score that it watches.

    What the model then logs as a metric has the last word: see Monitors.

    Raises:
        UserError: where there is no score to watch, or nobody says what is best of it.
    """
    if node.get("mode") != "auto":
        return {}
    monitor = node.get("monitor")
    if monitor is None:
        raise UserError(f"callbacks.{name}.monitor=null: leaves it nothing to watch; name a score that is logged")
    by_name = "max" if MORE_IS_BETTER.search(monitor) else "min" if LESS_IS_BETTER.search(monitor) else None
    by_metric = dict(best_of_parts(model)).get(monitor.replace("/", "_"), by_name)
    mode = cfg.mode if monitor == cfg.monitor else abilities.scores(model).get(monitor) or by_metric
    if mode is None:
        raise UserError(f"callbacks.{name}.mode=auto: nothing tells what is best of {monitor}; set it to min or max")
    return {"mode": mode}


def best_of_parts(model: L.LightningModule) -> Iterator[tuple[str, str]]:
    """Of the metrics that are parts of the model, under the names by which most would log them."""
    for place, part in model.named_modules():
        metrics = part.items() if isinstance(part, MetricCollection) else [(place, part)]
        for name, metric in metrics:
            if isinstance(metric, Metric) and metric.higher_is_better is not None:
                yield re.sub("[/.]", "_", name), "max" if metric.higher_is_better else "min"


def monitor_problems(cfg: DictConfig, model: L.LightningModule, callbacks: Mapping[str, Callback]) -> Iterator[str]:
    scores = abilities.scores(model)
    validates = cfg.trainer.get("limit_val_batches") != 0
    for key, name, mode, mode_key in watched(cfg, callbacks):
        best = scores.get(name)
        if not validates and name.startswith("val"):
            yield f"trainer.limit_val_batches=0: {key}={name} is never measured; {instead_of(key)}"
        elif scores and name not in scores:
            yield (
                f"{key}={name}: {cfg.model._target_} measures no such thing, only {some(scores)}"
                f"{did_you_mean(name, scores)}"
            )
        elif mode and best not in (None, mode):
            yield wrong_mode(name, mode, str(best), key, mode_key)
        elif mode == "min" and not best and MORE_IS_BETTER.search(name):
            log.warning(
                f"WARNING: {key}={name}: the least is taken for the best; if it is the most, set {mode_key}=max"
            )


def instead_of(key: str) -> str:
    return "monitor=null takes the last checkpoint for the best" if key == "monitor" else "leave it out"


def wrong_mode(name: str, mode: str, best: str, key: str, mode_key: str) -> str:
    return f"{mode_key.lstrip('+')}={mode}: for {key}={name} the best is the {best}imum; set {mode_key}={best}"


class Monitors(Late):
    """Ends the run after its first validation where a score that something watches is not logged, or is best the other
    way round. It comes before those that watch, which is for `build` to see to."""

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.watched = watched
        self.seen: set[str] = set()
        self.validated = False

    def state_dict(self) -> dict[str, object]:
        return {"seen": sorted(self.seen), "validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        self.seen, self.validated = set(state_dict["seen"]), bool(state_dict["validated"])  # type: ignore[call-overload]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.validated = True
            self._check(trainer, [score for score in self.watched if not score.of_training])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validates = trainer.enable_validation and is_overridden("validation_step", pl_module)
        complete = self.validated or not validates
        self._check(trainer, [score for score in self.watched if score.of_training or complete])

    def _check(self, trainer: L.Trainer, scores: Sequence[Watched]) -> None:
        self.seen |= internals.latest(trainer).keys() | internals.fresh(trainer).keys()
        known = internals.best_of_metrics(trainer)
        for key, name, mode, mode_key in scores:
            if trainer.fast_dev_run:  # type: ignore[attr-defined]
                return
            if name not in self.seen:
                logged = f"only {some(sorted(self.seen))}" if self.seen else "and nothing else"
                near = did_you_mean(name, self.seen)
                raise UserError(f"{key}={name}: is not logged, {logged}{near} ({instead_of(key)})")
            if mode and known.get(name, mode) != mode:
                raise UserError(wrong_mode(name, mode, known[name], key, mode_key))
