"""What Kindling relies on in Lightning's private parts, on a real Trainer: an update of Lightning that changes it fails
here, and not in a run of somebody."""

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, StochasticWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from conftest import ROOT
from kindling import lightning_internals as internals
from kindling.process import quiet


class Counting(Dataset):
    """Its rows are their numbers; it notes which have been read."""

    def __init__(self, num_rows: int = 5) -> None:
        self.num_rows, self.read = num_rows, list[int]()

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, row: int) -> Tensor:
        self.read.append(row)
        return torch.tensor([float(row)])


class Stream(IterableDataset):
    """The same without a length, in an order that is drawn."""

    def __init__(self, num_rows: int = 5) -> None:
        self.num_rows, self.read = num_rows, list[int]()

    def __iter__(self) -> Iterator[Tensor]:
        for row in torch.randperm(self.num_rows).tolist():
            self.read.append(row)
            yield torch.tensor([float(row)])


class Net(L.LightningModule):
    """Notes the rows that it trains on, and logs them in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.rows = nn.Linear(1, 1), list[int]()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        row = batch["a"] if isinstance(batch, dict) else batch
        self.rows.append(int(row))
        self.log("of_steps", row.mean(), on_step=True, on_epoch=False)
        self.log("mean", row.mean(), on_step=False, on_epoch=True)
        self.log("most", row.mean(), on_step=False, on_epoch=True, reduce_fx="max")
        self.log("both", row.mean(), on_step=True, on_epoch=True)
        if self.current_epoch == 0:
            self.log("first", 1.0, on_step=False, on_epoch=True)
        return self.net(row).sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("validated", 10 + batch.mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Asking(Callback):
    """Calls functions of the trainer at hooks, and keeps what they give."""

    def __init__(self, **functions: Callable[[L.Trainer], Any]) -> None:
        self.found: dict[str, list[Any]] = {name: [] for name in functions}
        for name, function in functions.items():
            setattr(self, name, lambda t, *args, name=name, ask=function: self.found[name].append(ask(t)))


class LateAsking(Asking, Checkpoint):
    """Called last, as what saves checkpoints is."""


def fit(data: Any, *callbacks: Callback, model: Any = None, ckpt_path: Path | None = None, **options: Any) -> Any:
    quiet()
    off = ("logger", "enable_progress_bar", "enable_model_summary")
    trainer = L.Trainer(
        accelerator="cpu",
        callbacks=[LateAsking(), *callbacks],  # one Checkpoint, so that Lightning adds none of its own
        **{"max_epochs": 1, "num_sanity_val_steps": 0, **dict.fromkeys(off, False), **options},
    )
    loaders = data if isinstance(data, dict) else DataLoader(data)
    model = model or Net()
    trainer.fit(model, loaders, DataLoader(Counting(2)), ckpt_path=ckpt_path)
    return model


PATHS = """
    fit_loop._combined_loader.flattened fit_loop._data_fetcher.fetched fit_loop._data_fetcher.length
    fit_loop._data_fetcher.batches fit_loop._data_fetcher.prefetch_batches fit_loop._data_fetcher.__iter__
    fit_loop._should_accumulate fit_loop.epoch_progress.current.processed fit_loop.epoch_progress.current.completed
    fit_loop._restarting fit_loop.epoch_loop._num_ready_batches_reached fit_loop.epoch_loop._on_before_fetch
    fit_loop.epoch_loop._should_check_val_fx fit_loop.epoch_loop._results
    fit_loop.epoch_loop._results.update_metrics fit_loop.epoch_loop._results.training
    fit_loop.epoch_loop.batch_progress.current.ready fit_loop.epoch_loop._batches_that_stepped
    fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.ready
    fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.completed
    fit_loop.epoch_loop.manual_optimization.optim_step_progress.current.ready
    fit_loop.epoch_loop.manual_optimization.optim_step_progress.current.completed
    _logger_connector.log_metrics _logger_connector._first_loop_iter _logger_connector._logged_metrics
    _results._get_cache _results._forked_name _checkpoint_connector.dump_checkpoint
