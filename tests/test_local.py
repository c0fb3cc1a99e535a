"""What belongs to one machine: conf/local and .env. And the config as a tree, and what --help says."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import CONF, Finished
from kindling import compose, environment, train
from kindling.config.command_line import check_command_line
from kindling.config.quoting import quoted
from kindling.errors import UserError
from matrix import PROJECTS_BY_NAME, Clone

LOCAL = "# @package _global_\nseed: 3\ntrainer: {accelerator: cpu, max_epochs: 1}\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ as a machine may have it."""
    shutil.copytree(CONF, tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf" / "local").mkdir()
    (tmp_path / "conf" / "local" / "default.yaml").write_text(LOCAL)
    (tmp_path / "conf" / "local" / "cluster.yaml").write_text(LOCAL.replace("3", "4"))
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("overrides", "seed"),
    [
        (["model=xor"], 3),
        (["model=xor", "seed=5"], 5),
        (["local=cluster"], 4),
        (["~local"], 0),
    ],
)
def test_the_settings_of_a_machine_come_before_the_command_line(overrides: list[str], seed: int, conf: Path) -> None:
    assert compose(overrides, conf).seed == seed


def test_an_experiment_wins_over_the_machine_and_the_machine_over_the_pairing(conf: Path) -> None:
    (conf / "local" / "default.yaml").write_text("# @package _global_\ntrainer: {max_epochs: 7, devices: 2}\n")
    assert compose(["model=xor"], conf).trainer.max_epochs == 7
    (conf / "experiment" / "short.yaml").write_text("# @package _global_\ntrainer: {max_epochs: 2}\n")
    trainer = compose(["experiment=short"], conf).trainer
    assert (trainer.max_epochs, trainer.devices) == (2, 2)


def test_a_wrong_option_of_the_machine_is_refused(conf: Path) -> None:
    with pytest.raises(UserError, match="local=clust: no such option; did you mean cluster"):
        compose(["local=clust"], conf)


def test_a_run_goes_on_with_what_the_machine_says_and_is_refused_where_that_has_changed(
    conf: Path, tmp_path: Path
) -> None:
    run = train(compose(["model=xor", f"run_dir={quoted(tmp_path / 'run')}"], conf))
    assert run.config.seed == 3
    longer = train(compose([f"resume={run.folder}", "trainer.max_epochs=2"], conf))
    assert longer.summary["epochs"] == 2
    (conf / "local" / "default.yaml").unlink()
    with pytest.raises(UserError, match=r"conf/ has changed since the run was started: .*seed is 0, was 3"):
        compose([f"resume={run.folder}"], conf)


def test_variables_come_out_of_the_file_unless_the_environment_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED")
    monkeypatch.setattr(environment, "PROJECT", tmp_path)
    before = dict(os.environ)
    environment.read_env()
    assert dict(os.environ) == before
    (tmp_path / ".env").write_text("KINDLING_DATA=/elsewhere\nWANDB_ENTITY=team  # ours\n")
    monkeypatch.setenv("WANDB_ENTITY", "x")  # so that it is put back
    monkeypatch.delenv("WANDB_ENTITY")
    environment.read_env()
    assert (os.environ["KINDLING_DATA"], os.environ["WANDB_ENTITY"]) == (before["KINDLING_DATA"], "team")
    (tmp_path / ".env").write_bytes(b"NAME=\xe9\n")
    environment.read_env()
    assert ".env was not read: " in caplog.text
    (tmp_path / ".env").write_text("WANDB_ENTITY=team\nthis is nothing\n")
    environment.read_env()
    assert ".env: line 2 is left out, since it is no NAME=VALUE" in caplog.text


def test_a_clone_reads_both_and_writes_down_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINDLING_DATA")
    clone = Clone(tmp_path, PROJECTS_BY_NAME["plain"])
    (tmp_path / ".env").write_text("KINDLING_DATA=nowhere\nWANDB_API_KEY=s3cret\n")
    (tmp_path / "conf" / "local").mkdir(exist_ok=True)
    (tmp_path / "conf" / "local" / "default.yaml").write_text(LOCAL)
    command = ["train.py", "data=mnist", "data.source=subset", "+trainer.limit_train_batches=1", "hydra.run.dir=run"]
    clone.run(*command, PYTHON_DOTENV_DISABLED="0")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["seed"], config["data"]["data_dir"]) == (3, str(tmp_path / "nowhere"))
    for file in (tmp_path / "run").rglob("*"):
        assert file.is_dir() or b"s3cret" not in file.read_bytes()


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", list(argv), "Usage: ...")
    assert not exit_info.value.code, exit_info.value.code
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if line.strip() and "/" not in line.split()[-1]) <= 80  # a path is whole
    return lines


def test_the_tree_marks_what_differs_from_the_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    changed = ["optimizer.lr=0.1", "+trainer.min_steps=1", "~callbacks.figures", "run_dir=${oc.env:TOKEN}"]
    lines = printed(capsys, "model=xor", *changed, "--tree")
    text = "\n".join(line.lstrip("│├└─ ") for line in lines)
    for line in (
        "model=xor, by default mlp",
        "lr: 0.1   (default: 0.004)",
        "min_steps: 1   (not in the default)",
        "figures   (left out; default: {...})",
        "batch_size: null   (default: 128)",
        "run_dir: ${oc.env:TOKEN}   (default: ${hydra:runtime.output_dir})",
        "mode: min",
    ):
        assert f"\n{line}\n" in f"\n{text}\n"
    assert "s3cret" not in text


def test_the_tree_of_the_defaults_marks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "default" not in re.sub("default_root_dir|init: default", "", "\n".join(printed(capsys, "--tree")))


def test_the_tree_is_of_what_goes_on(capsys: pytest.CaptureFixture[str], run: Callable[..., Finished]) -> None:
    done = run("model=xor", "trainer=cpu", "trainer.max_epochs=1")
    capsys.readouterr()
    assert "model=xor, by default mlp" in printed(capsys, f"resume={done.folder}", "--tree")
    assert json.loads((done.folder / "summary.json").read_text())["status"] == "completed"
    with pytest.raises(SystemExit, match=r"modle: no such key; did you mean model?"):
        check_command_line(CONF, "train", ["--tree", "modle=xor"])
    with pytest.raises(SystemExit, match="-m and --tree: do not go together"):
        check_command_line(CONF, "train", ["--tree", "-m", "seed=0,1"])


def test_the_help_says_what_each_group_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "--help")
    assert "  logger (where the course of the run is sent, besides metrics.csv): csv," in lines
    groups = {file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml")} - {
        "hydra/sweeper",
        "study",
    }
    told = re.findall(r"^  ([\w/]+) \(", "\n".join(lines), flags=re.MULTILINE)
    assert sorted(told) == sorted(groups)


def test_wandb_is_imported_before_torch() -> None:
    """After it the import takes a second longer."""
    code = (
        "import sys\nfrom kindling.environment import import_before_torch\n"
        "import_before_torch({'logger': None})\nassert 'wandb' not in sys.modules\n"
        "import_before_torch({'logger': {'wandb': {}}})\nassert 'wandb.sdk.launch' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
