"""The pages of the course, as a student goes through them: every command in order, at its smallest size."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from conftest import ROOT
from kindling.studies.study import names

COURSE = ROOT / "docs" / "course"
SMALLEST = {"trainer.max_epochs": 1, "population": 3, "sweep.n_trials": 2}


def page(number: int) -> Path:
    (found,) = COURSE.glob(f"{number:02}-*.md")
    return found


def script(name: str) -> ModuleType:
    """A script of a lesson, as a module, which finds those beside it."""
    spec = importlib.util.spec_from_file_location(f"course_{name}", COURSE / "code" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    sys.path.insert(0, str(COURSE / "code"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(COURSE / "code"))
    return module


def answers(number: int) -> list[str]:
    """What is folded below each exercise of a lesson, in one line."""
    _, exercises = page(number).read_text().split("## Exercises")
    found = re.findall(r"<summary>Answer</summary>(.*?)</details>", exercises, flags=re.DOTALL)
    assert len(found) == 3
    return [" ".join(text.split()) for text in found]


def commands(page: Path) -> list[str]:
    """Every line of its ```bash blocks that begins with python, without what follows a #."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.startswith("python ")]


def smallest(command: str) -> list[str]:
    """Its arguments, without python: an epoch, two values of a sweep, two trials, three members, the bundled images."""
    script, *given = shlex.split(command)[1:]
    if script == "scripts/study.py":  # the rows of all studies are checked in test_studies.py
        assert not given or given[0] in names()
        assert set(given[1:]) <= {"--quick"}
        return [script]
    if script not in ("train.py", "scripts/baselines.py", "scripts/look.py", "scripts/find_lr.py"):
        return [script, *given]
    small = [shorter(text, script) for text in given]
    keys = {text.partition("=")[0] for text in given}
    if script == "train.py" and not keys & {
        "trainer.max_epochs",
        "trainer.max_steps",
        "--help",
        "--tree",
        "experiment",
    }:
        small.append("trainer.max_epochs=1")
    others = {"data", "experiment", "--help", "resume"} & keys or {"model=xor", "model=linear_regression"} & {*given}
    if ("data=mnist" in given or not others) and "data.source" not in keys:
        small.append("data.source=subset")
    return [script, *small]


def shorter(text: str, script: str) -> str:
    """One argument."""
    key, _, value = text.partition("=")
    if key in SMALLEST and value.isdecimal():
        return f"{key}={SMALLEST[key]}"
    if re.fullmatch(r"range\(\d+\)", value):
        return f"{key}=range(2)"
    if script == "train.py" and re.fullmatch(r"[^\[\](){}]+,[^\[\](){}]+", value):
        return f"{key}={','.join(value.split(',')[:2])}"
    return text


class Checkout:
    """A copy of what the commands need, so that nothing is written into the project. RUN is the newest run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "train.py", folder)
        for name in ("conf", "scripts", "docs/course"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "src").mkdir()
        for name in ("kindling", "hydra_plugins"):
            (folder / "src" / name).symlink_to(ROOT / "src" / name)

    def run(self, *arguments: str) -> str:
        """What `python ARGUMENTS` prints."""
        done = subprocess.run(
            [sys.executable, *[text.replace("RUN", self.newest_run()) for text in arguments]],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def newest_run(self) -> str:
        runs = sorted((self.folder / "outputs").rglob("summary.json"), key=lambda file: file.stat().st_mtime)
        return str(runs[-1].parent.relative_to(self.folder)) if runs else "RUN"

    def run_page(self, page: Path) -> dict[str, str]:
        """What each command of the page prints."""
        return {command: self.run(*smallest(command)) for command in dict.fromkeys(commands(page))}
