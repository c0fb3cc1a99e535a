"""A run that was stopped goes on as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from torch import nn

import kindling.running.train
from conftest import CONF, ROOT, Finished, compose_config
from kindling import compose, train
from kindling.checkpoints.weights import start_from
from kindling.config.asked import Asked
from kindling.config.command_line import check_command_line
from kindling.config.construct import construct
from kindling.config.quoting import quoted
from kindling.errors import UserError
from kindling.locks import locked
from kindling.process import quiet
from kindling.running.build import Parts, build
from kindling.running.summary import open_summary
from kindling.sweep import job
from test_train import error_of, weights

Run = Callable[..., Finished]

QUICK = ["trainer=cpu", "~callbacks.figures"]
DIGITS = ["data=digits", "data.batch_size=8", "model.dropout=0.2", "trainer.max_epochs=3", *QUICK]  # 6 calls an epoch
CASES = {
    "mlp": DIGITS,
    "single steps": [*DIGITS, "steps_per_call=1", "scheduler=step", "scheduler.step_size=1"],
    "metrics and weights": [*DIGITS, "trainer.max_epochs=2", "metrics=[f1,auroc]", "loss.class_weights=balanced"],
    "xor": ["model=xor", "trainer.max_epochs=3", *QUICK],
    "linear_regression": ["model=linear_regression", "data=diabetes", "trainer.max_epochs=9", *QUICK],
    "population": [*DIGITS, "population=2", "scheduler=warmup_cosine"],
    "sequence": [*DIGITS, "scheduler=sequence"],
    "double precision": [*DIGITS, "trainer.precision=64-true", "trainer.max_epochs=2"],
    "validation within epochs": [*DIGITS, "trainer.max_epochs=2", "trainer.val_check_interval=60"],
}
MOMENTS = {  # calls of Lightning until the signal comes: in the middle of an epoch, at its end, near the end of the run
    "mlp": [2, 6, 18],
    "single steps": [200],
    "metrics and weights": [2, 9],
    "xor": [6],
    "linear_regression": [3],
    "population": [8, 12],
    "sequence": [2, 8],
    "double precision": [60],
    "validation within epochs": [60, 100, 190],
}


class Signal(Callback):
    """Sends one to its own process after so many calls."""

    def __init__(self, number: int, after: int) -> None:
        self.number, self.left = number, after

    def on_train_batch_end(self, *args: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """A run that got a signal: interrupted(overrides, after=3)."""

    def interrupted(overrides: list[str], after: int, number: int = signal.SIGTERM) -> Finished:
        def with_signal(*args: Any) -> Parts:
            parts = build(*args)
            parts.trainer.callbacks.insert(0, Signal(number, after))  # any earlier, and it would ask for every step
            return parts

        with monkeypatch.context() as patch:
            patch.setattr(kindling.running.train, "build", with_signal)
            with pytest.raises(SystemExit) as exit_info:
                job.main(compose([*overrides, f"run_dir={tmp_path / 'stopped'}"]))
        assert exit_info.value.code == 128 + number
        stopped = Finished(tmp_path / "stopped")
        assert stopped.summary["status"] == "interrupted"
        assert stopped.summary["error"]["type"] == signal.Signals(number).name
        return stopped

    return interrupted


def resume(run: Run, stopped: Finished, *overrides: str) -> Finished:
    return run(*overrides, f"resume={stopped.folder}", folder=stopped.folder)


def checkpoint(done: Finished, name: str) -> dict:
    return torch.load(done.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same(one: Finished, other: Finished) -> None:
    for name in ("best", "last"):
        first, second = (checkpoint(done, name)["state_dict"] for done in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    for key in ("status", "metrics", "monitor", "epochs", "steps", "last_epoch"):
        assert one.summary[key] == other.summary[key]
    assert (one.folder / "metrics.csv").read_text() == (other.folder / "metrics.csv").read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_run_goes_on_to_the_same_end_to_the_bit(name: str, run: Run, interrupted: Callable[..., Finished]) -> None:
    expected = run(*CASES[name])
    for after in MOMENTS[name]:
        stopped = interrupted(CASES[name], after)
        done = resume(run, stopped)
        assert_same(done, expected)
        assert len(done.summary["resumed"]) == 1
        for file in sorted(stopped.folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()


def test_a_run_may_be_interrupted_twice_and_by_any_signal(run: Run, interrupted: Callable[..., Finished]) -> None:
    stopped = interrupted(CASES["mlp"], 3, signal.SIGINT)
    interrupted([f"resume={stopped.folder}"], 2, signal.SIGUSR1)
    assert_same(resume(run, stopped), run(*CASES["mlp"]))


def test_checkpoints_within_an_epoch_are_saved_by_time(run: Run, tmp_path: Path) -> None:
    class Positions(Callback):
        seen: list[int] = []  # noqa: RUF012

        def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
            self.seen.append(trainer.train_dataloader.position)

    quiet()
    parts = build(
        compose_config(*DIGITS, "trainer.max_epochs=1", "callbacks.last.every_n_minutes=1e-6", f"run_dir={tmp_path}")
    )
    parts.trainer.callbacks.insert(0, Positions())
    parts.trainer.fit(parts.model, datamodule=parts.datamodule)
    assert Positions.seen == [32, 64, 96, 128, 160, 180, 180]  # the last two: best.ckpt, last.ckpt


@pytest.mark.parametrize("scheduler", ["one_cycle", "cosine", "warmup_cosine", "sequence", "step", "plateau"])
def test_a_finished_run_can_be_made_longer(scheduler: str, run: Run) -> None:
    done = run(*DIGITS, f"scheduler={scheduler}", "trainer.max_epochs=2")
    longer = resume(run, done, "trainer.max_epochs=4")
    assert (longer.summary["epochs"], longer.summary["steps"]) == (4, 720)
    assert longer.summary["status"] == "completed"
    whole = run(*DIGITS, f"scheduler={scheduler}", "trainer.max_epochs=4")
    rates = [(f.folder / "metrics.csv").read_text().splitlines() for f in (longer, whole)]
    column = rates[0][0].split(",").index("lr")
    lr = [[float(line.split(",")[column]) for line in lines[1:]] for lines in rates]
    assert lr[0][2:] == pytest.approx(lr[1][2:])  # the schedule goes on as one of four epochs
    if scheduler == "step":  # which does not depend on the length
        assert_same(longer, whole)


def test_the_folder_of_a_run_may_be_moved(run: Run, interrupted: Callable[..., Finished], tmp_path: Path) -> None:
    stopped = interrupted(CASES["xor"], 7)
    moved = Finished(stopped.folder.rename(tmp_path / "elsewhere"))
    done = Finished(moved.folder, train(compose([f"resume={moved.folder}"])).score)
    assert not stopped.folder.exists()
    assert_same(done, run(*CASES["xor"]))


def test_a_finished_run_stays_as_it_is(run: Run) -> None:
    done = run(*CASES["xor"])
    before = weights(done)
    again = resume(run, done)
    assert all(torch.equal(before[key], value) for key, value in weights(again).items())
    assert again.summary["metrics"] == done.summary["metrics"]


# The command line


def arguments(folder: Path, *argv: str) -> list[str]:
    return check_command_line(CONF, "train", [*argv, f"resume={quoted(folder)}"])


def complaint(folder: Path | str, *argv: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", [*argv, f"resume={quoted(folder)}"])
    assert isinstance(exit_info.value.code, str)
    return exit_info.value.code


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a run that was killed before its first checkpoint, and of which nobody is at work."""
    folder = tmp_path / "bob's run"
    overrides = ["model=xor", "seed=3"]
    folder.mkdir()
    open_summary(compose_config(*overrides, f"run_dir={quoted(folder)}"), Asked(overrides)).write()
    return folder


