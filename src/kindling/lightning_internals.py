"""All that Kindling touches of Lightning's private parts; tests/test_lightning_internals.py pins what it relies on."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.loops.fetchers import _DataLoaderIterDataFetcher
from torch import Tensor


def loaders(trainer: L.Trainer) -> list[Any]:
    """Every loader of the training batches; several may be combined."""
    combined = trainer.fit_loop._combined_loader
    return list(combined.flattened) if combined is not None else []


def begin_reading(trainer: L.Trainer) -> None:
    """Make the iterator of the training batches anew: Lightning has made one before anything could be seeded."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    if hasattr(fetcher, "batches"):
        fetcher.batches.clear()  # read ahead, of the old iterator
    iter(fetcher)


def skip_batches(trainer: L.Trainer, number: int) -> None:
    """Read so many batches and leave them."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    for _ in range(number):
        next(fetcher)
    fetcher.fetched -= number  # Lightning adds the number of those that came before by itself


def step_reads(trainer: L.Trainer) -> bool:
    """Whether training_step takes the iterator (`dataloader_iter`), so that nobody else knows where it is."""
    return isinstance(trainer.fit_loop._data_fetcher, _DataLoaderIterDataFetcher)


def reads_ahead(trainer: L.Trainer) -> bool:
    """Whether a batch more has been read than was trained on: where no length tells which batch is the last."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and fetcher.length is None and bool(getattr(fetcher, "prefetch_batches", 0))


def before_each_batch(trainer: L.Trainer, call: Callable[[], None]) -> None:
    """Have it called before each further batch is read from the loaders."""
    loop = trainer.fit_loop.epoch_loop
    as_usual = loop._on_before_fetch

    def first() -> None:
        call()
        as_usual()

    loop._on_before_fetch = first  # type: ignore[method-assign]


def validates_now(trainer: L.Trainer) -> bool:
    """Whether a validation comes after this batch."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def accumulates(trainer: L.Trainer) -> bool:
    """Whether the last batch left gradients that no step has used."""
    return trainer.fit_loop._should_accumulate()


def fresh(trainer: L.Trainer) -> dict[str, float]:
    """What the loop that is active has logged since it began: of an epoch, or of a validation.

    Of what is logged at steps alone, the last value.
    """
    results: Any = trainer._results
    values: dict[str, Any] = {}
    for metric in results.values():
        if metric.has_reset:
            continue
        value = results._get_cache(metric, on_step=False)
        if value is None and results.training:
            value = metric._forward_cache
        if isinstance(value, Tensor) and value.numel() == 1:
            values[results._forked_name(metric, on_step=False)[0]] = value.item()
    return values


def leave_epochs_to_the_record(trainer: L.Trainer) -> None:
    """Have Lightning itself log what is of a step, at the optimizer steps done; rows of epochs come from the record."""
    connector: Any = trainer._logger_connector
    as_usual = connector.log_metrics

    def log_metrics(metrics: dict[str, Any], step: int | None = None) -> None:
        if connector._first_loop_iter is None:
            connector._logged_metrics.update(metrics)
        elif step is None and "step" not in metrics and metrics:
            as_usual({"epoch": trainer.current_epoch, **metrics}, trainer.global_step)
        else:
            as_usual(metrics, step)

    connector.log_metrics = log_metrics


def best_of_metrics(trainer: L.Trainer) -> dict[str, str]:
    """Whether the most or the least is best, by the metrics that the active loop has logged as objects."""
    results: Any = trainer._results
    found = {}
    for metric in results.values():
        higher = None if metric.is_tensor else metric.value.higher_is_better
        if higher is not None:
            found[results._forked_name(metric, on_step=False)[0]] = "max" if higher else "min"
    return found


def latest(trainer: L.Trainer) -> dict[str, float]:
    """The latest value of every score, without the `_step` and `_epoch` that Lightning adds beside some."""
    values = {name: value.item() for name, value in trainer.callback_metrics.items()}
    doubled = {name for name in values for end in ("_step", "_epoch") if name.endswith(end)}
    return {
        name: value for name, value in values.items() if name not in doubled or name.rpartition("_")[0] not in values
    }


def logged_so_far(trainer: L.Trainer) -> dict[str, dict[str, Tensor]]:
    """The sums behind what the epoch has logged up to here, which Lightning leaves out of its checkpoints."""
    results = trainer.fit_loop.epoch_loop._results
    return {
        key: {name: getattr(metric, name).clone() for name in metric._defaults}
        for key, metric in results.items()
        if metric.is_tensor and metric.meta.on_epoch and not metric.has_reset
    }


def add_when_logged(trainer: L.Trainer, sums: dict[str, dict[str, Tensor]]) -> None:
    """Have what was logged before the run stopped counted in, once the epoch goes on and logs more."""
    results: Any = trainer.fit_loop.epoch_loop._results
    if not sums:
        return
    as_usual = results.update_metrics

    def update(key: str, value: Any, batch_size: int) -> None:
        as_usual(key, value, batch_size)
        metric = results[key]
        for name, before in sums.pop(key, {}).items():
            now = getattr(metric, name)
            of_two = metric.meta.is_max_reduction or metric.meta.is_min_reduction
            setattr(metric, name, (metric.meta.reduce_fx if of_two else torch.add)(before.to(now.device), now))

    results.update_metrics = update


def epoch_is_done(trainer: L.Trainer) -> bool:
    """Whether only the end of the epoch is left of it; not where max_steps has ended it before its last batch."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return progress.processed > progress.completed and trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def epochs_begun(trainer: L.Trainer) -> int:
    """Also where a run that had ended within one has been gone on with and had nothing left to do."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return int(max(progress.processed, progress.started))


def go_on_within_epoch(loop: dict[str, Any]) -> None:
    """An epoch that max_steps has ended before its last batch is one to go on with."""
    for counts in (loop["epoch_progress"]["total"], loop["epoch_progress"]["current"]):
        counts["processed"] = counts["completed"]


def about_to_be_reset(trainer: L.Trainer) -> set[int]:
    """The ids of the metrics that Lightning resets itself when the hook is over: those that were logged as objects."""
    if not (epoch_is_done(trainer) or trainer.validating):
        return set()
    results: Any = trainer._results
    return {id(metric.value) for metric in results.values() if not metric.is_tensor}


def of_all_processes(trainer: L.Trainer, value: Any) -> list[Any]:
    """What each process has, by rank."""
    values = [value] * trainer.world_size
    if trainer.world_size > 1:
        torch.distributed.all_gather_object(values, value)
    return values


def of_this_process(trainer: L.Trainer, values: list[Any]) -> Any:
    return values[trainer.global_rank if len(values) == trainer.world_size else 0]


def any_process(trainer: L.Trainer, own: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(own, all=False) if trainer.world_size > 1 else own


def end_restart(trainer: L.Trainer) -> None:
    """At the end of an epoch that was begun before the run stopped: else no plateau scheduler would make its step."""
    trainer.fit_loop._restarting = False  # its setter says otherwise where max_steps is set


def make_plateau_steps(trainer: L.Trainer, epoch: int) -> None:
    """Those of an epoch whose end was saved before Lightning came to make them."""
    if not trainer.lightning_module.automatic_optimization:
        return
    for config in trainer.lr_scheduler_configs:
        score = trainer.callback_metrics.get(str(config.monitor))
        due = config.reduce_on_plateau and config.interval == "epoch" and (epoch + 1) % config.frequency == 0
        if due and score is not None:
            trainer.lightning_module.lr_scheduler_step(config.scheduler, score)


def batches_done(trainer: L.Trainer) -> int:
    """Of the epoch, including the one that is just ending."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.current.ready)


