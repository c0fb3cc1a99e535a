"""Loggers: one row an epoch, one W&B run a job, and the same numbers in both."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from conftest import Finished, Process
from kindling.running.loggers import CSVLogger


def test_an_epoch_is_one_row(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path))
    for epoch in range(3):
        logger.log_metrics({"val/loss": epoch / 2, "epoch": epoch}, step=10 * epoch)
        logger.log_metrics({"train/loss": float(epoch), "epoch": epoch}, step=10 * epoch)
    logger.log_metrics({"test/loss": 9.0, "epoch": 3}, step=30)
    logger.finalize("success")
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,step,val/loss,train/loss",
        "0,0,0.0,0.0",
        "1,10,0.5,1.0",
        "2,20,1.0,2.0",
    ]


def test_a_metric_that_comes_later_gets_a_column(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path))
    logger.log_metrics({"a": 1.0, "epoch": 0}, step=0)
    logger.log_metrics({"a": 2.0, "b": 3.0, "epoch": 1}, step=1)
    logger.finalize("success")
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table["b"].isna().tolist() == [True, False]
    assert table["a"].tolist() == [1.0, 2.0]


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
    command = ["-m", "model=xor", "seed=0,1", "trainer.max_epochs=3", "logger=[csv,wandb]", "trainer=cpu"]
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
    assert not (done.folder / "metrics.csv").exists()
