"""The record of a run and its loggers: one row an epoch, one W&B run a job, and the same numbers in both."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import wandb_sweep
from conftest import ROOT, Finished, Process
from kindling import compose, train
from kindling.errors import UserError
from kindling.process import quiet
from kindling.reopening.run import Run as Opened
from kindling.running.callbacks import Late
from kindling.running.loggers import wandb
from kindling.running.record import Record
from kindling.running.watched import Monitors, Watched
from kindling.sweep.wandb_sweep import wandb_sweep as sweep_of
from wandb_file import Held, read


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


KEPT = ["model=xor", "trainer=cpu", "trainer.max_epochs=4", "data.num_repeats=3"]
Run = Callable[..., Finished]


class Killed(Late):
    """As by a power cut in the third epoch, when its row has been written and its checkpoint has not."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise OSError("killed")


def killed_and_resumed(folder: Path, *overrides: str) -> Finished:
    with pytest.raises(OSError, match="killed"):
        train(compose([*KEPT, *overrides, f"run_dir={folder}"]), [Killed()])
    train(compose([f"resume={folder}"]))
    return Finished(folder)


def rows_of(folder: Path) -> list[dict[str, float]]:
    """Those of metrics.csv, without what is empty."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def in_wandb(folder: Path) -> list[Held]:
    return [read(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A run that was killed and has gone on, with all loggers that are here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        yield killed_and_resumed(tmp_path_factory.mktemp("loggers") / "run", "logger=[csv,wandb,tensorboard]")


def test_wandb_holds_the_history_to_the_digit_also_of_a_run_that_goes_on(resumed: Finished) -> None:
    first, second = in_wandb(resumed.folder)
    assert first.run == second.run
    assert first.run["id"] == resumed.summary["loggers"]["wandb"]
    assert first.course + second.course == rows_of(resumed.folder)
    steps = [row["_step"] for row in first.history + second.history]
    assert steps == sorted(set(steps))  # W&B's own count goes on where it was
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert first.axes["*"] == first.axes["val/loss"] == "step"


def test_wandb_holds_what_the_run_is_and_how_it_ended(resumed: Finished) -> None:
    first, second = in_wandb(resumed.folder)
    summary = resumed.summary
    assert first.run["name"] == f"{resumed.folder.parent.name}/run"
    assert (first.run["project"], first.run["job_type"], first.run["tags"]) == ("kindling", "train", ["xor"])
    assert first.config["optimizer"]["lr"] == 0.1
    assert first.config["git"] == summary["git"]
    held, monitor = second.summary, summary["monitor"]
    assert held["best/val/loss"] == monitor["best"]
    assert (held["best/epoch"], held["epoch"], held["parameters"]) == (monitor["epoch"], 3, 17)
    assert held["val/loss"]["last"] == rows_of(resumed.folder)[-1]["val/loss"]
    assert {name: held[name] for name in summary["metrics"]} == pytest.approx(summary["metrics"], abs=0)


def test_wandb_holds_what_the_run_leaves(resumed: Finished) -> None:
    (held,) = in_wandb(resumed.folder)[1:]
    files = sorted(resumed.folder.glob("wandb/offline-run-*/files"))[-1]
    for path in resumed.folder.glob("figures/*.png"):
        assert (files / held.summary[f"figures/{path.stem}.path"]).read_bytes() == path.read_bytes()
    table = json.loads((files / held.summary["predictions.path"]).read_text())
    assert table["columns"] == ["row", "x1", "x2", "label", "prediction", "probability", "wrong"]
    assert len(table["data"]) == 4
    name = f"model-{held.run['id']}"
    aliases, manifest = held.artifacts[name]
    assert {"best", "last"} <= set(aliases)
    assert manifest == {"best.ckpt": str(resumed.folder / "checkpoints" / "best.ckpt")}
    staged = held.artifacts[f"run-{held.run['id']}-predictions"][1].values()
    assert all(Path(path).is_relative_to(resumed.folder) and Path(path).exists() for path in staged)


def events(folder: Path) -> Any:
    pytest.importorskip("tensorboard", reason="an extra: pip install 'kindling[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = EventAccumulator(str(folder / "tensorboard"), {"images": 0, "scalars": 0}, purge_orphaned_data=False)
    return held.Reload()


def hyperparameters(held: Any) -> tuple[list[dict[str, Any]], list[int]]:
    """Of each start of the run, and how it ended each time."""
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    starts, ends = [], []
    for path in sorted(Path(held.path).glob("events.*")):
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                content = value.metadata.plugin_data.content
                if value.tag == metadata.SESSION_START_INFO_TAG:
                    start = HParamsPluginData.FromString(content).session_start_info
                    found = {name: getattr(v, v.WhichOneof("kind")) for name, v in start.hparams.items()}
                    starts.append(found)
                elif value.tag == metadata.SESSION_END_INFO_TAG:
                    ends.append(HParamsPluginData.FromString(content).session_end_info.status)
    return starts, ends


def test_tensorboard_holds_every_point_once_and_what_the_run_leaves(resumed: Finished) -> None:
    held, rows = events(resumed.folder), rows_of(resumed.folder)
    for name in rows[0].keys() - {"step"}:
        points = [(event.step, event.value) for event in held.Scalars(name)]
        assert points == [(row["step"], pytest.approx(row[name], rel=1e-7)) for row in rows]  # in single precision
    monitor = resumed.summary["monitor"]
    (best,) = held.Scalars("best/val/loss")
    assert (best.step, best.value) == (monitor["step"], pytest.approx(monitor["best"], rel=1e-7))
    assert [event.value for event in held.Scalars("test/loss")] == [
        pytest.approx(resumed.summary["metrics"]["test/loss"], rel=1e-7)
    ]
    assert set(held.Tags()["images"]) == {f"figures/{path.stem}" for path in resumed.folder.glob("figures/*.png")}
    assert held.Tags()["graph"]
    assert "hp_metric" not in held.Tags()["scalars"]


def test_tensorboard_holds_what_was_asked_for_and_how_the_run_ended(resumed: Finished) -> None:
    starts, ends = hyperparameters(events(resumed.folder))
    assert starts[0] == {"model": "xor", "data": "xor", "seed": 0, "trainer": "cpu"} | {
        "trainer.max_epochs": 4,
        "data.num_repeats": 3,
    }
    assert starts[1] == starts[0]
    assert ends == [2, 1]  # failure, success


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MLflow's store, of a run that was killed and has gone on, and of one that has failed."""
    pytest.importorskip("mlflow", reason="an extra: pip install 'kindling[mlflow]'")
    folder = tmp_path_factory.mktemp("mlflow")
    keys = ["scheduler=constant", "logger=mlflow", f"+logger.mlflow.save_dir={folder}"]
    for name in ("killed", "resumed"):
        with pytest.raises(OSError, match="killed"):
            train(compose([*KEPT, *keys, f"run_dir={folder}/{name}"]), [Killed()])
    more = ["trainer.max_epochs=5", f"+logger.mlflow.save_dir={folder}"]
    train(compose([f"resume={folder}/resumed", *more]))
    return folder


