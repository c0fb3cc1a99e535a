"""Lessons 0 to 3: their commands run, scripts print what the pages say, exercises have these answers."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import CONF, ROOT
from course import COURSE, Checkout, answers, commands, page, script, smallest
from kindling import compose, train
from kindling.config.command_line import check_command_line
from kindling.studies.page import block

FLATS = np.loadtxt(ROOT / "src" / "kindling" / "data" / "housing.csv", delimiter=",", skiprows=1)
X, PRICE = FLATS[:, :3], FLATS[:, 3]
COMMANDS = sorted({command for number in range(4) for command in commands(page(number))})
LESSON_SCRIPTS = [command for command in COMMANDS if "docs/course/code" in command]
OTHERS = [command for command in COMMANDS if command not in LESSON_SCRIPTS]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def printed(checkout: Checkout) -> dict[str, str]:
    """What each script of the lessons prints."""
    return {command: checkout.run(*smallest(command)) for command in LESSON_SCRIPTS}


def fitted(tmp_path: Path, *overrides: str) -> Any:
    """The run of these settings, without its pictures."""
    few = ["model=linear_regression", "data=housing", "trainer=cpu", "~callbacks.figures"]
    return train(compose([*few, *overrides, f"run_dir={tmp_path / 'run'}"]))


@pytest.mark.parametrize("number", range(4))
def test_what_scripts_print_stands_on_the_page(number: int, printed: dict[str, str]) -> None:
    said = "\n".join(printed[command] for command in commands(page(number)) if command in printed)
    names = re.findall(r"^<!-- (?!end)(.*) -->$", page(number).read_text(), flags=re.MULTILINE)
    for name in [name for name in names if name != "look" and not name.startswith("made by ")]:
        assert block(page(number), name) in said, name


@pytest.mark.parametrize("command", OTHERS)
def test_every_command_runs(
    command: str,
    checkout: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process; of a sweep, whose jobs the tests below train, what is checked before it starts."""
    name, *argv = smallest(command)
    if "-m" in argv:
        check_command_line(CONF, "train", argv)
        return
    monkeypatch.chdir(checkout.folder)
    if name == "train.py":
        done = train(compose([*argv, f"run_dir={tmp_path / 'run'}"]))
        assert done.summary["status"] == "completed"
        return
    importlib.import_module(Path(name).stem).main(argv)
    said = capsys.readouterr().out
    if "flats.csv" in command:
        assert block(page(1), "look").removeprefix("```text").removesuffix("```").strip() in said
    if "data=housing" in command:
        assert re.search(r"area .* 1\.29 +0\.986", said)


def test_a_mix_needs_ten_times_the_steps_at_a_tenth_of_the_rate() -> None:
    paints = script("paints")
    away = {lr: np.linalg.norm(np.array(paints.find(lr)) @ paints.PAINTS - paints.TARGET, axis=1) for lr in (0.05, 0.5)}
    assert away[0.05][100] == pytest.approx(away[0.5][10], rel=0.1)
    assert away[0.5][100] < 1e-4
    assert np.linalg.norm(paints.find(2.5)[10]) > 1e4


def test_lesson_0() -> None:
    descend = script("interview").descend
    assert descend(0.5, 2) == [3, 11, 15]
    assert "= 11" in answers(0)[0]
    assert "= 15" in answers(0)[0]
    assert descend(1, 1)[-1] == 19
    assert descend(2, 3) == [3, 35, 3, 35]
    assert "With 1 the correction is the whole error" in answers(0)[1]
    assert "3, 35, 3, 35" in answers(0)[1]
    assert "Supervised" in answers(0)[2]
    (overrides,) = re.findall(r"`(.*?)`", answers(0)[2])
    compose(["data=csv", "data.path=mails.csv", "data.target=spam", *shlex.split(overrides), "model=mlp"])
    lines = {room: sum(len(file.read_text().splitlines()) for file in room.glob("*.py")) for room in rooms()}
    data, models = lines.values()
    assert data > 3 * models  # "more than three times as many lines"


