"""A run from Python: compose, train, and everything about it in its folder, as by the command line."""

import logging
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import kindling
from conftest import CONF
from kindling import Run, compose, train
from kindling.errors import UserError

QUICK = ["trainer=cpu", "trainer.max_epochs=1"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=mpl"], "model=mpl: no such option; did you mean mlp? (model is one of linear_regression, mlp, xor)"),
        (["optimizer.lrr=1"], "optimizer.lrr: no such key; did you mean optimizer.lr?"),
        (["optimizer.lr=abc"], "optimizer.lr=abc: should be a number, like 0.004"),
        (["seed=0,1"], "seed=0,1: several values need the flag -m"),
        (["sweep=tpe"], "sweep=tpe: needs the flag -m"),
        (["data=csv", "data.target=y"], "data.path: a value is required, as in data.path=..."),
        (["+optimizer.lr=1"], "+optimizer.lr=1: optimizer.lr is there already; leave out the +"),
        (["~seed"], "~seed: is a setting of every run, and stays; give it another value instead"),
        (["resume=nowhere"], "resume=nowhere: there is no such folder"),
        (["hydra.run.dir=/dev/null/x"], "hydra.run.dir=/dev/null/x: cannot be written to (Not a directory)"),
    ],
)
def test_a_mistake_is_a_user_error_in_a_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        compose(overrides)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)
    assert compose(["model=xor"])  # Hydra has been left as it was


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(UserError) as error:
        compose(["optimizer.lrr=3", "optimizer.lr=abc", "model=mpl"])
    assert str(error.value).splitlines()[0] == "3 mistakes in the configuration"


def test_mistakes_that_only_signatures_show_are_told_by_train(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^optimizer.lr=-1: Invalid learning rate: -1$"):
        train(compose(["optimizer.lr=-1", f"run_dir={tmp_path / 'run'}"]))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("~loss.class_weights", ["_target_", "label_smoothing"]),
        ("~loss.class_weights=null", ["_target_", "label_smoothing"]),
        ("~loss.label_smoothing", ["_target_", "class_weights"]),
    ],
)
def test_a_key_is_taken_away_whether_or_not_it_is_null(override: str, left: list[str]) -> None:
    assert sorted(compose(["data=digits", override]).loss) == left


@pytest.mark.parametrize("override", ["~loss.class_weights=5", "~loss.class_weights=0", "~loss.label_smoothing=5"])
def test_a_key_with_another_value_than_was_said_is_not_taken_away(override: str) -> None:
    with pytest.raises(UserError, match="Could not delete from config"):
        compose(["data=digits", override])


def test_two_runs_in_one_process_leave_two_complete_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quoted = "~callbacks.progress_bar", "monitor='val/loss'"
    asked = [["model=xor", *QUICK, *quoted], ["model=xor", *QUICK, "seed=7"]]
    runs = [train(compose(overrides)) for overrides in asked]
    assert {run.folder.parent for run in runs} == {tmp_path / "outputs" / "xor"}
    assert runs[0].folder != runs[1].folder
    for run, overrides in zip(runs, asked, strict=True):
        assert {path.name for path in run.folder.iterdir()} == {
            *(".lock", "config.yaml", "overrides.yaml", "metrics.csv", "report.html", "summary.json", "train.log"),
            *("checkpoints", "figures"),
        }
        pictures = {"learning_curves", "decision", "hidden_layer", "network"}
        assert {path.stem for path in (run.folder / "figures").iterdir()} == {"captions", "data", *pictures}
        config = OmegaConf.load(run.folder / "config.yaml")
        assert not {"hydra", "sweep"} & config.keys()
        assert config.run_dir == str(run.folder)
        assert OmegaConf.load(run.folder / "overrides.yaml") == overrides
        assert shlex.split(run.summary["command"]) == ["python", "train.py", *overrides]
        assert (run.summary["status"], run.summary["model"], run.summary["data"]["name"]) == ("completed", "xor", "xor")
        assert run.score == run.summary["monitor"]["best"] == pytest.approx(run.metrics["val/loss"].min())
        logged = (run.folder / "train.log").read_text()
        assert f"outputs/xor/{run.folder.name}" in logged
        assert logged.count("xor on xor (in memory: 4 / 4 / 4, the same rows), 17 parameters, cpu") == 1
    assert capsys.readouterr().out.count("xor on xor") == 2
    assert not logging.getLogger("kindling").handlers


def test_a_config_is_not_changed_by_training_and_its_folder_not_used_twice(tmp_path: Path) -> None:
    cfg = compose(["model=xor", *QUICK, f"run_dir={tmp_path / 'run'}"])
    before = OmegaConf.to_yaml(cfg)
    assert isinstance(train(cfg), Run)
    assert OmegaConf.to_yaml(cfg) == before
    with pytest.raises(UserError, match="already holds a run"):
        train(cfg)


def test_the_folder_is_where_either_key_says(tmp_path: Path) -> None:
    assert compose([f"run_dir={tmp_path}"]).run_dir == str(tmp_path)
    assert compose([f"hydra.run.dir={tmp_path}"]).run_dir == str(tmp_path)
    first, second = (compose().run_dir for _ in range(2))
    assert Path(first).parent == Path.cwd() / "outputs" / "mlp"
    assert first != second


def test_configs_may_be_elsewhere(tmp_path: Path) -> None:
    for file in CONF.rglob("*.yaml"):
        copy = tmp_path / file.relative_to(CONF)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text())
    (tmp_path / "optimizer" / "mine.yaml").write_text("_target_: torch.optim.SGD\n_partial_: true\nlr: 0.25\n")
    assert compose(["optimizer=mine"], config_dir=tmp_path).optimizer.lr == 0.25
    with pytest.raises(UserError, match="optimizer=mine: no such option"):
        compose(["optimizer=mine"])


def test_the_package_offers_these_names_alone() -> None:
    assert (kindling.compose, kindling.train, kindling.Run) == (compose, train, Run)
    with pytest.raises(AttributeError, match="has no attribute trian"):
        _ = kindling.trian
