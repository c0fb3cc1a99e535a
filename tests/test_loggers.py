"""The record of a run and its loggers: one row an epoch, one W&B run a job, and the same numbers in both."""

import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from conftest import Finished, Process
from kindling.errors import UserError
from kindling.process import quiet
from kindling.running.record import Record
from kindling.running.watched import Monitors, Watched


class Net(L.LightningModule):
    """Two steps an epoch. Logs a value of its own for each stage, in `nan_in` that epoch NaN, and from the second epoch
    on one more."""

    def __init__(self, nan_in: int | None = None) -> None:
        super().__init__()
        self.net, self.nan_in = nn.Linear(1, 1), nan_in

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        value = math.nan if self.current_epoch == self.nan_in else self.current_epoch + batch_idx / 2
        self.log("train/loss", value, on_step=False, on_epoch=True)
        return self.net(batch[0]).sum()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", self.current_epoch / 2)
        if self.current_epoch:
            self.log("val/later", 3.0)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/loss", 9.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(num_batches: int) -> DataLoader:
    return DataLoader(TensorDataset(torch.ones(num_batches, 1)))


def recorded(folder: Path, model: Net | None = None, monitor: str | None = None, **options: Any) -> list[str]:
    """The lines of metrics.csv, of a run of two steps an epoch."""
    quiet()
    off = ("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "logger")
    trainer = L.Trainer(accelerator="cpu", num_sanity_val_steps=2, **{**dict.fromkeys(off, False), **options})
    scores = [Watched("monitor", monitor, "min", "mode")] if monitor else []
    trainer.callbacks += [Monitors(scores), Record(folder)]
    model = model or Net()
    trainer.fit(model, loader(2), loader(1))
    trainer.test(model, loader(1), verbose=False)
    return (folder / "metrics.csv").read_text().splitlines()


def test_an_epoch_is_one_row_of_what_it_logged_whatever_loggers_there_are(tmp_path: Path) -> None:
    assert recorded(tmp_path, max_epochs=1) == ["epoch,step,val/loss,train/loss", "0,2,0.0,0.25"]


def test_a_score_that_comes_up_later_gets_a_column(tmp_path: Path) -> None:
    assert recorded(tmp_path, max_epochs=3) == [
        "epoch,step,val/loss,train/loss,val/later",
        "0,2,0.0,0.25,",
        "1,4,0.5,1.25,3.0",
        "2,6,1.0,2.25,3.0",
    ]


def test_a_validation_within_an_epoch_is_a_row_too(tmp_path: Path) -> None:
    assert recorded(tmp_path, max_epochs=2, val_check_interval=1) == [
        "epoch,step,val/loss,train/loss,val/later",
        "0,1,0.0,,",
        "0,2,0.0,0.25,",
        "1,3,0.5,,3.0",
        "1,4,0.5,1.25,3.0",
    ]


def test_an_epoch_without_a_validation_has_no_value_of_an_old_one(tmp_path: Path) -> None:
    assert recorded(tmp_path, max_epochs=3, check_val_every_n_epoch=2) == [
        "epoch,step,train/loss,val/loss,val/later",
        "0,2,0.25,,",
        "1,4,1.25,0.5,3.0",
        "2,6,2.25,,",
    ]


def test_a_run_that_goes_on_drops_the_rows_that_its_checkpoint_does_not_know(tmp_path: Path) -> None:
    lines = recorded(tmp_path, max_epochs=4)
    record = Record(tmp_path)
    last = {"epoch": 1, "step": 4, "val/loss": 0.5, "train/loss": 1.25, "val/later": 3.0}
    record.load_state_dict({"num_rows": 2, "last": last, "pending": {}})
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    record.on_fit_start(trainer, Net())
    assert (tmp_path / "metrics.csv").read_text().splitlines() == lines[:3]
    record._add(trainer, {"val/loss": 0.125})
    assert (tmp_path / "metrics.csv").read_text().splitlines()[:3] == lines[:3]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_logged_value_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        recorded(tmp_path, Net(nan_in=1), max_epochs=3)
    assert str(error.value) == "train/loss became nan in epoch 1 at step 4"
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 2


def test_a_monitor_that_is_not_logged_ends_the_run_once_all_has_been(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        recorded(tmp_path, monitor="val/los", max_epochs=3)
    assert str(error.value) == (
        "monitor=val/los: is not logged, only val/loss; did you mean val/loss? (monitor=null takes the last checkpoint "
        "for the best)"
    )
    assert recorded(tmp_path, monitor=None, max_epochs=1)


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: a header of 7 bytes, then LevelDB's log format in blocks of 32 KiB.

    Format: https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    content, position, parts = path.read_bytes(), 7, []
    while position + 7 <= len(content):
        if 2**15 - position % 2**15 < 7:
            position += 2**15 - position % 2**15
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        parts.append(content[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield b"".join(parts)
            parts = []


def wandb_history(folder: Path) -> pd.DataFrame:
    """The metrics of an offline run, one row an epoch."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    rows: dict[int, dict[str, float]] = {}
    for record in map(Record.FromString, records(path)):
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        if "epoch" in row and not any(key.startswith("test/") for key in row):
            rows.setdefault(row["epoch"], {}).update(row)
    return pd.DataFrame(rows.values())


def test_the_jobs_of_a_multirun_are_wandb_runs_of_their_own(start: Callable[..., Process], tmp_path: Path) -> None:
    command = ["-m", "model=xor", "seed=0,1", "trainer.max_epochs=3", "logger=wandb", "trainer=cpu"]
    done = start(*command, f"hydra.sweep.dir={tmp_path / 'sweep'}").wait()
    assert done.code == 0, done.text
    ids = []
    for job in ("0", "1"):
        finished = Finished(tmp_path / "sweep" / job)
        table, history = pd.read_csv(finished.folder / "metrics.csv"), wandb_history(finished.folder)
        assert len(table) == 3
        columns = table.columns.drop("step")  # W&B counts steps of its own
        pd.testing.assert_frame_equal(table[columns], history[columns], check_dtype=False)
        ids.append(finished.summary["loggers"]["wandb"])
        assert next(finished.folder.glob("wandb/offline-run-*")).name.endswith(ids[-1])
        assert f"to upload the run: wandb sync {finished.folder}/wandb/offline-run-*" in done.text
    assert len(set(ids)) == 2
    assert Finished(tmp_path / "sweep" / "0").summary["seed"] == 0
    assert Finished(tmp_path / "sweep" / "1").summary["seed"] == 1


def test_tensorboard_writes_its_events(run: Callable[..., Finished]) -> None:
    pytest.importorskip("tensorboard", reason="an extra: pip install 'kindling[tensorboard]'")
    done = run("model=xor", "logger=tensorboard", "trainer.max_epochs=1")
    assert list(done.folder.glob("tensorboard/events.*"))
    assert len(pd.read_csv(done.folder / "metrics.csv")) == 1
