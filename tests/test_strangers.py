"""Folders that others have made: what goes on in them, or opens them, leaves everything outside of them as it is."""

import hashlib
import json
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from conftest import CONF, compose_unchecked
from kindling import compose, train
from kindling.config import foreign
from kindling.config.resume import quoted
from kindling.config.told import parsed_overrides
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
    return tmp_path / "theirs" / "run"


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


def hard_link(name: str, folder: Path, elsewhere: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).hardlink_to(elsewhere / "notes.csv")


def pipe(name: str, folder: Path, elsewhere: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def relative_link(folder: Path, elsewhere: Path) -> None:
    (folder / "results.txt").symlink_to("../../elsewhere/train.log")


def chain(folder: Path, elsewhere: Path) -> None:
    (folder / "a").symlink_to(elsewhere)
    (folder / "b").symlink_to("a")


def to_the_root(folder: Path, elsewhere: Path) -> None:
    (folder / "data").symlink_to("/")


def listening(folder: Path, elsewhere: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("x")
        os.chdir(elsewhere)


LINKED = {  # in the folder: elsewhere
    "metrics.csv": "notes.csv",
    "metrics.csv.tmp": "notes.csv",
    f"metrics.csv.{os.getpid()}.tmp": "notes.csv",
    "summary.json.tmp": "notes.csv",
    "train.log": "train.log",
    "output.log": "new.log",
    ".lock": "notes.csv",
    "checkpoints": ".",
    "checkpoints/best.ckpt": "best.ckpt",
    "checkpoints/new.ckpt": "new.ckpt",
    "checkpoints/.x.ckpt.tmp": ".old.ckpt.tmp",
    "figures": ".",
    "figures/learning_curves.png": "learning_curves.png",
    "members.csv": "notes.csv",
    "tensorboard": ".",
    "wandb": ".",
    "wandb/run-1/files": ".",
    "lightning_logs": "new",
    "a/b/c/d": ".",
}
HARD_LINKED = ("metrics.csv", "train.log", "summary.json", ".lock", "figures/learning_curves.png")
PLANTED: dict[str, Plant] = {
    **{f"link {name}": partial(link, name, target) for name, target in LINKED.items()},
    **{f"moved {name}": partial(move_and_link, name) for name in ("summary.json", "config.yaml", "checkpoints")},
    **{f"hard link {name}": partial(hard_link, name) for name in HARD_LINKED},
    **{f"pipe {name}": partial(pipe, name) for name in ("train.log", "metrics.csv", "summary.json", ".lock")},
    "relative link": relative_link,
    "chain of links": chain,
    "link to the root": to_the_root,
    "socket": listening,
}


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

WRITER = "+callbacks.e={_target_:lightning.pytorch.callbacks.OnExceptionCheckpoint"
LEADS_OUT = """
    callbacks.best.dirpath=HERE
    callbacks.best.dirpath=checkpoints
    callbacks.best.dirpath='~/x'
    callbacks.best.dirpath=file://HERE
    callbacks.best.dirpath=null
    callbacks.best.dirpath='${run_dir}/../../elsewhere'
    callbacks.best.filename=../../../elsewhere/x
    callbacks.last.dirpath=HERE/checkpoints
    callbacks.last.filename=HERE/x
    callbacks.figures.run_dir=HERE
    +callbacks.e={_target_:lightning.pytorch.callbacks.OnExceptionCheckpoint,dirpath:HERE}
    +logger.csv={_target_:lightning.pytorch.loggers.CSVLogger,save_dir:HERE}
    logger=tensorboard logger.tensorboard.save_dir=HERE
    logger=tensorboard logger.tensorboard.name=HERE
    logger=tensorboard logger.tensorboard.version=../../../elsewhere
    logger=wandb logger.wandb.save_dir=HERE
    trainer.default_root_dir=HERE
    trainer.default_root_dir=null
    +trainer.profiler={_target_:lightning.pytorch.profilers.SimpleProfiler,dirpath:HERE,filename:x}
    debug=profiler trainer.profiler.dirpath=HERE
    debug=profiler trainer.profiler.filename=../../x
    seed=1,2 callbacks.best.dirpath=here,HERE
"""
NOT_ALLOWED = """
    +callbacks.x={_target_:os.system,command:id}
    +model.x={_target_:builtins.exec,_args_:[1]}
    +callbacks.x={_target_:lightning.pytorch.callbacks.LambdaCallback}
    +logger.m={_target_:lightning.pytorch.loggers.MLFlowLogger,tracking_uri:HERE}
    logger=wandb +logger.wandb.entity=them
    seed=1,2 +callbacks.x={_target_:torch.nn.Linear},{_target_:os.system}
"""
OTHERS = {
    "callbacks.e._args_: what an argument without a name": (f"{WRITER},_args_:[HERE]}}",),
    "data._args_: what an argument without a name": ("+data._args_=[HERE]",),
    "what is missing is downloaded to it": ("model=mlp", "data=mnist", "data.data_dir=HERE"),
    "+model.name=${oc.env:SECRET}: comes from the environment": ("+model.name='${oc.env:SECRET}'",),
    "seed=${model.name}: comes from the environment": ("+model.name='${oc.env:SECRET}'", "seed='${model.name}'"),
}
SAID = [
    *(("leads out of the run folder", tuple(line.split())) for line in LEADS_OUT.strip().splitlines()),
    *(("a checkpoint may not name", tuple(line.split())) for line in NOT_ALLOWED.strip().splitlines()),
    *((words.removeprefix("+"), overrides) for words, overrides in OTHERS.items()),
]


@pytest.mark.parametrize(("words", "overrides"), SAID, ids=[" ".join(overrides) for _, overrides in SAID])
def test_what_only_a_folder_says_leads_nowhere(
    words: str, overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    here = [text.replace("HERE", str(tmp_path / "elsewhere")) for text in overrides]
    told = parsed_overrides(here, tmp_path / "run" / "overrides.yaml")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        with pytest.raises(UserError) as error:
            foreign.Resumed(foreign.merge(told, []), tmp_path / "run" / "overrides.yaml").check("train")
        assert words in str(error.value).replace("may not set", "may not name")
        assert SECRET not in str(error.value)
        # What it says to repeat is what makes it the user's own word.
        again = shlex.split(str(error.value).rpartition("repeat it on the command line: ")[2])
        typed = parsed_overrides(again, Path("typed"))
        foreign.Resumed(foreign.merge(told, typed), tmp_path / "run" / "overrides.yaml").check("train")


WHOLE = {
    "overrides.yaml may not hold": [
        ["hydra.run.dir=HERE"],
        ["+logger@hydra.callbacks=wandb"],
        ["hydra.searchpath=[x]"],
    ],
    "is damaged": [[" hydra.job.chdir=true"], ["seed=${oc.decode:${oc.env:SECRET}}"], ["x"], ["a=b=c", "'"]],
    "refers to other keys more than 20 times": [[f"+model.a{i}='${{model.a{i + 1}}}'" for i in range(21)]],
    "is what ${oc.env:SECRET} gives": [["monitor=${oc.env:SECRET}"]],
    "leads out of the run folder": [["callbacks.best.dirpath=HERE"]],
    "": [["allowed_packages=[os]", "run_dir=HERE", "+sweep.trial=0", "resume=HERE", "seed=0"]],  # not heeded
}


@pytest.mark.parametrize(("words", "overrides"), [(words, case) for words, cases in WHOLE.items() for case in cases])
def test_a_folder_that_says_too_much_is_refused(words: str, overrides: list[str], folder: Path, tmp_path: Path) -> None:
    here = [text.replace("HERE", str(tmp_path / "elsewhere")) for text in overrides]
    if words.startswith("leads"):
        config = compose_unchecked(*CALM, *here, f"run_dir={quoted(folder)}")
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
    (folder / "overrides.yaml").write_text(yaml.safe_dump([*CALM, *here]))
    sentence = go_on(folder)
    assert words in sentence
    assert bool(words) == bool(sentence)
