"""Runs on machines unlike this one: no place to print to, no room, no server, another's folder, another environment."""

import logging
import os
import resource
import runpy
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import pandas as pd
import pytest
import torch

from conftest import CONF, ROOT, Finished
from kindling import compose, train
from kindling.config.command_line import check_command_line
from kindling.config.quoting import quoted
from kindling.errors import UserError
from kindling.locks import let_go, locked, take
from kindling.running.loggers import wandb_logger
from wandb_server import Server, wandb_server

XOR = ["model=xor", "trainer=cpu", "trainer.max_epochs=3", "~callbacks.figures"]


# What a process prints to


def forked(prepare: Callable[[], None], *args: str) -> int:
    """The exit code of `python train.py` in a process forked from this one, which has imported torch."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            prepare()
            for number, name in ((1, "stdout"), (2, "stderr")):
                setattr(sys, name, os.fdopen(number, "w", closefd=False) if is_open(number) else None)
            os.chdir(ROOT)
            torch.set_num_threads(1)
            sys.argv = ["train.py", *args]
            runpy.run_path("train.py", run_name="__main__")
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def closed() -> None:
    os.close(1)
    os.close(2)


def full() -> None:
    for number in (1, 2):
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)


def unread() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("where", [closed, full, unread], ids=["closed", "full", "unread"])
def test_a_run_goes_on_where_nothing_can_be_printed(where: Callable[[], None], tmp_path: Path) -> None:
    said = tmp_path / "said"

    def prepare() -> None:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        where()

    more = ["population=2"] if where is closed else []
    assert forked(prepare, *XOR, *more, f"hydra.run.dir={tmp_path / 'run'}") == 0
    done = Finished(tmp_path / "run")
    assert done.summary["status"] == "completed"
    assert len((done.folder / "train.log").read_text().splitlines()) == 13
    assert said.read_text() == ""


@pytest.mark.slow
def test_jobs_go_on_where_nothing_can_be_printed(tmp_path: Path) -> None:
    command = ["-m", *XOR, "seed=0,1", "hydra/launcher=processes", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    assert forked(full, *command) == 0
    assert len(pd.read_csv(tmp_path / "sweep" / "table.csv")) == 2
    assert [Finished(tmp_path / "sweep" / job).summary["status"] for job in "01"] == ["completed"] * 2


def test_a_full_disk_costs_a_run_what_did_not_fit_and_no_more(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it: train.log, the figures and the checkpoints are too long."""
    said = tmp_path / "said"

    def prepare() -> None:
        for number in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    command = ["model=xor", "trainer=cpu", "trainer.max_epochs=20", "on_save_error=continue"]
    assert forked(prepare, *command, f"hydra.run.dir={tmp_path / 'run'}") == 0
    done = Finished(tmp_path / "run")
    assert done.summary["status"] == "completed"
    assert len(pd.read_csv(done.folder / "metrics.csv")) == 20
    assert "Traceback" not in said.read_text()
    assert not list(done.folder.rglob("*.tmp"))
    assert not list(done.folder.rglob("*.ckpt"))
    assert (done.folder / "train.log").stat().st_size == 3000


def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    code = "from kindling.process import outlive_output; outlive_output(); print('0.5 \\xb1 0.1')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.5 \\xb1 0.1\n", "")


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import os, sys; from kindling.process import outlive_output; outlive_output(); "
        "os._exit(os.open(sys.argv[1], os.O_RDONLY))"
    )
    command = ["sh", "-c", '"$0" -c "$1" "$2" <&- >&- 2>&-', sys.executable, code, str(tmp_path)]
    assert subprocess.run(command).returncode > 2


# The folder of a run


