"""Config folders of one's own: checked, run, resumed, swept and recorded like conf/."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import CONF, Finished, Process
from kindling import compose, report
from kindling.config.command_line import check_command_line
from kindling.errors import UserError

QUICK = ["trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures"]
FILES = {
    "mine.yaml": "defaults: [train, override model: tiny, _self_]\nseed: 5\n",
    "model/tiny.yaml": "# @package _global_\ndefaults: [override /data: xor, override /loss: bce_with_logits]\n"
    "model: {_target_: kindling.models.xor.XOR}\n",
    "flavour/salty.yaml": "# @package _global_\nseed: 7\n",
    "flavour/sweet.yaml": "# @package _global_\nseed: 8\n",
    "bare.yaml": "seed: 3\n",
    "broken.yaml": "defaults: [train\n",
    "model/broken.yaml": "_target_: [a\nb: :\n",
    "model/nameless.yaml": "lr: 3\n",
}


@pytest.fixture
def team(tmp_path: Path) -> Path:
    folder = tmp_path / "team's configs"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def message(*argv: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        check_command_line(CONF, "train", list(argv))
    assert isinstance(exit_info.value.code, str)
    assert "\n" not in exit_info.value.code
    return exit_info.value.code.removeprefix("error: ")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["model=tny"], "model=tny: no such option; did you mean tiny? (model is one of broken, linear_regression, "),
        (["-cn", "mine", "optimizer.lrr=1"], "optimizer.lrr: no such key; did you mean optimizer.lr?"),
        (["-cn", "mien"], "--config-name=mien: is not in {conf} or {team}; did you mean mine?"),
        (["-cn", "bare"], "--config-name=bare: has no allowed_packages, compile, "),
        (["-cn", "broken"], "{team}/broken.yaml, line 2: is no YAML (expected "),
        (["model=broken"], "{team}/model/broken.yaml, line 2: is no YAML (expected "),
        (["-cn", "mine", "sweep.resume=nowhere"], "nowhere: is not the folder of a sweep"),
        (["-cn", "mine", "resume=nowhere"], "resume=nowhere: there is no such folder"),
    ],
)
def test_mistakes_are_told_as_in_conf(argv: list[str], expected: str, team: Path) -> None:
    assert message("--config-dir", str(team), *argv).startswith(expected.format(team=team, conf=CONF))


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--config-dir=nowhere"], "--config-dir=nowhere: there is no such folder"),
        (["--config-path=nowhere"], f"--config-path={CONF.parent / 'nowhere'}: there is no such folder"),
        (["--config-dir="], "--config-dir: a value is required"),
        (["hydra.searchpath=nowhere"], "hydra.searchpath=nowhere: should be a list, like [file:///FOLDER]"),
        (["hydra.searchpath=a,b"], "hydra.searchpath=a,b: should be a list, like [file:///FOLDER]"),
        (["hydra.searchpath=a b,"], "hydra.searchpath=a b,: needs quotes around the value, and around it all for the"),
        (["hydra.searchpath=[file:///nowhere]"], "hydra.searchpath: there is no /nowhere"),
    ],
)
def test_a_folder_that_is_none_is_named(argv: list[str], expected: str) -> None:
    assert message(*argv).startswith(expected)


def test_a_name_that_conf_has_taken_is_refused(team: Path) -> None:
    (team / "optimizer").mkdir()
    taken = team / "optimizer" / "adamw.yaml"
    taken.write_text((CONF / "optimizer" / "adamw.yaml").read_text())
    check_command_line(CONF, "train", ["--config-dir", str(team)])
    taken.write_text("_target_: torch.optim.SGD\n")
    assert message("-cd", str(team)).startswith(f"{taken}: would not be read, since {CONF}/optimizer/adamw.yaml comes")


def test_a_section_without_a_class_is_named(team: Path, run: Callable[..., Finished]) -> None:
    with pytest.raises(UserError, match=r"^model: names no class; model._target_ is needed$"):
        run(f"--config-dir={team}", "model=nameless")


def test_help_lists_the_options_of_the_folder_too(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check_command_line(CONF, "train", ["--help", "--config-dir", str(team)])
    text = " ".join(capsys.readouterr().out.split())
    assert " flavour: salty, sweet" in text
    assert "paired with): broken, linear_regression, mlp*, nameless, tiny, xor " in text


def flags(way: str, team: Path) -> tuple[list[str], list[str]]:
    """What is given, and what is recorded."""
    if way == "a folder more":
        return ["-cn", "mine", "-cd", str(team)], ["--config-name=mine", f"--config-dir={team}"]
    if way == "another folder":
        (team / "mine.yaml").write_text(f"{FILES['mine.yaml']}hydra: {{searchpath: ['file://{CONF}']}}\n")
        return ["-cn", "mine", "-cp", str(team)], [f"--config-path={team}", "--config-name=mine"]
    path = f"hydra.searchpath=['file://{team}']".replace("team's", "team\\'s")
    return [path, "model=tiny"], [path]


@pytest.mark.parametrize("way", ["a folder more", "another folder", "the search path"])
def test_a_run_says_where_its_config_was_and_goes_on_with_it(
    way: str, team: Path, run: Callable[..., Finished]
) -> None:
    given, recorded = flags(way, team)
    done = run(*given, *QUICK)
    assert done.summary["parameters"] == 17
    asked = OmegaConf.load(done.folder / "overrides.yaml")
    assert asked[: len(recorded)] == recorded
    assert run(*asked).summary["metrics"] == done.summary["metrics"]  # compose takes what was recorded

    told = message(f"resume={done.folder}")
    assert told.startswith(f"resume={done.folder}: was started with ")
    assert "; give that again: python train.py " in told
    longer = run(*recorded, "trainer.max_epochs=2", f"resume={done.folder}", folder=done.folder)
    assert longer.summary["epochs"] == 2


def test_a_moved_folder_is_found_where_it_is_now(team: Path, run: Callable[..., Finished], tmp_path: Path) -> None:
    done = run(f"--config-dir={team}", "-cn", "mine", *QUICK)
    moved = team.rename(tmp_path / "moved")
    command = ["-cn", "mine", "-cd", str(moved), f"resume={done.folder}"]
    assert f"resume='{done.folder}'" in check_command_line(CONF, "train", command)
    (moved / "mine.yaml").write_text(FILES["mine.yaml"].replace("5", "6"))
    assert message(*command).endswith("changed since the run was started: seed is 6, was 5; data.seed is 6, was 5")


def test_a_sweep_goes_on_with_its_folder_and_its_commands_name_it(
    team: Path, start: Callable[..., Process], tmp_path: Path
) -> None:
    """A group that conf/ does not have is swept; each job's command works by itself."""
    folder = tmp_path / "sweep"
    command = ["-m", "--config-dir", str(team), "model=tiny", "+flavour=salty,sweet", *QUICK]
    done = start(*command, f"hydra.sweep.dir={folder}").wait()
    assert done.code == 0, done.text
    seeds = [json.loads((folder / str(job) / "summary.json").read_text())["seed"] for job in (0, 1)]
    assert seeds == [7, 8]
    overrides = OmegaConf.load(folder / "1" / "overrides.yaml")
    assert overrides == [f"--config-dir={team}", "model=tiny", *QUICK, "+flavour=sweet"]
    assert compose(overrides).seed == 8
    assert f"python train.py -m '--config-dir={str(team)[:5]}" in (folder / "table.md").read_text()
    assert report.table(folder)["flavour"].tolist() == ["salty", "sweet"]

    told = message("-m", f"sweep.resume={folder}")
    assert told.startswith(f"sweep.resume={folder}: was started with ")
    again = check_command_line(CONF, "train", ["-m", "-cd", str(team), f"sweep.resume={folder}"])
    assert again[:3] == ["-m", "-cd", str(team)]
    assert {"model=tiny", "+flavour=salty,sweet"} < set(again)
    more = start("-m", "-cd", str(team), f"sweep.resume={folder}").wait()
    assert "2 jobs, 2 of them done" in more.text
