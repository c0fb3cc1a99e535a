"""Sweeps on clusters and with several processes a job: real ones, on this machine."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import ROOT

pytestmark = pytest.mark.slow

XOR = ["-m", "model=xor", "trainer=cpu", "trainer.max_epochs=2", "seed=0,1"]


def sweep(folder: Path, *overrides: str) -> list[dict[str, str]]:
    """The table of a sweep that was run as a user would."""
    command = [sys.executable, "train.py", *XOR, *overrides, f"hydra.sweep.dir={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Validation losses of the two jobs, one after the other in one process."""
    return [float(row["val/loss"]) for row in sweep(tmp_path_factory.mktemp("sweep") / "expected")]


PROCESSES = ["hydra/launcher=processes", "hydra.launcher.n_jobs=2"]
LAUNCHERS = {
    "processes": PROCESSES,
    "ddp": ["trainer=ddp_cpu"],
    "ddp in processes": ["trainer=ddp_cpu", *PROCESSES],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
    "ddp in submitit": ["trainer=ddp_cpu", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
    "ray": ["hydra/launcher=ray"],
    "sqlite": ["sweep.storage=sqlite:///FOLDER/study.db", *PROCESSES],
}


@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_every_launcher_gives_the_same_table(
    launcher: str, expected: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if launcher == "ray" and not find_spec("ray"):
        pytest.skip("needs pip install -e '.[ray]'")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    rows = sweep(tmp_path / "sweep", *(text.replace("FOLDER", str(tmp_path)) for text in LAUNCHERS[launcher]))
    assert [row["status"] for row in rows] == ["completed", "completed"]
    assert [float(row["val/loss"]) for row in rows] == pytest.approx(expected, rel=1e-5)
    assert sorted(path.parent.name for path in (tmp_path / "sweep").rglob("summary.json")) == ["0", "1"]