def begin_next_epoch(loop: dict[str, Any]) -> None:
    """Turn the progress of Lightning's fit loop, saved at the end of an epoch, into that of the start of the next.

    Lightning would do what it does at the end of an epoch once more.
    """
    for counts in (loop["epoch_progress"]["total"], loop["epoch_progress"]["current"]):
        counts["completed"] = counts["processed"]
    batches = loop["epoch_loop.batch_progress"]
    batches["is_last_batch"] = False
    for progress in (batches, loop["epoch_loop.scheduler_progress"]):
        progress["current"] = dict.fromkeys(progress["current"], 0)
    for loader in loop["state_dict"].get("combined_loader", []):
        if "position" in loader:
            loader["position"] = 0


def count_steps(trainer: L.Trainer, num_steps: int) -> None:
    """Tell Lightning of steps that it did not see, for `trainer.global_step` and the step of what is logged."""
    loop = trainer.fit_loop.epoch_loop
    for progress in (
        loop.manual_optimization.optim_step_progress.total,
        loop.manual_optimization.optim_step_progress.current,
    ):
        progress.ready += num_steps
        progress.completed += num_steps
    loop._batches_that_stepped += num_steps - 1


def write_steps_for_both(checkpoint: dict[str, Any], num_steps: int) -> None:
    """Lightning counts steps in one place for automatic optimization and in another for manual; whoever goes on may
    use either."""
    loop = checkpoint["loops"]["fit_loop"]
    manual = loop["epoch_loop.manual_optimization.optim_step_progress"]["total"]
    automatic = loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]
    for total in (manual, automatic):
        total["ready"] = total["completed"] = num_steps


def put_average(callback: StochasticWeightAveraging, model: L.LightningModule) -> None:
    """Its average into the model, which it does itself when training ends; not in a run that had ended before."""
    if callback._average_model is not None and (callback.n_averaged or callback._init_n_averaged):
        callback.transfer_weights(callback._average_model, model)


def checkpoint_of(trainer: L.Trainer) -> dict[str, Any]:
    return trainer._checkpoint_connector.dump_checkpoint(False)