def test_mlflow_holds_the_run_once_with_its_course_and_what_it_leaves(store: Path) -> None:
    from mlflow.tracking import MlflowClient

    client, folder = MlflowClient(f"sqlite:///{store}/mlflow.db"), store / "resumed"
    (experiment,) = client.search_experiments(filter_string="name = 'kindling'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {f"{store.name}/killed", f"{store.name}/resumed"}
    assert runs[f"{store.name}/killed"].info.status == "FAILED"
    run, rows = runs[f"{store.name}/resumed"], rows_of(folder)
    assert run.info.status == "FINISHED"
    assert run.info.run_id == Finished(folder).summary["loggers"]["mlflow"]
    assert (run.data.params["optimizer.lr"], run.data.params["trainer.max_epochs"]) == ("0.1", "4")
    assert run.data.tags["resumed.trainer.max_epochs"] == "5"
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
    for name in rows[0].keys() - {"step"}:
        history = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
        assert history == [(row["step"], row[name]) for row in rows]
    assert run.data.metrics["test/loss"] == Finished(folder).summary["metrics"]["test/loss"]
    figures = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {path.name for path in folder.glob("figures/*.png")}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "model")] == ["model/best.ckpt"]


def test_mlflow_that_is_not_installed_is_told_with_the_command_that_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from kindling.running.loggers import mlflow

    monkeypatch.setattr(mlflow, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^logger=mlflow: is not installed; pip install -e '\.\[mlflow\]' does so$"):
        train(compose(["model=xor", "logger=mlflow", f"run_dir={tmp_path / 'run'}"]))


def test_each_job_of_a_sweep_is_one_run_in_one_group(
    start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "one")
    folder = tmp_path / "sweep"
    command = ["-m", "seed=0,1", *KEPT, "logger=[wandb,tensorboard]", "sweep.name=pair", f"hydra.sweep.dir={folder}"]
    done = start(*command).wait()
    assert done.code == 0, done.text
    held = [read(path) for path in sorted(folder.glob("*/wandb/offline-run-*/*.wandb"))]
    assert [job.run["name"] for job in held] == ["sweep/0", "sweep/1"]
    assert len({job.run["id"] for job in held}) == 2
    assert {job.run["group"] for job in held} == {"pair"}
    for number, job in enumerate(held):
        finished = Finished(folder / str(number))
        assert job.course == rows_of(finished.folder)
        assert finished.summary["loggers"]["wandb"] == job.run["id"]
        assert (job.config["seed"], job.exit_code) == (number, 0)
        (told,), _ = hyperparameters(events(finished.folder))
        assert told["seed"] == number
        log = (finished.folder / "train.log").read_text()  # of a job the screen has one line
        assert f"to upload the run: wandb sync {finished.folder}/wandb/offline-run-*" in log


def test_an_agent_of_wandb_runs_the_command_of_its_sweep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    wandb_sweep.main([*KEPT, "sweep=random", "optimizer.lr=tag(log,interval(1e-3,1e-1))", "optimizer=sgd,adamw"])
    sweep = yaml.safe_load(capsys.readouterr().out)
    assert sweep["parameters"] == {
        "optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-3, "max": 0.1},
        "optimizer": {"values": ["sgd", "adamw"]},
    }
    drawn = {"args": {"optimizer.lr": {"value": 0.05}, "optimizer": {"value": "adamw"}}}
    words = create_sweep_command_args(drawn)["args_no_hyphens"]
    macros = {"${env}": ["/usr/bin/env"], "${interpreter}": [sys.executable], "${program}": [sweep["program"]]}
    command = create_sweep_command(sweep["command"])
    argv = [word for part in command for word in {**macros, "${args_no_hyphens}": words}.get(part, [part])]
    folder = tmp_path / "run"
    environment = {**os.environ, "WANDB_RUN_ID": "ofagent", "WANDB_SWEEP_ID": "s1", "WANDB_MODE": "offline"}
    subprocess.run([*argv, f"hydra.run.dir={folder}"], cwd=ROOT, env=environment, check=True, capture_output=True)
    (held,) = in_wandb(folder)
    assert held.run["id"] == "ofagent"
    assert (held.config["optimizer"]["lr"], held.config["optimizer"]["_target_"]) == (0.05, "torch.optim.AdamW")
    assert held.summary[sweep["metric"]["name"]] == Finished(folder).summary["monitor"]["best"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sweep=cmaes", "optimizer.lr=interval(0.1,1)"], "sweep=cmaes: W&B has no such search; take one of grid, "),
        (["optimizer.lr=0.1"], "nothing is swept; give a key a list of values or a range"),
        (["optimizer.lrr=0.1,1"], "optimizer.lrr: no such key; did you mean optimizer.lr?"),
    ],
)
def test_what_wandb_cannot_sweep_is_told(words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=f"^{re.escape(f'error: {sentence}')}"):
        wandb_sweep.main(["model=xor", *words])


