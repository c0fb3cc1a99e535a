"""Folders that others have made: what goes on in them, or opens them, leaves everything outside of them as it is."""

import hashlib
import json
import logging
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import pandas as pd
import pytest
import torch
import yaml
from hydra import initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, distribution_to_json

import export
import predict
import runs
from conftest import CONF, Process, compose_unchecked
from kindling import compose, report, train
from kindling.checkpoints.write import AtomicCheckpointIO
from kindling.config import foreign
from kindling.config.command_line import check_command_line
from kindling.config.quoting import quoted
from kindling.config.told import parsed_overrides
from kindling.containment import is_name
from kindling.errors import UserError, told_in_a_sentence
from kindling.sweep.space import Space
from kindling.sweep.study import Queue, open_study
from kindling.sweep.sweeper import check_settings
from kindling.text import Formatter, no_formula

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
    "wandb/run-20260101_000000-x": ".",
    "wandb/offline-run-29990101_000000-x/files": ".",
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
    link("wandb/run-20260101_000000-x/logs/debug-core.log", "train.log", folder, tmp_path / "elsewhere")
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


def test_what_conf_composes_to_is_the_users_own_word(tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    node = {"_target_": "lightning.pytorch.loggers.MLFlowLogger", "tracking_uri": "http://team", "save_dir": "/mnt/x"}
    (tmp_path / "conf" / "logger" / "mlflow.yaml").write_text(yaml.safe_dump({"mlflow": node}))
    file = tmp_path / "run" / "overrides.yaml"

    def check(*told: str) -> None:
        foreign.Resumed(foreign.merge(parsed_overrides(told, file), []), file).check("train")

    with initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        check("logger=mlflow", "seed=3")
        with pytest.raises(UserError, match=r"repeat it on the command line: logger.mlflow.tracking_uri=http://them$"):
            check("logger=mlflow", "logger.mlflow.tracking_uri=http://them")


def test_a_retried_job_of_a_sweep_is_the_users_own_word(start: Callable[..., Process], tmp_path: Path) -> None:
    """Its first try fails, since the place of its best checkpoint is taken by a file."""
    argv = ["-m", *CALM, "seed=0", "+callbacks.x={_target_:lightning.pytorch.callbacks.LambdaCallback}"]
    argv += [f"hydra.sweep.dir={quoted(tmp_path / 'sweep')}", "sweep.name=x", "on_save_error=stop"]
    argv += [f"callbacks.best.dirpath='{tmp_path}/best/${{seed}}'"]
    (tmp_path / "best").write_text("")
    assert start(*argv).wait().code == 1
    (tmp_path / "best").unlink()
    done = start(*argv).wait()
    assert done.code == 0, done.text
    assert "(goes on)" in done.text


WHOLE = {
    "overrides.yaml may not hold": [
        ["hydra.run.dir=HERE"],
        ["+logger@hydra.callbacks=wandb"],
        ["hydra.sweep.dir=x"],
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


# What the checkpoint and the summary say.


def with_state(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def best_elsewhere(target: str, folder: Path, content: dict[str, Any]) -> None:
    """What the best checkpoint so far is said to be, which Lightning removes once there is a better one."""
    for name, state in content["callbacks"].items():
        if name.startswith("ModelCheckpoint"):
            score = torch.tensor(1e9)
            state |= {"best_model_path": target, "kth_best_model_path": target, "best_k_models": {target: score}}
            state |= {"best_model_score": score, "kth_value": score, "dirpath": str(folder / "checkpoints")}


@pytest.mark.parametrize(("target", "overrides"), [("HERE/best.ckpt", []), ("local::HERE", ["~callbacks.last"])])
def test_a_checkpoint_does_not_say_what_is_removed(
    target: str, overrides: list[str], folder: Path, tmp_path: Path
) -> None:
    with_state(folder, partial(best_elsewhere, target.replace("HERE", str(tmp_path / "elsewhere")), folder))
    config = compose_unchecked(*CALM, *overrides, f"run_dir={quoted(folder)}")
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    (folder / "overrides.yaml").write_text(yaml.safe_dump([*CALM, *overrides]))
    assert ("callbacks.last is what goes on with a run" in go_on(folder)) == bool(overrides)


@pytest.mark.parametrize("target", ["RUN/../x.ckpt", "local::HERE/best.ckpt", "file://HERE/best.ckpt"])
def test_nothing_elsewhere_is_removed(target: str, folder: Path, tmp_path: Path) -> None:
    before = digest(tmp_path)
    AtomicCheckpointIO().remove_checkpoint(
        target.replace("HERE", str(tmp_path / "elsewhere")).replace("RUN", str(folder))
    )
    assert digest(tmp_path) == before


def test_a_summary_of_other_kinds_is_no_obstacle(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    strange = {"seconds": {"fit": "x"}, "resumed": 5, "loggers": {"x": "../../x"}, "metrics": [], "path": 1, "self": 2}
    (folder / "summary.json").write_text(json.dumps({**summary, **strange}))
    assert go_on(folder) == ""


# Coming back to a folder.


def test_an_exported_model_takes_the_place_of_a_link(folder: Path, tmp_path: Path) -> None:
    before = digest(tmp_path / "elsewhere")
    (folder / "model.pt").symlink_to(tmp_path / "elsewhere" / "model.pt2")
    export.main([str(folder), "--format", "state-dict"])
    assert digest(tmp_path / "elsewhere") == before
    assert not (folder / "model.pt").is_symlink()
    assert not list(folder.glob(".*.pt"))


def test_names_of_others_do_not_steer_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = {
        "model": "\x1b[2J",
        "metrics": {"\x1b]0;x\x07": 0.5, "b\u202e": 1},
        "started": "a\rb",
        "status": "\x9b1m",
    }
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, **strange}))
    other = shutil.copytree(folder, folder.parent / "o\nther")
    (other / "config.yaml").write_text('{run_dir: x, "a\\e[2J": "b\\ac"}')
    runs.main(["--in", str(folder.parent)])
    runs.main(["compare", str(folder), str(other)])
    with pytest.raises(SystemExit) as error, told_in_a_sentence():
        raise UserError("no column \x1b[2J\nnor another")
    assert str(error.value) == "error: no column \\x1b[2J\nnor another"
    out = capsys.readouterr().out
    assert "\\x1b[2J" in out
    assert "o\\nther" in out
    assert out.replace("\n", "").isprintable()


def test_what_is_logged_does_not_either() -> None:
    record = logging.LogRecord("kindling", logging.INFO, "", 0, "one-hot: %s\ndone", ("a\x1b[31m",), None)
    assert Formatter("%(message)s").format(record) == "one-hot: a\\x1b[31m\ndone"


# Sweeps.


def sweep_of_strangers(folder: Path, **fields: Any) -> Path:
    known = {"name": "x", "command": ["model=xor"], "hydra": [], "sweep": "grid", "objectives": {"val/loss": "min"}}
    folder.mkdir()
    space = {"model.hidden_features": distribution_to_json(CategoricalDistribution(["=1+1", "$\\frac{$", "\x1b[2J"]))}
    OmegaConf.save(OmegaConf.create({**known, "n_trials": 2, "space": space, **fields}), folder / "sweep.yaml")
    for job in range(3):
        (folder / str(job)).mkdir()
        value = ["=1+1", "'$\\frac{$'", "'\x1b[2J'"][job]
        (folder / str(job) / "overrides.yaml").write_text(yaml.safe_dump([f"model.hidden_features={value}"]))
        scores = {"monitor": {"name": "val/loss", "best": 0.5 + job}, "metrics": {"@SUM(A1)": 1.0, "test/\x1b": 2.0}}
        (folder / str(job) / "summary.json").write_text(json.dumps({"status": "completed", **scores}))
    return folder


def test_a_report_holds_no_formulas_and_no_control_characters(tmp_path: Path) -> None:
    folder = sweep_of_strangers(tmp_path / "sweep", command=["model=xor", "a=\x1b[2J"])
    lines = "\n".join(report.write(folder).lines())
    report.append(folder, 0)
    rows = (folder / "table.csv").read_text().splitlines()
    assert rows[0].split(",")[3:6] == ["val/loss", "'@SUM(A1)", "test/\\x1b"]
    assert rows[1] == rows[4] == "0,completed,'=1+1,0.5,1.0,2.0,,,"
    for text in (lines, *((folder / name).read_text() for name in ("table.csv", "table.md", "report.html"))):
        assert text.replace("\n", "").isprintable()
    assert list((folder / "figures").glob("parameter_*.png"))


@pytest.mark.parametrize("name", ["table.csv", "figures", "0", "report.html.tmp", ".report.lock", "journal.log"])
def test_a_sweep_that_leads_elsewhere_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_text("x")
    folder = sweep_of_strangers(tmp_path / "sweep")
    link(name, ".", folder, tmp_path / "elsewhere")
    before = digest(tmp_path)
    with pytest.raises(UserError, match=r"is a link that leads out of the folder"):
        report.write(folder)
    with pytest.raises(SystemExit, match=r"is a link that leads out of the folder"):
        check_command_line(CONF, "train", ["-m", f"sweep.resume={quoted(folder)}"])
    assert digest(tmp_path) == before


def test_a_sweep_of_a_team_goes_on_with_what_is_repeated(tmp_path: Path) -> None:
    told = ["logger=wandb", "+logger.wandb.entity=team", "optimizer.lr=0.1,0.2", "seed=0,1"]
    folder = sweep_of_strangers(tmp_path / "sweep", command=told, space={})
    with pytest.raises(SystemExit, match=r"repeat it on the command line: \+logger.wandb.entity=team$"):
        check_command_line(CONF, "train", ["-m", f"sweep.resume={quoted(folder)}"])
    argv = ["-m", f"sweep.resume={quoted(folder)}", "logger.wandb.entity=team", "optimizer.lr=0.1,0.2"]
    assert check_command_line(CONF, "train", argv)[1:5] == told  # in their order, which numbers the jobs


@pytest.mark.parametrize(
    "fields", [{"name": "../x"}, {"name": "a\nb"}, {"objectives": {"\x1b": "min"}}, {"sweep": "\x07"}]
)
def test_a_sweep_whose_names_are_none_is_damaged(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep.yaml: is damaged \(a name in it is none\)"):
        report.table(sweep_of_strangers(tmp_path / "sweep", **fields))


@pytest.mark.parametrize("begun", [True, False])
def test_a_study_does_not_say_what_a_job_is(begun: bool, tmp_path: Path) -> None:
    key, theirs, own = "callbacks.best.dirpath", ["/elsewhere", "b"], CategoricalDistribution(["a", "b"])
    study = open_study(tmp_path, "x", None)
    if begun:
        study.ask({key: CategoricalDistribution(theirs)})
    else:
        study.enqueue_trial({key: theirs[0]})
    with pytest.raises(UserError, match=r"the study holds other values than sweep\.yaml"):
        Queue(open_study(tmp_path, "x", None), tmp_path, Space([], {key: own}, {})).take(5)


NAMES = [
    "../../x",
    "..",
    ".",
    "/tmp/x",
    "a/../../x",
    "a//b",
    "a/",
    "a\nb",
    "a\tb",
    "\x1b[2J",
    "a\\b",
    " a",
    "x" * 201,
    "",
]


def test_a_sweep_stays_where_sweeps_are() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("train", [], return_hydra_config=True)
    for name in NAMES:
        assert not is_name(name)
        config.sweep.name = name
        with pytest.raises(UserError, match=r"^sweep\.name=.*should name a folder in outputs/sweeps"):
            check_settings(config)


def test_names_of_sweeps_may_have_parts() -> None:
    assert all(map(is_name, ["lr", "mnist/lr", "2026-01-01_12-00-00-a1b2c3", "..x", "한글", "with space", "~x"]))


def test_a_sweep_with_no_such_name_leaves_nothing(start: Callable[..., Process], tmp_path: Path) -> None:
    done = start("-m", "model=xor", "sweep.name=../../x", "seed=0,1").wait()
    assert done.code == 1
    assert done.text.startswith("error: sweep.name=../../x: should name a folder in outputs/sweeps")
    assert done.text.count("\n") == 1


HARMLESS = ["-1", "+1.5e3", "-", "", "a=b", "nan", "'=1"]
FORMULAS = ["=1+1", "@a", "-2+3|x", "+a", "\t=1", "\r=1"]


def test_a_spreadsheet_computes_nothing() -> None:
    assert [no_formula(text) for text in HARMLESS] == HARMLESS
    assert [no_formula(text) for text in FORMULAS] == [f"'{text}" for text in FORMULAS]
    table = predict.for_spreadsheets(pd.DataFrame({"class": ["=1+1"], "probability_=1+1": [0.5], "=2": [-1.0]}))
    assert table.to_csv(index=False) == "class,probability_=1+1,'=2\n'=1+1,0.5,-1.0\n"
