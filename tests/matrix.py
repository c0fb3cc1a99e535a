"""Projects as users bring them, in a clone of this template, and what is done with each: the cells of docs/projects.md.

Every command is a process of its own, as from a shell.
"""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
PROJECTS = [ROOT / "docs" / "examples", ROOT / "tests" / "projects"]
# In all runs: dies by SIGKILL where the environment variable KILL_AT says so, and lets Lightning's own hooks be.
KILLER = '''
import os
import signal

import lightning as L


class Killer(L.Callback):
    """KILL_AT=batch:25 (of training, from 1), validation:2 or epoch:1 (at its start)."""

    def __init__(self):
        kind, _, number = os.environ.get("KILL_AT", "").partition(":")
        self.kind, self.number = kind, int(number or 0)
        self.counts = {"batch": 0, "validation": 0}

    def count(self, kind):
        self.counts[kind] += 1
        if self.kind == kind and self.counts[kind] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, *args):
        self.count("batch")

    def on_validation_batch_end(self, *args):
        self.count("validation")

    def on_train_epoch_start(self, trainer, pl_module):
        if self.kind == "epoch" and trainer.current_epoch == self.number:
            os.kill(os.getpid(), signal.SIGKILL)
'''


# What the model was told of the data is in the checkpoint.
WITHOUT_DATA = """
from kindling import Run

run = Run("peace")
run.described.setup = run.described.prepare_data = None
print(run.model)
"""


# Overrides that make an example small.
THREE = "trainer.max_epochs=3"
STREAM = (
    "data.megabytes=2",
    "data.batch_size=16",
    "model.hidden=16",
    "trainer.max_steps=60",
    "trainer.val_check_interval=20",
)


@dataclass(frozen=True)
class Project:
    """Args:
    folder: in docs/examples, or in tests/projects.
    model: the option.
    overrides: of every run.
    inside: batches after which a run is within an epoch, after at least one.
    ddp: overrides of a run with two processes.
    refuses: cells that cannot be, each with what the refusal says.
    """

    folder: str
    model: str
    overrides: tuple[str, ...] = ()
    inside: int = 50
    ddp: tuple[str, ...] = ()
    refuses: tuple[tuple[str, str], ...] = ()


# Sixteen images of four classes, and no momentum: 90 MB less in every checkpoint.
SMALL_RESNET = (
    "data.classes=[0,1,2,3]",
    "data.per_class=16",
    "data.batch_size=16",
    "optimizer=sgd",
    "trainer.max_epochs=3",
)
PLAIN = (("export", "Plain has no example_input_array"),)
PROJECTS_BY_NAME = {
    "plain": Project("plain", "plain", ("trainer.max_epochs=3",), refuses=PLAIN),
    "resnet": Project("resnet", "resnet", SMALL_RESNET, inside=6),
    "gan": Project(
        "gan",
        "gan",
        ("model.channels=2", "data.batch_size=100", "data.num_samples=100", THREE),
        ddp=("trainer.strategy=ddp_find_unused_parameters_true",),  # each step leaves one of the nets out
    ),
    "transformer": Project(
        "transformer",
        "transformer",
        ("data.pattern=co*.py", "data.length=64", "data.batch_size=128", "model.features=8", "model.layers=1", THREE),
        inside=40,
    ),
    "vae": Project("vae", "vae", ("model.hidden=16", "data.batch_size=100", THREE)),
    "pretrained": Project("pretrained", "pretrained"),
    "stream": Project("stream", "stream", STREAM, inside=35),
}
# In the style of Lightning's documentation; for some cells only.
VARIANTS = {
    "hparams": Project("plain", "plain_hparams", ("trainer.max_epochs=3",)),
    "configure": Project("plain", "plain_configure", ("trainer.max_epochs=3",)),
    "split": Project("plain", "plain_split", ("trainer.max_epochs=3",)),
    "stateful stream": Project("stream", "stream", (*STREAM, "data.stateful=true"), inside=35),
}