def test_a_grid_for_wandb_has_the_values_as_they_stand_in_the_command() -> None:
    found = sweep_of(["model=xor", "compile=true,false", "seed=range(3)", "optimizer.weight_decay=0.0,1e-4"])
    assert found["method"] == "grid"
    assert found["parameters"] == {
        "compile": {"values": ["True", "False"]},
        "seed": {"values": [0, 1, 2]},
        "optimizer.weight_decay": {"values": [0.0, 1e-4]},
    }


@pytest.mark.parametrize("how", ["variable", "command"])
def test_wandb_that_is_switched_off_holds_nothing(
    how: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    if how == "variable":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    else:
        monkeypatch.setattr(wandb, "chosen_by_command", lambda wandb: "disabled")
    done = run(*KEPT, "logger=wandb")
    assert done.summary["status"] == "completed"
    assert not list(done.folder.glob("wandb/*run-*"))
    assert len(rows_of(done.folder)) == 4


def test_a_project_that_wandb_does_not_take_is_told(tmp_path: Path) -> None:
    cfg = compose(["model=xor", "logger=wandb", "logger.wandb.project='a/b'", f"run_dir={tmp_path / 'run'}"])
    with pytest.raises(UserError, match=r"logger\.wandb: Invalid project name 'a/b'"):
        train(cfg)


def test_histograms_of_weights_and_gradients_are_an_option(run: Run) -> None:
    options = ["logger.wandb.histograms=true", "logger.tensorboard.histograms=true"]
    done = run(*KEPT, "logger=[wandb,tensorboard]", *options)
    (held,) = in_wandb(done.folder)
    names = {key.partition("._type")[0] for row in held.history for key in row if key.endswith("._type")}
    weights = {"weights/net.0.weight", "gradients/net.0.weight", "weights/net.2.bias", "gradients/net.2.bias"}
    assert weights <= names
    assert weights <= set(events(done.folder).Tags()["histograms"])
    assert held.course == rows_of(done.folder)


@pytest.mark.parametrize(
    ("overrides", "columns"),
    [
        (["data=digits", "trainer.max_epochs=1"], ["row", "image", "label", "prediction", "probability", "wrong"]),
        (["model=linear_regression", "data=diabetes", "trainer.max_epochs=1"], ["label", "prediction", "error"]),
        (["data=digits", "trainer.max_epochs=1", "test=false"], ["probability", "wrong"]),
        (["data=digits", "trainer.max_epochs=1", "population=2"], ["probability", "wrong"]),  # of the best member
    ],
)
def test_the_table_has_the_worst_predictions_first(overrides: list[str], columns: list[str], run: Run) -> None:
    done = run("trainer=cpu", "logger=wandb", *overrides)
    (held,) = in_wandb(done.folder)
    (files,) = done.folder.glob("wandb/offline-run-*/files")
    table = json.loads((files / held.summary["predictions.path"]).read_text())
    assert table["columns"][-len(columns) :] == columns
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert len(rows) <= 200
    if "error" in columns:
        errors = [abs(row["error"]) for row in rows]
        assert errors == sorted(errors, reverse=True)
        assert rows[0]["error"] == pytest.approx(rows[0]["prediction"] - rows[0]["label"], rel=1e-4)
        return
    keys = [(row["wrong"], row["probability"]) for row in rows]
    assert keys == sorted(keys, reverse=True)
    assert all(row["wrong"] == (row["label"] != row["prediction"]) for row in rows)
    split = "test" if "test=false" not in overrides else "val"
    table_of_all = Opened(done.folder).predictions(split)
    wrong = table_of_all["class"] != table_of_all["true"]
    assert sum(row["wrong"] for row in rows) == wrong.sum()
    assert {row["row"] for row in rows if row["wrong"]} == set(wrong[wrong].index)