""".split()  # noqa: SIM905
OF_A_METRIC = "has_reset _forward_cache _defaults is_tensor meta.on_epoch meta.is_max_reduction meta.is_min_reduction"


def test_all_that_is_touched_is_there() -> None:
    def missing(trainer: L.Trainer) -> list[str]:
        metric = next(iter(trainer._results.values()))
        places = [(trainer, path) for path in PATHS] + [
            (metric, path) for path in f"{OF_A_METRIC} meta.reduce_fx".split()
        ]
        return [path for place, path in places if not has(place, path)]

    asking = Asking(on_train_batch_end=missing)
    fit(Counting(), asking)
    assert asking.found["on_train_batch_end"] == [[]] * 5


def has(place: object, path: str) -> bool:
    try:
        attrgetter(path)(place)
    except AttributeError:
        return False
    return True


def test_the_list_above_is_complete() -> None:
    """Every private name of a trainer, and what is reached through one, is in it."""
    source = (ROOT / "src" / "kindling" / "lightning_internals.py").read_text()
    of_swa = ["_average_model", "_init_n_averaged"]
    assert vars(StochasticWeightAveraging(0.1)).keys() >= set(of_swa)
    listed = {name for path in [*PATHS, *OF_A_METRIC.split(), *of_swa] for name in path.split(".")}
    assert set(re.findall(r"\.(_[a-z]\w*)", source)) <= listed


def test_nobody_else_touches_them() -> None:
    private = re.compile(r"trainer\._|\.fit_loop\b|_data_fetcher|_combined_loader|epoch_loop\.|_checkpoint_connector")
    for file in (ROOT / "src").rglob("*.py"):
        if file.name != "lightning_internals.py":
            assert not private.search(file.read_text()), file


class Rows(CSVLogger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("unused")
        self.rows: list[tuple[int | None, set[str]]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows.append((step, set(metrics)))

    def save(self) -> None:
        pass


def test_lightning_itself_logs_what_is_of_a_step_alone() -> None:
    class Leaving(Callback):
        def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
            internals.leave_epochs_to_the_record(trainer)

    rows = Rows()
    fit(Counting(4), Leaving(), logger=rows, log_every_n_steps=2)
    assert rows.rows == [(2, {"epoch", "of_steps", "both_step"}), (4, {"epoch", "of_steps", "both_step"})]


def test_loaders_are_all_that_are_combined() -> None:
    first, second = DataLoader(Counting()), DataLoader(Counting(3))
    asking = Asking(on_fit_start=internals.loaders, on_train_start=internals.loaders)
    fit({"a": first, "b": second}, asking)
    assert asking.found == {"on_fit_start": [[]], "on_train_start": [[first, second]]}


@pytest.mark.parametrize("kind", [Counting, Stream])
def test_reading_begins_anew(kind: type) -> None:
    """With what is seeded only then, and without a batch of the old iterator."""

    def seeded(trainer: L.Trainer) -> None:
        torch.manual_seed(3)
        internals.begin_reading(trainer)

    orders = []
    for before in (0, 1):
        torch.manual_seed(before)
        data = kind(20)
        loader = DataLoader(data, shuffle=True) if kind is Counting else DataLoader(data)
        orders.append(fit({"a": loader}, Asking(on_train_start=seeded)).rows)
        assert sorted(orders[-1]) == list(range(20))
        assert data.read[len(data.read) - 20 :] == orders[-1]
    assert orders[0] == orders[1]


def test_without_that_lightning_has_read_a_batch_before_anything_could_be_seeded() -> None:
    data = Stream()
    asking = Asking(on_train_start=lambda trainer: len(data.read))
    fit(data, asking)
    assert asking.found["on_train_start"] == [1]


@pytest.mark.parametrize("kind", [Counting, Stream])
def test_batches_are_skipped_by_reading_them(kind: type, tmp_path: Path) -> None:
    """Of a run that goes on, of which Lightning knows that two of its batches are done."""
    path = tmp_path / "x.ckpt"

    def save(trainer: L.Trainer) -> None:
        if internals.batches_done(trainer) == 2:
            trainer.save_checkpoint(path)

    def begin(trainer: L.Trainer) -> None:
        torch.manual_seed(3)
        internals.begin_reading(trainer)

    def begin_and_skip(trainer: L.Trainer) -> None:
        begin(trainer)
        internals.skip_batches(trainer, 2)

    whole = fit(kind(), Asking(on_train_start=begin, on_train_batch_end=save)).rows
    data = kind()
    last = Asking(on_train_batch_end=lambda trainer: trainer.is_last_batch)
    ended = Asking(on_train_epoch_end=lambda trainer: trainer.global_step)
    rest = fit(data, Asking(on_train_start=begin_and_skip), last, ended, ckpt_path=path).rows
    assert rest == whole[2:]
    assert data.read[-5:] == whole
    assert last.found["on_train_batch_end"] == [False, False, True]
    assert ended.found["on_train_epoch_end"] == [5]


def test_without_a_length_one_batch_is_read_ahead() -> None:
    for data, ahead in ((Counting(), False), (Stream(), True)):
        asking = Asking(on_train_batch_end=lambda t, data=data: (internals.reads_ahead(t), len(data.read)))
        fit(data, asking)
        found = asking.found["on_train_batch_end"]
        assert [reads for reads, _ in found] == [ahead] * 5
        assert [count for _, count in found] == [min(number + ahead, 5) for number in range(1, 6)]


@pytest.mark.parametrize("kind", [Counting, Stream])
def test_a_call_comes_before_each_further_batch_is_read(kind: type) -> None:
    data, counts = kind(), []
    noting = Asking(
        on_train_start=lambda trainer: internals.before_each_batch(trainer, lambda: counts.append(len(data.read)))
    )
    model = fit(data, noting)
    assert counts == ([0, 1, 2, 3, 4] if kind is Counting else [1, 2, 3, 4, 5])  # the last: whether there is one more
    assert len(model.rows) == 5


def test_it_is_known_when_a_validation_comes_and_when_gradients_are_left() -> None:
    asking = Asking(on_train_batch_end=lambda t: (internals.validates_now(t), internals.accumulates(t)))
    fit(Counting(5), asking, val_check_interval=2, accumulate_grad_batches=2)
    assert asking.found["on_train_batch_end"] == [
        *((False, True), (True, False), (False, True), (True, False), (False, False))
    ]


def test_fresh_is_what_the_loop_has_logged_since_it_began() -> None:
    late = LateAsking(on_validation_end=internals.fresh, on_train_epoch_end=internals.fresh)
    fit(Counting(), late, max_epochs=2, check_val_every_n_epoch=2)
    of_epoch = {"of_steps": 4.0, "mean": 2.0, "most": 4.0, "both": 2.0}
    assert late.found == {
        "on_validation_end": [{"validated": 10.5}],
        "on_train_epoch_end": [{**of_epoch, "first": 1.0}, of_epoch],
    }


def test_the_latest_scores_have_one_name_each() -> None:
    late = LateAsking(on_train_end=internals.latest)
    fit(Counting(), late)
    scores = {"of_steps": 4.0, "mean": 2.0, "most": 4.0, "both": 2.0, "first": 1.0, "validated": 10.5}
    assert late.found["on_train_end"] == [scores]


def test_what_was_logged_before_a_stop_is_counted_in() -> None:
    so_far: dict[str, Any] = {}

    def note(trainer: L.Trainer) -> None:
        if trainer.global_step == 5 + 3:
            so_far.update(internals.logged_so_far(trainer))

    fit(Counting(), Asking(on_train_batch_end=note), max_epochs=2)
    assert so_far.keys() == {f"training_step.{name}" for name in ("mean", "most", "both")}

    class Rest(Counting):
        def __getitem__(self, row: int) -> Tensor:
            return super().__getitem__(row + 3)

    late = LateAsking(on_train_epoch_end=internals.fresh)
    fit(Rest(2), Asking(on_train_start=lambda trainer: internals.add_when_logged(trainer, dict(so_far))), late)
    assert late.found["on_train_epoch_end"] == [{"of_steps": 4.0, "mean": 2.0, "most": 4.0, "both": 2.0, "first": 1.0}]


def test_the_end_of_an_epoch_and_its_batches_are_told() -> None:
    def ask(trainer: L.Trainer) -> tuple[bool, int, int]:
        return internals.epoch_is_done(trainer), internals.batches_done(trainer), internals.epochs_begun(trainer)

    late = LateAsking(on_train_batch_end=ask, on_train_epoch_end=ask)
    fit(Counting(3), late, max_epochs=2)
    assert late.found["on_train_batch_end"] == [(False, batch, epoch) for epoch in (1, 2) for batch in (1, 2, 3)]
    assert late.found["on_train_epoch_end"] == [(True, 3, 1), (True, 3, 2)]


@pytest.mark.parametrize("length", [{"max_epochs": 2}, {"max_epochs": -1, "max_steps": 6}], ids=["epochs", "steps"])
@pytest.mark.parametrize("mended", [False, True])
def test_a_checkpoint_from_the_end_of_an_epoch_begins_the_next(
    mended: bool, length: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "x.ckpt"
    fit(Counting(3), LateAsking(on_train_epoch_end=lambda trainer: trainer.save_checkpoint(path)))
    checkpoint = torch.load(path, weights_only=False)
    if mended:
        internals.begin_next_epoch(checkpoint["loops"]["fit_loop"])
        torch.save(checkpoint, path)
    asking = Asking(
        on_train_start=lambda trainer: trainer.current_epoch,
        on_train_epoch_end=lambda trainer: (trainer.current_epoch, trainer.global_step),
    )
    model = fit(Counting(3), asking, ckpt_path=path, **length)
    assert model.rows == [0, 1, 2]
    # By itself Lightning ends the first epoch once more where steps are counted; should it no longer do so,
    # begin_next_epoch can go.
    again = not mended and "max_steps" in length
    assert asking.found["on_train_start"] == [0 if again else 1]
    assert asking.found["on_train_epoch_end"] == [*[(0, 3)] * again, (1, 6)]


class Manual(Net):
    """Takes steps that Lightning does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        super().training_step(batch, batch_idx)
        internals.count_steps(self.trainer, 4)


