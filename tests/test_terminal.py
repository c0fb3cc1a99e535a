"""What is seen in a terminal: nothing is wider than it, every line is one that its reader can use."""

import fcntl
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from conftest import CONF, ROOT, Finished, Process, compose_config
from kindling import compose, train
from kindling.config.asked import Asked
from kindling.config.checks import problems
from kindling.config.command_line import check_command_line
from kindling.config.overrides import parse
from kindling.errors import UserError
from kindling.reopening import fitted
from kindling.reopening.records import list_runs
from kindling.running.closing import going_on
from kindling.running.epoch_lines import is_due
from kindling.text import shell_line
from kindling.version import __version__
from torture import train_py

Run = Callable[..., Finished]
Start = Callable[..., Process]
XOR = ["model=xor", "trainer=cpu"]


def in_terminal(width: int, *args: str) -> str:
    """What `python train.py` writes to a terminal of so many columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.environ.pop("COLUMNS", None)
        os._exit(train_py(list(args), Path(os.ttyname(theirs))))
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # the terminal is closed
        pass
    os.close(ours)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text.decode()
    return text.decode()


@pytest.mark.parametrize("width", [80, 40])
def test_nothing_is_wider_than_the_terminal(width: int, tmp_path: Path) -> None:
    shown = ["callbacks=model_summary", "callbacks.progress_bar.refresh_rate=1000", "trainer.max_epochs=60"]
    text = in_terminal(width, *XOR, *shown, f"hydra.run.dir={tmp_path / 'run'}")
    for line in re.split(r"[\r\n]", text):
        assert len(line) <= width or " " not in line.rstrip(" \\").strip(), line  # a path is whole
    bars = [part for part in re.split(r"[\r\n]", text) if "/6000" in part]
    assert any(re.search(r"\b[1-9]\d*/6000  loss [\d.]+", bar) for bar in bars)
    if width == 80:
        assert any(
            re.search(r"/6000  loss \S+  val/loss \S+  lr \S+  \S+/s  \d\d:\d\d left$", bar.rstrip()) for bar in bars
        )
    lines = re.findall(r"^epoch (\d+)", text.replace("\r", "\n"), flags=re.MULTILINE)
    assert 20 <= len(lines) <= 22
    assert (lines[0], lines[-1]) == ("0", "59")
    assert re.search(r"net\.0 +Linear +12", text)


@pytest.mark.parametrize("length", [1, 7, 20, 21, 50, 1000, None])
def test_a_long_run_has_about_twenty_lines(length: int | None) -> None:
    told = [epoch for epoch in range(length or 200) if is_due(epoch, length)]
    assert told[0] == 0
    if length:
        assert told[-1] == length - 1
        assert min(length, 12) <= len(told) <= 22
    else:
        assert 20 <= len(told) <= 60


def test_the_best_epoch_is_told_where_it_is_not_the_last(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    rough = ["data=digits", "trainer=cpu", "trainer.max_epochs=6", "scheduler=constant", "optimizer.lr=0.03", "seed=1"]
    done = run(*rough)
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch " in line and "epochs" not in line]
    best = done.summary["monitor"]
    assert best["epoch"] != 5
    assert lines[-1].startswith(f"best: epoch {best['epoch']}  val/loss {best['best']:.4g}")
    assert lines[-2].startswith("epoch 5 ")


def test_the_lines_of_epochs_are_a_table(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("model=xor", "trainer.max_epochs=12", "trainer.check_val_every_n_epoch=2")
    lines = capsys.readouterr().out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("epoch 0 "))
    table = lines[first - 1 : lines.index("tested on the same rows as it was trained on:")]
    names = [line.split() for line in table if not line.startswith("epoch ")]
    assert names == [["train/loss", "train/acc"], ["val/loss", "train/loss", "val/acc", "train/acc"]]
    assert [len(line) for line in table if line.startswith("epoch ")] == [33, *[57] * 11]  # numbers end below the names
    assert len(table[4][9:].split()) == 2  # epoch 2, which was not validated


@pytest.mark.parametrize("name", ["a b", 'it\'s "so"', "[1,2]", "{a}", "ünï 日本", "<b>", "$x_{", "=1", "a,b=c", "(x)"])
def test_the_command_that_goes_on_can_be_typed_whatever_the_folder_is_called(name: str, tmp_path: Path) -> None:
    folder = str(tmp_path / name)
    words = shlex.split(shell_line("", going_on(folder, Asked()), None))
    assert words[:2] == ["python", "train.py"]
    wrong: list[str] = []
    (found,) = parse(words[2:], wrong)
    assert not wrong
    assert found.value() == folder


def test_a_sweep_has_a_line_a_job(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    done = start("-m", *XOR, "trainer.max_epochs=1", "seed=0,1", f"hydra.sweep.dir={folder}").wait()
    assert done.code == 0
    first, *jobs = done.text.splitlines()[:3]
    assert first == f"{folder}: 2 jobs, 0 of them done"
    assert re.fullmatch(r"job 0: completed  val/loss [\d.]+  \([\d.]+ s\)  seed=0  \[1 of 2, 00:\d\d left\]", jobs[0])
    assert re.fullmatch(r"job 1: completed  val/loss [\d.]+  \([\d.]+ s\)  seed=1  \[2 of 2\]", jobs[1])
    again = start("-m", "sweep.quiet=true", f"sweep.resume={folder}").wait()
    assert again.text == f"report: {folder / 'report.html'}\n"


def test_a_bare_m_says_what_it_runs(start: Start, tmp_path: Path) -> None:
    done = start("-m", *XOR, "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path / 'sweep'}").wait()
    assert done.text.splitlines()[0] == (
        "-m: no key has several values, so one job with model=xor trainer=cpu trainer.max_epochs=1; "
        "to compare: -m optimizer.lr=1e-3,1e-2"
    )


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", list(argv), "Usage: ...")
    assert not exit_info.value.code, exit_info.value.code
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("optimizer", ["how the weights are changed", "sgd Implements stochastic gradient descent", "adamw*"]),
        ("optimizer=sgd", ["optimizer.lr: 0.1 learning rate", "+KEY=VALUE sets: optimizer.momentum"]),
        ("optimizer.lr", ["learning rate", "type float | Tensor", "4e-3 (optimizer=adamw)", "0.1 (optimizer=sgd)"]),
        ("optimizer.momentum", ["momentum factor", "default 0.9 (optimizer=momentum)"]),
        ("trainer.max_epochs", ["type int | None", "default 10 (trainer=default)", "20 (model=xor)"]),
        ("callbacks.last.every_n_minutes", ["within an epoch; 0: never", "type a number from 0", "default 10.0"]),
        ("model.activation", ["one of relu, leaky_relu", "silu (model=xor)"]),
        ("on_save_error", ["as on a full disk", "one of stop, continue", "default stop"]),
        ("sweep.n_trials", ["jobs in total", "30 (sweep=tpe)"]),
        ("hydra/launcher=processes", ["each job in a process of its own", "n_jobs: 1"]),
        ("trainer.num_nodes", ["Number of GPU nodes", "set by +trainer.num_nodes=VALUE"]),
    ],
)
def test_help_says_what_a_name_means(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--help", name)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("optimiser", "did you mean optimizer?"),
        ("optimizer=sdg", "did you mean sgd?"),
        ("trainer.max_epoch", "did you mean trainer.max_epochs?"),
        ("sed", "did you mean seed?"),
        ("optimizer.x", "there are optimizer.lr, "),
    ],
)
def test_help_on_a_wrong_name_gives_the_nearest(name: str, near: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", ["--help", name])
    assert near in str(exit_info.value.code)


def test_there_is_help_on_every_group_option_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    files = [file for file in CONF.glob("*/*.yaml") if file.parent.name not in ("local", "study")]
    names = [*{file.parent.name for file in files}, *(f"{file.parent.name}={file.stem}" for file in files)]
    assert told(capsys, "--help", *sorted(names), *(str(key) for key in compose([]) if key != "hydra"))


def test_help_does_not_import_torch_and_fits_two_screens() -> None:
    code = (
        "import sys; sys.argv = ['train.py', '--help', 'optimizer.lr']; import runpy, atexit;"
        "atexit.register(lambda: print('torch' in sys.modules)); runpy.run_path('train.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    usage = (ROOT / "train.py").read_text().split('"""')[1].splitlines()
    assert max(map(len, usage)) <= 80
    assert len(usage) <= 24