class AtEpochEnd(L.Callback):
    """Calls something after the first epoch."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.then = then

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 1:
            self.then()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".log"}


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved", "moved and made anew"])
def test_a_run_that_has_lost_its_folder_stops_and_writes_nothing(how: str, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    before: dict[str, bytes] = {}

    def lose() -> None:
        if how.startswith("moved"):
            folder.rename(elsewhere)
        else:
            (folder / ".lock").rename(tmp_path / "old")  # so that its inode is not used again
        if how.endswith("anew"):
            folder.mkdir()
        if how in ("replaced", "moved and made anew"):
            (folder / ".lock").touch()
        before.update(contents(tmp_path))

    with pytest.raises(UserError) as error:
        train(compose([*XOR, f"run_dir={quoted(folder)}"]), [AtEpochEnd(lose)])
    assert str(error.value) == (
        f"{folder} is no longer this run's: its .lock was deleted or replaced, or the folder moved; "
        "the run stops and saves nothing more"
    )
    assert contents(tmp_path) == before
    assert folder.exists() == (how != "moved")


def test_of_two_that_go_on_at_once_the_one_that_is_late_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped = tmp_path / "outputs" / "run"
    with pytest.raises(ZeroDivisionError):
        train(compose([*XOR, f"run_dir={quoted(stopped)}"]), [AtEpochEnd(lambda: 1 / 0)])
    command = [*XOR, "resume=auto"]
    goes_on = [*XOR, f"resume='{stopped}'", f"hydra.run.dir='{stopped}'"]
    assert check_command_line(CONF, "train", command) == goes_on
    assert check_command_line(CONF, "train", command) == goes_on  # the same process; nobody trains there yet
    asked = f"check_command_line(Path({str(CONF)!r}), 'train', {command})"
    code = f"from kindling.config.command_line import *; print({asked})"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert second.stdout == f"{XOR}\n", second.stderr
    monkeypatch.setenv("SLURM_PROCID", "1")  # another process of the same run
    assert check_command_line(CONF, "train", command) == goes_on
    monkeypatch.delenv("SLURM_PROCID")
    with locked(stopped):
        pass
    assert take(stopped)  # it was let go
    let_go(stopped)


# A cluster


def test_what_slurm_has_is_held_against_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"^trainer: You set `--ntasks=4`"):
        train(compose([*XOR, f"run_dir={tmp_path / 'run'}"]))


# W&B's server


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Server], None]]:
    import wandb

    def use(server: Server) -> None:
        monkeypatch.delenv("WANDB_MODE", raising=False)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
        wandb.teardown()  # it has read the environment before

    yield use
    wandb.finish()
    wandb.teardown()


OFFLINE = {
    "refusing": "[Errno 1",
    "hanging": "has not answered in 3 s",
    "then_hanging": "context deadline exceeded",
    "failing": "Internal Server Error",
    "closed": "401",
}


@pytest.mark.parametrize(
    "mode", [pytest.param(m, marks=[pytest.mark.slow] * (m in ("failing", "closed", "then_hanging"))) for m in OFFLINE]
)
def test_a_server_that_cannot_be_used_costs_seconds_and_a_sentence(
    mode: str, online: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    with wandb_server(mode) as server:
        online(server)
        if mode == "refusing":
            server.server_close()
        start = time.monotonic()
        with caplog.at_level(logging.INFO, "kindling"):
            logger = wandb_logger(str(tmp_path), "kindling")
            logger.log_metrics({"loss": 0.5})
        assert time.monotonic() - start < 30  # 4 to 7 where nothing else is going on; it was 60 to 100
        assert logger.experiment.offline
        (sentence,) = [r.getMessage() for r in caplog.records if r.name == "kindling.running.loggers.wandb"]
        assert sentence.startswith("WARNING: W&B's server cannot be used (")
        assert OFFLINE[mode] in sentence
        assert sentence.endswith(f"to upload the run later: wandb sync {tmp_path}/wandb/offline-run-*")
        wandb.finish()
    assert len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 1


def history(server: Server) -> list[float]:
    """The losses of the validations, in order."""
    rows = [server.lines[offset] for offset in sorted(server.lines)]
    return [row["val/loss"] for row in rows if "val/loss" in row]


def test_an_outage_costs_no_history_and_a_server_that_dies_costs_seconds(
    online: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = [*XOR, "logger=wandb", "trainer.max_epochs=4"]
    with wandb_server() as server:
        online(server)

        def fail() -> None:
            server.mode = "failing"

        def fail_for_a_while() -> None:
            fail()
            threading.Timer(2, setattr, [server, "mode", "ok"]).start()

        train(compose([*overrides, f"run_dir={tmp_path / 'outage'}"]), [AtEpochEnd(fail_for_a_while)])
        table = pd.read_csv(tmp_path / "outage" / "metrics.csv")
        assert history(server) == pytest.approx(table["val/loss"].tolist())
        end = [*overrides, "logger.wandb.finish_timeout=1", f"run_dir={tmp_path / 'dead'}"]
        done = train(compose(end), [AtEpochEnd(fail)])
    assert done.summary["status"] == "completed"
    (folder,) = (tmp_path / "dead" / "wandb").glob("run-*")
    warnings = [r.getMessage() for r in caplog.records if r.name == "kindling.running.loggers.wandb"]
    assert warnings[-1].endswith(f"to upload the rest: wandb sync {folder}")


# Other environments: a part of the suite, and a command, in processes of their own

PART = (
    "tests/test_compose.py::test_two_runs_in_one_process_leave_two_complete_folders",
    "tests/test_loggers.py::test_an_epoch_is_one_row_of_what_it_logged_whatever_loggers_there_are",
    "tests/test_resume.py::test_under_slurm_the_job_is_requeued",
)
MACHINES: dict[str, dict[str, str | None]] = {
    "cluster": {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "bash", "SLURM_PROCID": "0"},
    "settings": {"WANDB_MODE": "online", "WANDB_API_KEY": "x", "KINDLING_DATA": "/nowhere", "OMP_NUM_THREADS": "3"},
    "no home": {"HOME": None, "USER": None, "LOGNAME": None},
    "locale": {"LC_ALL": "C", "LANG": "tr_TR", "TZ": "Asia/Kolkata", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "devices": {"CUDA_VISIBLE_DEVICES": ""},
}


def checkout_with_spaces(folder: Path) -> Path:
    """This one, copied, with `srun` and `nvidia-smi` beside it."""
    checkout = folder / "a check out [1]"
    for name in ("train.py", "pyproject.toml", "conf", "src", "scripts", "tests"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, checkout / name)
    for name in ("srun", "nvidia-smi"):
        program = checkout / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    return checkout


def in_checkout(checkout: Path, settings: dict[str, str | None], *command: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(checkout / "src")}
    environment = {name: value for name, value in {**os.environ, **path, **settings}.items() if value is not None}
    return subprocess.run(
        [sys.executable, *command], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", MACHINES.values(), ids=MACHINES)
def test_a_part_of_the_suite_passes_on_other_machines(settings: dict[str, str | None], tmp_path: Path) -> None:
    done = in_checkout(checkout_with_spaces(tmp_path), settings, "-m", "pytest", "-q", *PART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_says_nothing_of_the_machine(tmp_path: Path) -> None:
    settings = {name: value for machine in MACHINES.values() for name, value in machine.items()}
    done = in_checkout(checkout_with_spaces(tmp_path), settings, "train.py", *XOR)
    assert (done.returncode, done.stderr) == (0, "")
    begun, ended = ["xor", "in", "lr", "val/loss"], ["tested", "test/acc", "3", "files:", "evaluate:", "train"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*begun, "epoch", "epoch", "epoch", *ended]