def test_resume_means_the_overrides_of_the_run_and_then_those_given(killed: Path) -> None:
    place = quoted(killed)
    expected = ["model=xor", "seed=3", "trainer.max_epochs=7", f"resume={place}", f"hydra.run.dir={place}"]
    assert arguments(killed, "trainer.max_epochs=7") == expected


def test_what_cannot_be_gone_on_with_is_named(killed: Path, tmp_path: Path) -> None:
    assert complaint(tmp_path / "nothing") == f"error: resume={tmp_path / 'nothing'}: there is no such folder"
    assert complaint(tmp_path / "no.ckpt") == f"error: resume={tmp_path / 'no.ckpt'}: there is no such file"
    assert complaint(tmp_path).endswith("is not the folder of a run: it has no overrides.yaml")
    assert "optimizer=sgd: a run that goes on keeps its optimizer" in complaint(killed, "optimizer=sgd")
    assert "without -m" in complaint(killed, "-m")
    assert "optimizer.lrr: no such key; did you mean optimizer.lr?" in complaint(killed, "optimizer.lrr=1")
    with locked(killed):
        imports = "from pathlib import Path; from kindling.config.resume import Started"
        code = f"{imports}; print(Started(Path({str(killed)!r})).is_running())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "True\n"


def test_a_run_of_another_config_is_not_gone_on_with(killed: Path) -> None:
    config = yaml.safe_load((killed / "config.yaml").read_text())
    config["optimizer"]["lr"] = 0.5
    (killed / "config.yaml").write_text(yaml.safe_dump(config))
    text = complaint(killed)
    assert "conf/ has changed since the run was started" in text
    assert "optimizer.lr is 0.1, was 0.5" in text


