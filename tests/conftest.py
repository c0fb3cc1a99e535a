"""Fixtures: runs in this process, runs from the command line, and small data in the official formats."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import kindling.overrides  # noqa: F401  # registers the resolver that the run folder's name uses
from kindling.resume import quoted
from kindling.train import train

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def compose_config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides))


@pytest.fixture(autouse=True)
def _local_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the data of the machine, sends anything to W&B, or depends on the user's settings."""
    monkeypatch.setenv("KINDLING_DATA", str(tmp_path_factory.getbasetemp() / "no_data"))
    monkeypatch.setenv("WANDB_MODE", "offline")


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
        return Finished(folder, train(compose_config(*overrides, f"run_dir={quoted(folder)}")))

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