def test_the_version_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--version") == f"Kindling {__version__}"


@pytest.mark.parametrize("width", [140, 80, 60, 40])
def test_a_table_of_runs_fits(width: int) -> None:
    row = {"status": "completed", "model": "linear_regression", "data": "housing", "val/loss": 1e-16, "test/mae": 0.5}
    folder = "outputs/linear_regression/2026-11-26_20-22-04-abc123"
    last = {"epochs": 40, "seed": 0, "started": "2026-11-26T20:22:04+0000", "folder": folder, "error": "x" * 200}
    texts, left_out = fitted.fit(pd.DataFrame([{**row, **last}, {**row, **last, "error": None}]), width)
    lines = fitted.lines(texts)
    assert max(map(len, lines)) <= width
    assert {*texts.columns, *left_out} == {*row, *last}
    assert all("abc123" in line for line in lines[1:])
    assert ("val/loss" in texts) == (width > 40)


def test_a_run_that_was_killed_is_not_running(run: Run, tmp_path: Path) -> None:
    done = run(*XOR, "trainer.max_epochs=1", folder=tmp_path / "run")
    summary = {**done.summary, "status": "running"}
    (done.folder / "summary.json").write_text(json.dumps(summary))
    assert list_runs(tmp_path)["status"].tolist() == ["killed"]


