"""train=false and test=false: what is measured, what is left alone, and what makes no sense."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from conftest import Finished, compose_config
from kindling import Run, compose
from kindling.config.checks import problems
from kindling.errors import UserError

SHORT = ("trainer=cpu", "trainer.max_epochs=1")
PARTS = {
    "classes": ["data=digits"],
    "standardised": ["model=linear_regression", "data=diabetes"],
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_weights_are_measured_as_evaluate_measures_them(parts: list[str], run: Callable[..., Finished]) -> None:
    trained = run(*parts, *SHORT)
    measured = run(*parts, *SHORT, "train=false", f"init_from={trained.folder}", "seed=5")
    for key in ("metrics", "status"):
        assert measured.summary[key] == trained.summary[key]
    assert measured.summary["metrics"] == Run(trained.folder).evaluate()
    assert measured.score == pytest.approx(trained.score)
    assert [measured.summary[key] for key in ("epochs", "steps")] == [0, 0]
    assert measured.summary["ended"] == {"early": False, "reason": "train=false"}
    assert not (measured.folder / "checkpoints").exists()
    assert not (measured.folder / "figures" / "learning_curves.png").exists()
    assert "\nnot trained\n" in (measured.folder / "train.log").read_text()


def test_other_data_are_prepared_as_the_weights_have_learned(
    run: Callable[..., Finished], csv_file: Path, tmp_path: Path
) -> None:
    """Rows with another mean: standardised by their own, they would give other predictions."""
    header, *rows = csv_file.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([header, *(rows[i] for i in range(60) if float(rows[i].split(",")[0]) > 45)]) + "\n")
    parts = ["model=linear_regression", "data=csv", "data.target=price", "data.features=[size,town]", *SHORT]
    trained = run(*parts, f"data.path={csv_file}")
    measured = run(*parts, f"data.path={other}", "train=false", f"init_from={trained.folder}")
    expected = Run(trained.folder, [f"data.path={other}"]).evaluate()
    assert measured.summary["metrics"] == pytest.approx(expected)


def test_without_a_test_its_rows_are_left_alone_until_the_run_goes_on_with_one(run: Callable[..., Finished]) -> None:
    untested = run("data=digits", *SHORT, "test=false")
    assert untested.summary["metrics"] == {}
    assert math.isfinite(untested.score)
    assert (untested.folder / "figures" / "learning_curves.png").exists()
    log = (untested.folder / "train.log").read_text()
    assert "no test: test=false" in log
    assert f"val/loss {untested.score:.4g}" in log
    tested = run(f"resume={untested.folder}", "test=true", folder=untested.folder)
    assert tested.summary["metrics"] == run("data=digits", *SHORT).summary["metrics"]


def test_a_run_from_before_there_were_switches_goes_on(run: Callable[..., Finished]) -> None:
    old = run("data=digits", *SHORT)
    config = yaml.safe_load((old.folder / "config.yaml").read_text())
    del config["train"], config["test"]
    (old.folder / "config.yaml").write_text(yaml.safe_dump(config))
    compose([f"resume={old.folder}", "trainer.max_epochs=2"])
    compose([f"resume={old.folder}", "test=false"])


def test_random_weights_are_measured_with_a_warning(
    run: Callable[..., Finished], caplog: pytest.LogCaptureFixture
) -> None:
    assert run("model=xor", "trainer=cpu", "train=false").summary["status"] == "completed"
    assert "train=false without init_from: what is measured are the weights that the model is made with" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["train=false", "test=false"], "train=false, test=false: leave nothing to do; leave one of them out"),
        (
            ["train=false", "population=3"],
            "train=false: measures one set of weights, and population=3 makes several; set it to 1",
        ),
        (["train=1"], "train=1: should be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(overrides: list[str], sentence: str) -> None:
    assert problems(compose_config("model=xor", *overrides)) == [sentence]


def test_what_cannot_be_measured_is_said(run: Callable[..., Finished], tmp_path: Path) -> None:
    trained = run("model=xor", *SHORT)
    part = {"net.0.weight": torch.load(trained.folder / "checkpoints" / "best.ckpt")["state_dict"]["net.0.weight"]}
    torch.save(part, tmp_path / "part.pt")
    with pytest.raises(UserError, match=r"part.pt: has no fitting net.0.bias, .*, which would be random"):
        run("model=xor", "train=false", f"init_from={tmp_path / 'part.pt'}")
    with pytest.raises(UserError, match=r"monitor=train/loss: was not measured, since train=false validates alone"):
        run("model=xor", "train=false", "monitor=train/loss", f"init_from={trained.folder}")
    with pytest.raises(UserError, match=r"train=false: resume=.* trains on; init_from=.* measures its weights"):
        run(f"resume={trained.folder}", "train=false", folder=trained.folder)
    assert json.loads((trained.folder / "summary.json").read_text())["status"] == "completed"


def test_a_sweep_has_its_scores_all_the_same(
    run: Callable[..., Finished], cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    trained = run("model=xor", *SHORT)
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    done = cli("-m", "model=xor", *SHORT, "train=false", f"init_from={trained.folder}", "seed=0,1", sweep)
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "sweep" / "table.csv")["val/loss"].notna().all()
