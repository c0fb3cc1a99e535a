"""Fixtures: runs in this process, runs from the command line, and small data in the official formats."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hydra
import numpy as np
import pytest
from omegaconf import DictConfig, open_dict

from kindling import compose, train
from kindling.config.asked import take_asked
from kindling.config.quoting import quoted
from torture import train_py

os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # for the processes that tests start

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"


if "KINDLING_DATA" in os.environ:  # kept for the one test that is about the official files, in every process
    os.environ["OFFICIAL_DATA"] = os.environ["KINDLING_DATA"]
# No test depends on the machine: on its cluster, its accounts, or where its data are.
for name in [name for name in os.environ if name.startswith(("SLURM_", "WANDB_", "KINDLING_"))]:
    del os.environ[name]


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def choices(group: str) -> list[str]:
    """The options that are something."""
    return [name for name in options(group) if name != "none"]


def compose_config(*overrides: str) -> DictConfig:
    """The config of a run, without Hydra's own part, as it is checked and built from."""
    cfg = compose(overrides)
    take_asked(cfg)
    return cfg


def compose_unchecked(*overrides: str) -> DictConfig:
    """What Hydra makes of overrides that nobody has looked at."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("train", list(overrides))
    with open_dict(cfg):
        del cfg["sweep"]
    return cfg


@pytest.fixture(autouse=True)
def _local_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the data of the machine, sends anything to W&B, or depends on the user's settings."""
    monkeypatch.setenv("KINDLING_DATA", str(tmp_path_factory.getbasetemp() / "no_data"))
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A command that only prints, such as --cfg, ends by SIGPIPE; the tests do not."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


class Finished:
    """A run that ended, and its folder."""

    def __init__(self, folder: Path, score: float = float("nan")) -> None:
        self.folder = folder
        self.score = score

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "summary.json").read_text())


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    """Train in this process: run("model=xor", "seed=1")."""

    def run(*overrides: str, folder: Path | None = None) -> Finished:
        folder = folder or tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        return Finished(folder, train(compose([*overrides, f"run_dir={quoted(folder)}"])).score)

    return run


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python train.py` as a user would; its run folder is tmp_path/run unless the arguments say otherwise."""

    def cli(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        folders = [] if any(a.startswith("hydra.") for a in args) else [f"hydra.run.dir={tmp_path / 'run'}"]
        return subprocess.run(
            [sys.executable, "train.py", *args, *folders],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return cli


@dataclass
class Process:
    """`python train.py`, forked from this process, which has imported torch: that saves seconds."""

    pid: int
    output: Path
    code: int | None = None

    def wait(self) -> "Process":
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self

    def kill(self, number: int = signal.SIGKILL) -> "Process":
        os.kill(self.pid, number)
        return self.wait()

    @property
    def text(self) -> str:
        return self.output.read_text()

    def until(self, words: str) -> "Process":
        """Wait for them to be printed."""
        deadline = time.monotonic() + 60
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            assert os.waitpid(self.pid, os.WNOHANG) == (0, 0), self.text
            time.sleep(0.005)
        return self


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Process]:
    """Start `python train.py` as a user would: start("-m", "model=xor", "seed=0,1")."""

    def start(*args: str) -> Process:
        output = tmp_path / f"output{len(list(tmp_path.glob('output*')))}.txt"
        output.touch()
        pid = os.fork()
        if pid == 0:
            os._exit(train_py(list(args), output))
        return Process(pid, output)

    return start


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="session")
def idx_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random pictures in the layout and format of MNIST, unpacked: 5,100 for training, 50 for test."""
    folder = tmp_path_factory.mktemp("idx")
    rng = np.random.default_rng(0)
    for name, count in (("train", 5_100), ("t10k", 50)):
        write_idx(folder / f"{name}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{name}-labels-idx1-ubyte", np.arange(count) % 10)
    return folder


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    """60 rows: two numeric features, one with gaps, a categorical one, a number and two kinds of classes to predict."""
    rng = np.random.default_rng(0)
    size = rng.normal(50, 10, 60)
    town = rng.choice(["north", "south"], 60)
    price = 2 * size + 10 * (town == "south")
    lines = ["size,age,town,price,kind,sold"]
    for i in range(60):
        age = "" if i % 7 == 0 else str(i % 30)
        lines.append(f"{size[i]:.3f},{age},{town[i]},{price[i]:.3f},{'abc'[i % 3]},{'yes' if i % 2 else 'no'}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