class Clone:
    """This template with a project in it, in a folder."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.folder = folder
        self.project = project
        for name in ("train.py", "conf", "scripts"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        (folder / "src").mkdir()
        for name in ("kindling", "hydra_plugins"):
            (folder / "src" / name).symlink_to(ROOT / "src" / name)
        (source,) = (path / project.folder for path in PROJECTS if (path / project.folder).is_dir())
        for name in ("src", "conf"):
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
        (folder / "src" / "killer.py").write_text(KILLER)
        killer = "+callbacks.killer={_target_:killer.Killer}"
        self.overrides = [f"model={project.model}", "trainer.accelerator=cpu", killer, *project.overrides]

    def run(self, *command: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python COMMAND` in the clone; None: with any exit code."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder / "src"),
                "PROJECT_DATA": str(self.folder / "data"),
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert code is None or done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def train(self, run: str, *overrides: str, code: int | None = 0, **environment: str) -> str:
        """What `python train.py` prints, of a new run or, where there is one in that folder, one that goes on."""
        command = [f"resume={run}"]
        if not (self.folder / run / "summary.json").exists():
            always = [
                f"model={self.project.model}",
                "trainer.accelerator=cpu",
                "+callbacks.killer={_target_:killer.Killer}",
            ]
            command = [*always, *self.project.overrides, *overrides, f"hydra.run.dir={run}"]
        done = self.run("train.py", *command, code=code, **environment)
        return done.stdout + done.stderr

    def killed(self, run: str, moments: list[str], *overrides: str) -> None:
        """A run that is killed at each of the moments, gone on with each time, and in the end to its end."""
        for moment in moments:
            self.train(run, *overrides, code=-signal.SIGKILL, KILL_AT=moment)
        self.train(run, *overrides)


def result(folder: Path) -> dict[str, Any]:
    """All that must be the same, however often the run was killed."""
    summary = json.loads((folder / "summary.json").read_text())
    saved = {
        name: torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
        for name in ("best", "last")
    }
    kept = ("status", "metrics", "monitor", "epochs", "steps", "last_epoch")
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {"weights": saved, "rows": rows, **{key: repr(summary[key]) for key in kept}}


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    found = [key for key in left if key != "weights" and left[key] != right[key]]
    for name, weights in left["weights"].items():
        other = right["weights"][name]
        if weights.keys() != other.keys() or not all(torch.equal(weights[key], other[key]) for key in weights):
            found.append(f"{name}.ckpt")
    return found


def check_train(clone: Clone) -> None:
    """A complete and true run folder."""
    clone.train("peace")
    folder = clone.folder / "peace"
    names = ("config.yaml", "overrides.yaml", "metrics.csv", "summary.json", "train.log", "figures/learning_curves.png")
    missing = [name for name in names if not (folder / name).exists()]
    assert not missing, missing
    summary, found = json.loads((folder / "summary.json").read_text()), result(folder)
    assert summary["status"] == "completed"
    last = found["rows"][-1]
    assert int(last["step"]) == summary["steps"] > 0
    for name, value in summary["last_epoch"].items():
        if last.get(name):
            assert float(last[name]) == value, name
    assert summary["samples_per_second"] > 0
    assert summary["data"]["sizes"] or clone.project.folder == "stream"


def check_resume(clone: Clone) -> None:
    """Killed within an epoch and between epochs: the same weights and rows."""
    expected = result(clone.folder / "peace")
    inside = clone.project.inside
    moments = [f"batch:{inside}", "epoch:2"] if clone.project.folder != "stream" else [f"batch:{inside}"]
    clone.killed("killed", moments)
    assert not differences(expected, result(clone.folder / "killed"))


def killed_once(clone: Clone) -> None:
    """The quickest of them."""
    expected = result(clone.folder / "peace")
    clone.killed("killed", [f"batch:{clone.project.inside}"])
    assert not differences(expected, result(clone.folder / "killed"))


def check_resume_from_within(clone: Clone) -> None:
    """Gone on with from checkpoints that were saved within epochs, and killed in a validation."""
    often = "callbacks.last.every_n_steps=4"
    clone.train("often", often)
    expected = result(clone.folder / "often")
    assert not differences({**expected, "weights": {}}, {**result(clone.folder / "peace"), "weights": {}})
    moments = [f"batch:{clone.project.inside}", "batch:7"]
    if clone.project.folder != "gan":
        moments.append("validation:1")
    clone.killed("often_killed", moments, often)
    assert not differences(expected, result(clone.folder / "often_killed"))


def check_evaluate(clone: Clone) -> None:
    told = clone.run("scripts/evaluate.py", "peace", "--json").stdout
    assert json.loads(told) == json.loads((clone.folder / "peace" / "summary.json").read_text())["metrics"]


def check_predict(clone: Clone) -> None:
    clone.run("scripts/predict.py", "peace", "--output", "predictions.csv")
    with (clone.folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 20
    assert all(math.isfinite(float(value)) for value in rows[1])
    clone.run("-c", WITHOUT_DATA)


def check_export(clone: Clone) -> None:
    """The script reads the file back and compares."""
    for kind in ("torch-export", "state-dict"):
        assert "largest difference" in clone.run("scripts/export.py", "peace", "--format", kind).stdout


def check_sweep(clone: Clone) -> None:
    """Two jobs, killed in the first, gone on with."""
    swept = ["seed=0,1", "hydra.sweep.dir=sweep"]
    command = ["train.py", "-m", *clone.overrides, *swept]
    clone.run(*command, code=-signal.SIGKILL, KILL_AT=f"batch:{clone.project.inside}")
    done = clone.run("train.py", "-m", "sweep.resume=sweep")
    assert "job 1: completed" in done.stdout, done.stdout
    assert not differences(result(clone.folder / "peace"), result(clone.folder / "sweep" / "0"))


def check_fast_dev_run(clone: Clone) -> None:
    told = clone.train("fast", "debug=fast_dev_run")
    assert not (clone.folder / "fast" / "metrics.csv").exists()
    assert json.loads((clone.folder / "fast" / "summary.json").read_text())["status"] == "completed", told


def check_misspelt(clone: Clone) -> None:
    told = clone.train("misspelt", "trainer.max_epoch=1", code=1)
    assert "trainer.max_epoch: no such key; did you mean trainer.max_epochs?" in told
    told = clone.train("misspelt", "+model.leraning_rate=1", code=1)
    assert "model.leraning_rate:" in told
    assert "has no such argument" in told
    assert not (clone.folder / "misspelt").exists()


def check_ddp_cpu(clone: Clone) -> None:
    """Two processes."""
    clone.train("ddp", "trainer=ddp_cpu", *clone.project.ddp)
    summary = json.loads((clone.folder / "ddp" / "summary.json").read_text())
    assert summary["num_devices"] == 2
    assert summary["status"] == "completed"


CELLS: dict[str, Callable[[Clone], None]] = {
    "train": check_train,
    "resume": check_resume,
    "resume from within": check_resume_from_within,
    "evaluate": check_evaluate,
    "predict": check_predict,
    "export": check_export,
    "sweep": check_sweep,
    "fast_dev_run": check_fast_dev_run,
    "misspelt": check_misspelt,
    "ddp_cpu": check_ddp_cpu,
}


def refused(clone: Clone, cell: str, sentence: str) -> None:
    """The cell ends in that sentence, with exit code 1 and without a traceback."""
    command = {
        "evaluate": ["scripts/evaluate.py", "peace"],
        "export": ["scripts/export.py", "peace"],
    }[cell]
    done = clone.run(*command, code=1)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def check(clone: Clone, cell: str) -> str:
    """Raises AssertionError where the cell is not as it should be; else `yes`, or the sentence of the refusal."""
    sentence = dict(clone.project.refuses).get(cell)
    if sentence:
        refused(clone, cell, sentence)
        return sentence
    CELLS[cell](clone)
    return "yes"
