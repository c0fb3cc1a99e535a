"""Folders that others have made: what goes on in them, or opens them, leaves everything outside of them as it is."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from conftest import Process, compose_config
from kindling import compose, train
from kindling.config.resume import quoted
from kindling.errors import UserError

SECRET = "the-password"
CALM = ["model=xor", "trainer=cpu", "data.batch_size=4", "trainer.max_epochs=2"]
Plant = Callable[[Path, Path], None]  # into a run folder, with a folder elsewhere


def digest(folder: Path) -> dict[str, str]:
    """Everything in it, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    train(compose([*CALM, f"run_dir={quoted(folder)}"]))
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was interrupted. Beside it lie files that are none of its business; the process runs there too."""
    monkeypatch.setenv("SECRET", SECRET)
    for name in ("notes.csv", "best.ckpt", ".old.ckpt.tmp", "learning_curves.png", "train.log", "model.pt2"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / "elsewhere" / name).write_text("epoch,step\n7,7\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.copytree(made, tmp_path / "theirs" / "run")
    told(tmp_path / "theirs" / "run", CALM)
    return tmp_path / "theirs" / "run"


def told(folder: Path, overrides: list[str]) -> None:
    """The record of a run that was started with these overrides, as the attacker has made it fit."""
    cfg = compose_config(*[text for text in overrides if "SECRET" not in text], f"run_dir={quoted(folder)}")
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    (folder / "overrides.yaml").write_text(yaml.safe_dump(overrides))


def go_on(folder: Path, *overrides: str) -> str:
    """What was said against it; nothing where the run went on to its end. All else is as it was."""
    others = {path: digest(path) for path in (folder.parent.parent / "elsewhere", Path.cwd())}
    beside = sorted(path.name for path in folder.parent.iterdir())
    try:
        train(compose([*overrides, f"resume={quoted(folder)}", "trainer.max_epochs=3"]))
        sentence = ""
    except (UserError, SystemExit) as error:
        sentence = str(error)
    assert others == {path: digest(path) for path in others}
    assert beside == sorted(path.name for path in folder.parent.iterdir())
    assert sentence.isprintable()
    assert SECRET not in sentence
    return sentence


# What lies in the folder.


def link(name: str, target: str, folder: Path, elsewhere: Path) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(elsewhere / target)


def move_and_link(name: str, folder: Path, elsewhere: Path) -> None:
    """As it was, but elsewhere."""
    home = folder.parent.parent / "home"
    home.mkdir()
    (folder / name).rename(home / name)
    (folder / name).symlink_to(home / name)


def hard_link(name: str, target: str, folder: Path, elsewhere: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).hardlink_to(elsewhere / target)


def pipe(name: str, folder: Path, elsewhere: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def relative_link(folder: Path, elsewhere: Path) -> None:
    (folder / "train.log").symlink_to("../../elsewhere/train.log")


def chain(folder: Path, elsewhere: Path) -> None:
    (folder / "a").symlink_to(elsewhere)
    (folder / "figures").symlink_to("a")


def to_the_root(folder: Path, elsewhere: Path) -> None:
    (folder / "figures").symlink_to("/")


def listening(folder: Path, elsewhere: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("x")
        os.chdir(elsewhere)


PLANTED: dict[str, Plant] = {
    **{f"link {name}": partial(link, name, target) for name, target in (
        ("metrics.csv", "notes.csv"), ("metrics.csv.tmp", "notes.csv"), (f"metrics.csv.{os.getpid()}.tmp", "notes.csv"),
        ("summary.json.tmp", "notes.csv"), ("train.log", "train.log"), ("train.log", "new.log"), (".lock", "notes.csv"),
        ("checkpoints", "."), ("checkpoints/best.ckpt", "best.ckpt"), ("checkpoints/new.ckpt", "new.ckpt"),
        ("checkpoints/.x.ckpt.tmp", ".old.ckpt.tmp"), ("figures", "."), ("figures/learning_curves.png", "learning_curves.png"),
        ("members.csv", "notes.csv"), ("tensorboard", "."), ("wandb", "."), ("wandb/run-1/files", "."), ("lightning_logs", "new"),
    )},
    **{f"moved {name}": partial(move_and_link, name) for name in ("summary.json", "config.yaml", "overrides.yaml", "checkpoints")},
    **{f"hard link {name}": partial(hard_link, name, target) for name, target in (
        ("metrics.csv", "notes.csv"), ("train.log", "train.log"), (".lock", "notes.csv"), ("figures/confusion.png", "learning_curves.png"),
    )},
    **{f"pipe {name}": partial(pipe, name) for name in ("train.log", "metrics.csv", "summary.json", ".lock", "checkpoints/last.ckpt")},
    "relative link": relative_link, "chain of links": chain, "link to the root": to_the_root, "socket": listening,
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_leads_out_of_a_folder_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    PLANTED[name](folder, tmp_path / "elsewhere")
    sentence = go_on(folder)
    assert any(words in sentence for words in ("leads out of the folder", "hard link", "is a device or a pipe"))


def test_what_stays_within_a_folder_is_not(folder: Path, tmp_path: Path) -> None:
    (folder / "latest.png").symlink_to("figures/learning_curves.png")
    (tmp_path / "kept.ckpt").hardlink_to(folder / "checkpoints" / "last.ckpt")
    kept = (tmp_path / "kept.ckpt").read_bytes()
    assert go_on(folder) == ""
    assert (tmp_path / "kept.ckpt").read_bytes() == kept
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 3


# What the folder says.

WRITER = "lightning.pytorch.callbacks.OnExceptionCheckpoint"
SAID = {
    "leads out of the run folder": [
        ["callbacks.best.dirpath=HERE"], ["callbacks.last.dirpath=HERE/checkpoints"], ["callbacks.figures.run_dir=HERE"],
        ["callbacks.best.dirpath=checkpoints"], ["callbacks.best.dirpath=~/x"], ["callbacks.best.dirpath=file://HERE"],
        ["callbacks.best.filename=../../../elsewhere/x"], ["callbacks.best.dirpath='${run_dir}/../../elsewhere'"],
        ["callbacks.last.filename=HERE/x"], ["+callbacks.e={_target_:TARGET,dirpath:HERE}".replace("TARGET", WRITER)],
        ["trainer.default_root_dir=HERE"], ["trainer.default_root_dir=null"], ["~trainer.default_root_dir"],
        ["logger=tensorboard", "logger.tensorboard.save_dir=HERE"], ["logger=tensorboard", "logger.tensorboard.name=HERE"],
        ["logger=tensorboard", "logger.tensorboard.version=../../../elsewhere"],
        ["+logger.csv={_target_:lightning.pytorch.loggers.CSVLogger,save_dir:HERE}"],
        ["logger=wandb", "logger.wandb.save_dir=HERE"],
        ["+trainer.profiler={_target_:lightning.pytorch.profilers.SimpleProfiler,dirpath:HERE,filename:x}"],
        ["debug=profiler", "trainer.profiler.dirpath=HERE"], ["debug=profiler", "trainer.profiler.filename=../../x"],
    ],
    "an argument without a name": [["+callbacks.e={_target_:TARGET,_args_:[HERE]}".replace("TARGET", WRITER)]],
    "is missing is downloaded": [["model=mlp", "data=mnist", "data.source=subset", "data.data_dir=HERE"]],
    "a checkpoint may not": [
        ["+callbacks.x={_target_:os.system,command:id}"], ["+model.x={_target_:builtins.exec,_args_:[1]}"],
        ["+callbacks.x={_target_:lightning.pytorch.callbacks.LambdaCallback}"], ["logger=wandb", "+logger.wandb.entity=them"],
        ["+logger.m={_target_:lightning.pytorch.loggers.MLFlowLogger,tracking_uri:HERE}"],
    ],
    "comes from the environment": [["+model.name='${oc.env:SECRET}'"], ["seed=${oc.decode:${oc.env:SECRET}}"]],
    "may not hold": [
        ["hydra.run.dir=HERE"], [" hydra.job.chdir=true"], ["+hydra/callbacks=x"], ["+logger@hydra.callbacks=wandb"],
        ["hydra.searchpath=[HERE]"],
    ],
}  # fmt: skip
CASES = [(words, overrides) for words, cases in SAID.items() for overrides in cases]


@pytest.mark.parametrize(
    ("words", "overrides"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_a_folder_may_not_say_is_refused(words: str, overrides: list[str], folder: Path, tmp_path: Path) -> None:
    overrides = [text.replace("HERE", str(tmp_path / "elsewhere")) for text in overrides]
    (folder / "overrides.yaml").write_text(yaml.safe_dump([*CALM, *overrides]))
    if "may not hold" not in words and "SECRET" not in str(overrides):
        told(folder, [*CALM, *overrides])
    sentence = go_on(folder)
    assert words in sentence