def test_a_run_from_before_conf_had_a_key_is_gone_on_with(killed: Path) -> None:
    config = yaml.safe_load((killed / "config.yaml").read_text())
    for key in ("accumulate_grad_batches", "check_val_every_n_epoch", "gradient_clip_val"):
        del config["trainer"][key]
    config["trainer"]["max_steps"], config["callbacks"]["best"]["save_top_k"] = 9, 3
    (killed / "config.yaml").write_text(yaml.safe_dump(config))
    told = ["model=xor", "seed=3", "+callbacks.best.save_top_k=3", "+trainer.max_steps=9"]
    (killed / "overrides.yaml").write_text(yaml.safe_dump(told))
    assert arguments(killed)[:4] == ["model=xor", "seed=3", "++callbacks.best.save_top_k=3", "++trainer.max_steps=9"]
    assert "++trainer.max_steps=12" in arguments(killed, "trainer.max_steps=12")
    config["trainer"]["gradient_clip_val"] = 0.5
    (killed / "config.yaml").write_text(yaml.safe_dump(config))
    assert "trainer.gradient_clip_val is None, was 0.5" in complaint(killed)


@pytest.mark.parametrize("override", ["hydra.job.chdir=true", "+hydra/callbacks=x", "hydra/launcher=x"])
def test_a_folder_cannot_say_what_hydra_does(override: str, killed: Path) -> None:
    (killed / "overrides.yaml").write_text(yaml.safe_dump(["model=xor", override]))
    assert "overrides.yaml may not hold" in complaint(killed)


def test_a_folder_cannot_name_what_is_executed(killed: Path, run: Run) -> None:
    hostile = "+callbacks.x={_target_:os.system,command:id}"
    (killed / "overrides.yaml").write_text(yaml.safe_dump(["model=xor", "seed=3", hostile]))
    config = yaml.safe_load((killed / "config.yaml").read_text())
    config["callbacks"]["x"] = {"_target_": "os.system", "command": "id"}
    (killed / "config.yaml").write_text(yaml.safe_dump(config))
    text = error_of(run, f"resume={quoted(killed)}", folder=killed)
    assert "callbacks.x._target_=os.system: a checkpoint may not name this" in text


def test_auto_goes_on_with_the_newest_unfinished_run_like_this(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    killed.rename(tmp_path / "outputs")
    folder = tmp_path / "outputs"
    resumed = check_command_line(CONF, "train", ["model=xor", "seed=3", "resume=auto"])
    assert resumed == ["model=xor", "seed=3", f"resume='{folder}'", f"hydra.run.dir='{folder}'"]
    for other in (["seed=4"], ["seed=3", "trainer.gradient_clip_val=1"]):
        assert check_command_line(CONF, "train", ["model=xor", *other, "resume=auto"]) == ["model=xor", *other]
    with pytest.raises(SystemExit, match=r"optimizr.lr: no such key; did you mean optimizer.lr"):
        check_command_line(CONF, "train", ["model=xor", "optimizr.lr=1", "resume=auto"])
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "status": "completed"}))
    assert check_command_line(CONF, "train", ["model=xor", "seed=3", "resume=auto"]) == ["model=xor", "seed=3"]