def rooms() -> list[Path]:
    return [ROOT / "src" / "kindling" / name for name in ("data", "models")]


def test_lesson_1(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, size = 1439, 128
    assert f"{-(-rows // size)} batches" in answers(1)[0]
    assert f"and {rows % size} are left" in answers(1)[0]
    array = np.zeros(3)
    copied = torch.tensor(array)
    torch.from_numpy(array).add_(1)
    assert f"{array.sum()}: `t` and `a` share" in answers(1)[1]
    assert f"it is {copied.sum().item()}" in answers(1)[1]
    monkeypatch.chdir(ROOT)
    line = re.findall(r"`(.*?)`", answers(1)[2])[0]
    mean, median = eval(line, {"pd": pd})  # the line of the page
    assert f"{mean:.3f} and {median:.3f}" in answers(1)[2]
    invented = script("dataset").invented()
    assert invented["distance"].isna().sum() == 17
    assert invented.equals(pd.read_csv(COURSE / "code" / "flats.csv"))


def test_the_first_dataset_is_that_of_the_page() -> None:
    (shown,) = re.findall(r"```python\n(class Flats.*?)```", page(1).read_text(), flags=re.DOTALL)
    assert shown in (COURSE / "code" / "dataset.py").read_text()


def test_lesson_2() -> None:
    assert (X @ [0.1, 0.3, 4]).tolist() == pytest.approx([5.3, 6.2, 6.8])
    said = X @ [0.2, 0.1, 1]
    assert said.tolist() == pytest.approx([7.0, 7.4, 8.1])
    assert answers(2)[0].startswith("7.0, 7.4 and 8.1")
    assert f"the mean absolute error is {abs(said - PRICE).mean():.1f}" in answers(2)[0]
    for bias in (-6.5, -6.21, -6.79):
        assert (X @ [0.1, 0.3, 4] + bias > 0).tolist() == [False, False, True]
    assert "-6.2 down to just above -6.8" in answers(2)[1]
    (line,) = re.findall(r"`(.*?)`", answers(2)[2])
    assert eval(line, {"np": np, "X": X, "price": PRICE}).tolist() == pytest.approx([0, 1.5, 5])
    assert "(0, 1.5, 5)" in answers(2)[2]


def test_seeds_find_different_perfect_neurons(tmp_path: Path) -> None:
    new = pd.DataFrame({"area": [34], "rooms": [3], "distance": [0.4]})
    runs = [fitted(tmp_path / str(seed), f"seed={seed}") for seed in (0, 1)]
    assert [run.summary["metrics"]["test/mae"] for run in runs] == pytest.approx([0, 0], abs=1e-5)
    prices = [float(run.predict(new).iloc[0, 0]) for run in runs]
    assert abs(prices[0] - prices[1]) > 0.2


def test_lesson_3(tmp_path: Path) -> None:
    away = [(1 - 0.3 * 5) ** steps for steps in (1, 2)]
    assert f"{away[0]}, then {away[1]}" in answers(3)[0]
    steepness = 2 * (X[:, 0] ** 2).mean() * np.array([1, 3.3**2])
    assert "from {:,.0f} to {:,.0f}".format(*steepness) in answers(3)[1]
    assert f"{2 / steepness[1]:.5f}" in answers(3)[1]
    (line,) = re.findall(r"`(.*?)`", answers(3)[2])
    rooms = eval(line, {"X": X})[:, 1]
    assert "{:.3f}, {:.3f} and {:.3f}".format(*rooms) in answers(3)[2]
    slow = fitted(tmp_path / "momentum", "optimizer=nesterov", "optimizer.lr=0.001")
    plain = fitted(tmp_path / "plain", "optimizer=sgd", "optimizer.lr=0.01")
    maes = [run.summary["metrics"]["test/mae"] for run in (slow, plain)]
    assert maes[0] == pytest.approx(maes[1], rel=0.5)
