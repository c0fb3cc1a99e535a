"""The README and the pages keep their word: commands compose, tables are complete, example files run."""

import importlib
import json
import re
import shlex
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

from conftest import CONF, ROOT, options
from kindling import compose, train
from kindling.config.command_line import check_command_line
from kindling.errors import UserError
from matrix import PROJECTS_BY_NAME, Clone

README = (ROOT / "README.md").read_text()
OPTIONS = "".join((ROOT / "docs" / name).read_text() for name in ("training.md", "data.md", "seeing.md"))
COMMANDS = sorted(set(re.findall(r"python train\.py[^`\n#|]*", README + OPTIONS)))
NO_SWEEP = (
    "outputs/sweeps/NAME: is not the folder of a sweep; name one with a sweep.yaml in it, such as outputs/sweeps/NAME"
)
EXAMPLES = dict(
    re.findall(r"`(\S+/(?:conv|circles)\.(?:py|yaml))`.*?```(?:python|yaml)\n(.*?)```", README, flags=re.DOTALL)
)


@pytest.mark.parametrize("command", [c for c in COMMANDS if not re.search("conv|circles|model=net|--tree|--help", c)])
def test_every_command_passes_the_check(command: str) -> None:
    argv = shlex.split(command)[2:]
    if "--help" in argv:
        with pytest.raises(SystemExit) as exit_info:
            check_command_line(CONF, "train", argv)
        assert exit_info.value.code in (None, 0)
        return
    if "FOLDER" not in command and "NAME" not in command:
        check_command_line(CONF, "train", argv)
        return
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", argv)
    assert exit_info.value.code in (f"error: {argv[0]}: there is no such folder", f"error: {NO_SWEEP}")


SCRIPTS = sorted(set(re.findall(r"python (scripts/[^`\n#|;>]*)", README + OPTIONS)))


@pytest.mark.parametrize("command", [c for c in SCRIPTS if "outputs/shown" not in c])  # test_figures.py starts those
def test_every_script_takes_what_it_is_given(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the run, which is not there."""
    script, *argv = shlex.split(command)
    module = importlib.import_module(Path(script).stem)
    monkeypatch.setattr("kindling.reopening.records.list_runs", lambda root: pd.DataFrame())
    monkeypatch.setattr("kindling.reopening.ranking.best_runs", lambda *args: pd.DataFrame())
    if argv == ["outputs"]:  # which may hold no run
        monkeypatch.setattr("kindling.report.write_index", Mock())
    for name in ("look.look", "lr_range.find_lr"):
        monkeypatch.setattr(f"kindling.running.{name}", Mock(side_effect=UserError("RUN: not looked at")))
    for name in ("baselines.measure", "run.run"):
        monkeypatch.setattr(f"kindling.studies.{name}", Mock(side_effect=UserError("RUN: not learned from")))
    of_a_run = re.search("RUN|NAME|outputs/shown", command)
    needs_run = of_a_run or module.__name__ in ("look", "find_lr", "baselines", "study")
    if not needs_run:
        module.main(argv)
        return
    with pytest.raises(SystemExit) as exit_info:
        module.main(argv)
    assert re.match("error: (RUN: |outputs/(shown/|sweeps/NAME: is not the folder of a))", str(exit_info.value.code))


@pytest.mark.parametrize("group", sorted({file.parent.name for file in CONF.glob("*/*.yaml")} - {"local", "study"}))
def test_the_table_names_every_option(group: str) -> None:
    (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", README, flags=re.MULTILINE)
    assert re.findall(r"`([a-z0-9_]+)`", row) == options(group)


@pytest.mark.parametrize(
    ("overrides", "accuracy"),
    [(["model=conv", "data=digits", "trainer.max_epochs=5"], 0.8), (["model=xor", "data=circles"], 0.9)],
    ids=["model", "data"],
)
def test_the_example_files_learn(
    overrides: list[str], accuracy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written as the README gives them, beside a copy of conf/ and into folders added to the project's packages."""
    import kindling.data
    import kindling.models

    for package in (kindling.models, kindling.data):
        monkeypatch.setattr(
            package, "__path__", [*package.__path__, str(tmp_path / "src" / package.__name__.replace(".", "/"))]
        )
    for file in CONF.rglob("*.yaml"):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text())
    for name, content in EXAMPLES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    done = train(compose([*overrides, f"run_dir={tmp_path / 'run'}"], config_dir=tmp_path / "conf"))
    assert done.summary["metrics"]["test/acc"] > accuracy


def test_the_plain_module_learns_and_is_evaluated(tmp_path: Path) -> None:
    """The first example: two classes in src/mine/, a line and four lines of config, commands as from a shell."""
    clone = Clone(tmp_path, PROJECTS_BY_NAME["plain"])
    (source,) = re.findall(r"`src/mine/spirals.py`:\n\n```python\n(.*?)```", README, flags=re.DOTALL)
    (model,) = re.findall(r"what is best:\n\n```yaml\n(.*?)```", README, flags=re.DOTALL)
    (line,) = re.findall(r"`conf/data/spirals.yaml` is one line, `(.*?)`", README)
    (tmp_path / "src" / "mine").mkdir()
    for name, content in {
        "src/mine/spirals.py": source,
        "conf/model/net.yaml": model,
        "conf/data/spirals.yaml": line,
    }.items():
        (tmp_path / name).write_text(content)
    clone.run("train.py", "model=net", "trainer.accelerator=cpu", "hydra.run.dir=run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["monitor"]["best"] > 0.9
    told = json.loads(clone.run("scripts/evaluate.py", "run", "split=val", "--json").stdout)
    assert told == {"val_acc": pytest.approx(summary["monitor"]["best"])}


def test_make_knows_the_targets_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z]+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