def test_a_run_past_its_last_step_keeps_its_epochs(run: Run, tmp_path: Path) -> None:
    ended = ["trainer.max_epochs=-1", "trainer.max_steps=130"]
    done = run(*XOR, *ended, folder=tmp_path / "run")
    assert done.summary["epochs"] == 2
    train(compose([*XOR, *ended, f"resume={done.folder}", f"run_dir={done.folder}"]))
    assert done.summary["epochs"] == 2


def test_a_run_from_before_there_was_this_bar_goes_on(run: Run, tmp_path: Path) -> None:
    done = run(*XOR, "trainer.max_epochs=1", folder=tmp_path / "run")
    file = done.folder / "config.yaml"
    now = "kindling.running.progress.ProgressBar\n    refresh_rate: 4\n"
    assert now in file.read_text()
    file.write_text(file.read_text().replace(now, "kindling.running.callbacks.ProgressBar\n    refresh_rate: 50\n"))
    train(compose([f"resume={done.folder}", "trainer.max_epochs=2"]))
    assert done.summary["epochs"] == 2


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("callbacks=[none,model_summary]", "none goes with no other option; leave it out, or the others"),
        ("logger=[tensorboard,none]", "none goes with no other option; leave it out, or the others"),
        ("scheduler=[cosine,step]", "one option is needed, not several; to compare them: -m scheduler=cosine,step"),
        ("model=[xor,mlp]", "one option is needed, not several; to compare them: -m model=xor,mlp"),
    ],
)
def test_options_that_do_not_go_together_are_refused(override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{override}: {sentence}")):
        compose([override])


@pytest.mark.parametrize(
    ("override", "right"),
    [
        ("scheduler.warmup=-0.1", "a whole number from 0, or a number from 0 to 1"),
        ("scheduler.warmup=1.5", "a whole number from 0, or a number from 0 to 1"),
        ("trainer.max_time=5", "DD:HH:MM:SS, like 00:01:30:00, or a section like {minutes: 90}"),
        ("trainer.max_time=05:00", "DD:HH:MM:SS, like 00:01:30:00, or a section like {minutes: 90}"),
        ("trainer.max_time={hour:1}", "DD:HH:MM:SS, like 00:01:30:00, or a section like {minutes: 90}"),
    ],
)
def test_a_value_is_refused_with_what_would_be_right(override: str, right: str) -> None:
    cfg = compose_config(*XOR, "scheduler=warmup_cosine", override)
    assert [text.partition(": should be ")[2] for text in problems(cfg)] == [right]


def test_a_command_is_broken_where_a_shell_takes_it() -> None:
    words = ["python", "train.py", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "resume=a b"]
    broken = shell_line("next: ", words, 30)
    assert max(map(len, broken.split(" \\\n")[:1])) <= 30
    printed = subprocess.run(["bash", "-c", f"printf '%s\\n' {broken.removeprefix('next: ')}"], capture_output=True)
    assert printed.stdout.decode().splitlines() == words