def test_killed_processes_go_on_to_the_same_end() -> None:
    command = [sys.executable, "scripts/torture.py", "--kills", "1", "--models", "xor", "mlp", "--sweeps", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("2 of 2 are the same to the bit\n")


def test_under_slurm_the_job_is_requeued(tmp_path: Path, interrupted: Callable[..., Finished], monkeypatch) -> None:
    """By SLURM's own command, for which another program stands in here."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    interrupted(CASES["xor"], 2, signal.SIGUSR1)
    assert (tmp_path / "asked").read_text() == "requeue 17\n"


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    callback = construct("callbacks.last", compose_config("run_dir=unused").callbacks.last)
    callback._note(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as exit_info:
        callback._note(signal.SIGINT, None)
    assert exit_info.value.code == 130


# Weights for a new run


def test_a_new_run_starts_from_old_weights(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    old = run(*DIGITS)
    tuned = run(*DIGITS, f"init_from={old.folder}", "optimizer.lr=1e-9", "trainer.max_epochs=1")
    torch.testing.assert_close(weights(tuned), checkpoint(old, "best")["state_dict"], atol=1e-6, rtol=0)
    assert tuned.folder != old.folder
    text = error_of(run, *DIGITS, f"init_from={old.folder}", "model.hidden_features=[128]")
    assert "net.1.weight: (256, 64) there, (128, 64) here" in text
    deeper = run(
        *DIGITS, f"init_from={old.folder}/checkpoints/last.ckpt", "model.normalization=batch", "model.dropout=0"
    )
    assert deeper.summary["status"] == "completed"
    assert "there is no" in error_of(run, *DIGITS, f"init_from={old.folder}/none.ckpt")
    assert "set population=1" in error_of(run, *DIGITS, f"init_from={old.folder}", "population=2")


def net(hidden: int, outputs: int, inputs: int = 3) -> L.LightningModule:
    module = L.LightningModule()
    module.body = nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
    module.head = nn.Linear(hidden, outputs)
    return module


def test_a_head_of_another_size_starts_anew_and_that_is_said(tmp_path: Path) -> None:
    old, new = net(4, 7), net(4, 2)
    torch.save(old.state_dict(), tmp_path / "old.pt")
    drawn = new.head.weight.clone()
    told = start_from(new, str(tmp_path / "old.pt"))
    assert told.endswith(
        "; of another number of outputs, and so drawn anew: head.weight: (7, 4) there, (2, 4) here; "
        "head.bias: (7,) there, (2,) here"
    )
    torch.testing.assert_close(new.body.state_dict(), old.body.state_dict(), rtol=0, atol=0)
    assert torch.equal(new.head.weight, drawn)


@pytest.mark.parametrize(
    ("old", "new"),
    [(net(4, 2), net(5, 2)), (net(4, 2, inputs=2), net(4, 3)), (nn.Linear(3, 2), nn.Linear(3, 4))],
    ids=["width", "inputs", "nothing but a head"],
)
def test_any_other_shape_is_refused(old: nn.Module, new: nn.Module, tmp_path: Path) -> None:
    torch.save(old.state_dict(), tmp_path / "old.pt")
    new.configure_model = lambda: None
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    with pytest.raises(UserError, match=r"the shapes differ: .*there, .*; only a last layer with"):
        start_from(new, str(tmp_path / "old.pt"))
    torch.testing.assert_close(dict(new.state_dict()), before, rtol=0, atol=0)


def test_old_weights_are_needed_once(run: Run, interrupted: Callable[..., Finished]) -> None:
    old = run(*CASES["xor"])
    overrides = [*CASES["xor"], f"init_from={old.folder}/checkpoints/best.ckpt"]
    expected = run(*overrides)
    stopped = interrupted(overrides, 5)
    (old.folder / "checkpoints" / "best.ckpt").unlink()
    assert_same(resume(run, stopped), expected)


def test_loggers_go_on_with_their_runs(run: Run, interrupted: Callable[..., Finished]) -> None:
    overrides = ["model=xor", "logger=wandb", "trainer.max_epochs=2", *QUICK]
    stopped = interrupted(overrides, 5)
    before = stopped.summary["loggers"]["wandb"]
    assert resume(run, stopped).summary["loggers"]["wandb"] == before
    assert pd.read_csv(stopped.folder / "metrics.csv")["epoch"].tolist() == [0, 1]