def test_steps_that_lightning_did_not_see_are_counted() -> None:
    def counts(trainer: L.Trainer) -> tuple[int, int]:
        return trainer.global_step, trainer.fit_loop.epoch_loop._batches_that_stepped

    asking = Asking(on_train_batch_end=counts)
    fit(Counting(2), asking, model=Manual())
    assert [steps for steps, _ in asking.found["on_train_batch_end"]] == [4, 8]
    assert asking.found["on_train_batch_end"][-1][1] in (7, 8)  # Lightning counts the batch itself, before or after


@pytest.mark.parametrize(("first", "then"), [(Net, Manual), (Manual, Net)])
def test_a_run_goes_on_with_its_steps_whichever_optimization_counted_them(
    first: type, then: type, tmp_path: Path
) -> None:
    late = LateAsking(on_train_epoch_end=internals.checkpoint_of)
    fit(Counting(2), late, model=first())
    (checkpoint,) = late.found["on_train_epoch_end"]
    assert {"state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch"} <= checkpoint.keys()
    internals.write_steps_for_both(checkpoint, 7)
    internals.begin_next_epoch(checkpoint["loops"]["fit_loop"])
    torch.save(checkpoint, tmp_path / "x.ckpt")
    asking = Asking(on_train_start=lambda trainer: trainer.global_step)
    fit(Counting(2), asking, model=then(), ckpt_path=tmp_path / "x.ckpt", max_epochs=2)
    assert asking.found["on_train_start"] == [7]
