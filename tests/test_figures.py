"""Every picture of a run: what it is drawn from, that it can be drawn again, and that it can be read."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from torch import nn

import plot
from conftest import CONF, ROOT
from figure_texts import text_problems
from kindling import compose, train
from kindling.config.command_line import check_command_line
from kindling.errors import UserError
from kindling.figure import Figure, style
from kindling.models.xor import XOR
from kindling.pictures import album, curves, hidden, members, network, plane, predictions, stuck
from kindling.pictures.about import About
from kindling.pictures.trace import EARLY, MOST_MOMENTS, Trace

RUNS = {
    "xor": ["model=xor", "callbacks.figures.format=[png,svg]"],
    "flat": ["model=xor", "model.activation=identity", "trainer.max_epochs=-1", "trainer.max_steps=300"],
    "housing": ["model=linear_regression", "data=housing"],
    "linear": ["model=linear_regression", "data=linear"],
    "digits": ["data=digits", "trainer.max_epochs=3", "callbacks=grad_norm"],
    "population": ["model=xor", "model.activation=relu", "population=12", "trainer.max_epochs=8"],
}
ABOUT = About("mlp", "table", "0", "a-run", "val/loss", "min", 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of one of the RUNS, trained when it is first asked for."""
    folder = tmp_path_factory.mktemp("pictures")

    def run(name: str) -> Path:
        if not (folder / name).exists():
            train(compose([*RUNS[name], f"run_dir={folder / name}"]))
        return folder / name

    return run


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", RUNS)
def test_every_picture_is_drawn_again_from_the_folder_alone_and_can_be_read(
    name: str, run: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(run(name), tmp_path / "moved", ignore=shutil.ignore_patterns("checkpoints"))
    figures = dict(album.draw(tmp_path / "moved"))
    assert set(figures) == {path.stem for path in (run(name) / "figures").glob("*.png")}
    assert set(figures) <= set(json.loads((run(name) / "figures" / "captions.json").read_text())) | {
        *("confusion", "labels", "worst_mistakes")
    }
    assert (run(name) / "figures" / "data.npz").stat().st_size <= album.MOST_BYTES
    assert not {name: found for name, figure in figures.items() if (found := text_problems(figure))}
    assert all("seed 0" in texts(figure) for figure in figures.values())


def test_svg_beside_png_with_its_texts_as_texts(run: Callable[[str], Path]) -> None:
    folder = run("xor") / "figures"
    drawn = {path.stem for path in folder.glob("*.png")}
    assert drawn == {path.stem for path in folder.glob("*.svg")}
    assert drawn >= {"learning_curves", "decision", "hidden_layer", "network"}
    assert "half-way, step" in (folder / "decision.svg").read_text()


def test_the_script_draws_into_another_folder(run: Callable[[str], Path], tmp_path: Path) -> None:
    command = [sys.executable, "scripts/plot.py", run("housing"), "--output", tmp_path / "new", "--format", "svg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"{name}.svg" for name in ("learning_curves", "predictions", "loss_surface", "weights", "network")
    }


COMMANDS = re.findall(r"^python (\S+\.py) (.+?)(?: +#.*)?$", (ROOT / "docs/seeing.md").read_text(), flags=re.MULTILINE)
OF_PICTURES = [(script, rest) for script, rest in COMMANDS if "outputs/shown" in rest or "callbacks.figures" in rest]


@pytest.mark.parametrize(("script", "rest"), OF_PICTURES)
def test_the_commands_of_the_page_are_right(script: str, rest: str) -> None:
    argv = shlex.split(rest)
    if script == "train.py":
        check_command_line(CONF, "train", argv)
        return
    argv[0] = "outputs/none"  # whatever lies in the folder of the page
    with pytest.raises(SystemExit) as exit_info:
        plot.main(argv)
    assert exit_info.value.code == "error: outputs/none: is no folder of a run, or of one without pictures"


def test_a_picture_that_is_not_there_is_refused_by_its_name(run: Callable[[str], Path]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        plot.main([str(run("housing")), "--only", "decison"])
    assert "--only decison" in str(exit_info.value.code)
    assert "loss_surface" in str(exit_info.value.code)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 and no more", "endless", {"decision/lines": np.zeros(3)}, {"x": np.ones(2)}]
)
def test_a_file_that_is_damaged_or_made_up_gives_one_sentence(
    content: bytes | str | dict[str, np.ndarray], run: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run("xor"), folder)
    if content == "endless":  # says that it holds terabytes
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
        with zipfile.ZipFile(folder / "figures" / "data.npz", "w") as file:
            file.writestr("decision/x.npy", header.getvalue())
    elif isinstance(content, bytes):
        (folder / "figures" / "data.npz").write_bytes(content)
    elif isinstance(content, dict):
        np.savez(folder / "figures" / "data.npz", allow_pickle=False, **content)
    if isinstance(content, dict) and "x" in content:  # of no picture
        assert [name for name, _ in album.draw(folder)] == ["learning_curves"]
        return
    with pytest.raises(UserError, match=r"data\.npz: (is damaged|of decision nothing can be drawn)"):
        dict(album.draw(folder))


def test_weights_are_held_against_least_squares_and_the_truth(run: Callable[[str], Path]) -> None:
    found = album.read(run("linear") / "figures")["weights"]
    data = torch.load(run("linear") / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 4, generator=generator)
    bias = torch.randn(2, generator=generator)
    assert found["labels"][4] == "intercept → y1"
    np.testing.assert_allclose(found["true"], torch.cat([weight, bias[:, None]], 1).flatten(), rtol=1e-6)
    np.testing.assert_allclose(
        found["learned"], torch.cat([data["net.weight"], data["net.bias"][:, None]], 1).flatten(), rtol=1e-6
    )
    assert np.abs(found["fit"] - found["true"]).max() < 0.02
    np.testing.assert_allclose(found["half"], 1.96 * 0.1 / np.sqrt(800), rtol=0.15)  # noise 0.1 over 800 rows


def test_the_loss_surface_is_that_of_the_flats_in_their_own_units(run: Callable[[str], Path]) -> None:
    found = album.read(run("housing") / "figures")["loss_surface"]
    assert list(found["labels"]) == [
        "price (100 million won) for one more of area (pyeong)",
        "price (100 million won) for one more of rooms",
    ]
    x = np.array([[32, 3, 0.3], [33, 3, 0.5], [36, 4, 0.5]])
    y = np.array([6, 7, 8.5])
    away = x - x.mean(axis=0)
    distance = np.linalg.lstsq(away[:, 2:], y - y.mean() - away[:, :2] @ found["end"], rcond=None)[0]
    for row, column in ((0, 0), (10, 50), (60, 60)):
        weights = np.array([found["lines"][0][column], found["lines"][1][row], *distance])
        loss = (((away @ weights + y.mean() - y) / y.std()) ** 2).mean()
        assert found["losses"][row, column] == pytest.approx(loss, rel=1e-3)
    assert found["path"].shape[1] == 2
    np.testing.assert_allclose(found["path"][-1], found["end"], atol=1e-4)


def test_before_training_and_chance_are_known_and_no_accuracy_goes_beyond_one(run: Callable[[str], Path]) -> None:
    found = album.read(run("digits") / "figures")["learning_curves"]
    chance = dict(zip(found["chance_names"], found["chance_values"], strict=True))
    assert chance["val/acc"] == pytest.approx(0.1, abs=0.03)
    assert chance["val/loss"] == pytest.approx(np.log(10), abs=0.01)
    figure = dict(album.draw(run("digits")))["learning_curves"]
    panels = {axes.get_ylabel(): axes for axes in figure.axes}
    assert {"accuracy", "loss", "learning rate", "gradient norm"} <= set(panels)
    assert panels["accuracy"].get_ylim()[1] == 1
    assert "validation" in panels["accuracy"].get_title(loc="right")
    housing = album.read(run("housing") / "figures")["learning_curves"]
    assert dict(zip(housing["chance_names"], housing["chance_values"], strict=True))["val/r2"] == pytest.approx(0)
    assert str(housing["unit"]) == "100 million won"


def test_a_loss_that_is_nothing_but_rounding_is_cut_off(run: Callable[[str], Path]) -> None:
    loss = dict(album.draw(run("housing")))["learning_curves"].axes[0]
    assert loss.get_yscale() == "log"
    bottom, top = loss.get_ylim()
    assert top / bottom < 1e10


def test_a_flat_surface_has_no_border_and_a_run_of_steps_an_axis_of_steps(run: Callable[[str], Path]) -> None:
    figures = dict(album.draw(run("flat")))
    decision = figures["decision"]
    assert "after training\n2 of 4 right (flat: no border)" in texts(decision)
    assert not [one for axes in decision.axes[1:3] for one in axes.collections if "ContourSet" in type(one).__name__]
    assert {axes.get_xlabel() for axes in figures["learning_curves"].axes} >= {"optimizer steps"}


def test_the_surface_says_what_the_model_says(run: Callable[[str], Path]) -> None:
    found = album.read(run("xor") / "figures")["decision"]
    assert list(found["steps"][[0, 2]]) == [0, -1]
    assert abs(found["steps"][1] - 1000) <= 32
    last = found["surfaces"][-1]
    for (first, second), y in zip(found["x"], found["y"], strict=True):
        row, column = (np.abs(found["lines"][axis] - value).argmin() for axis, value in ((1, second), (0, first)))
        assert abs(last[row, column] - y) < 0.05
    assert (found["taken"][-1] == found["y"]).all()


def test_the_line_in_the_hidden_layer_parts_the_points(run: Callable[[str], Path]) -> None:
    found = album.read(run("xor") / "figures")["hidden_layer"]
    (a, b, c), points = found["line"][-1], found["points"][-1]
    assert ((points @ [a, b] + c > 0) == found["y"].astype(bool)).all()
    assert b == pytest.approx(0, abs=1e-6)  # upright
    assert found["units"] == 4


def test_the_net_has_its_weights_of_both_moments(run: Callable[[str], Path]) -> None:
    found = album.read(run("xor") / "figures")["network"]
    weights = torch.load(run("xor") / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    np.testing.assert_allclose(found["weight_0"][1], weights["net.0.weight"], rtol=1e-6)
    np.testing.assert_allclose(found["bias_1"][1], weights["net.2.bias"], rtol=1e-6)
    assert np.abs(found["weight_0"][0] - found["weight_0"][1]).max() > 0.1


def test_which_members_got_stuck(run: Callable[[str], Path]) -> None:
    found = album.read(run("population") / "figures")
    accuracy = found["members"]["test/acc"]
    assert 0 < (accuracy < 1).sum() == found["stuck_members"]["stuck"]
    seeds = found["members"]["seed"]
    for seed, taken in zip(found["stuck_members"]["seeds"], found["stuck_members"]["taken"], strict=True):
        right = (taken == found["stuck_members"]["y"].astype(bool)).mean()
        assert right == pytest.approx(accuracy[list(seeds).index(seed)])


def test_a_trace_keeps_the_first_steps_and_then_moments_evenly() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trace = Trace()
    trace.follow(model, optimizer)
    for _ in range(2000):
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert trace.steps[: EARLY + 1] == list(range(EARLY + 1))
    assert len(trace.steps) <= MOST_MOMENTS
    late = np.diff(trace.steps[EARLY + 2 :])
    assert set(late) == {trace.every}
    assert trace.step(0.5) == pytest.approx(1000, abs=trace.every)


COURSES = {
    "one epoch": {"epoch": [0], "step": [10], "train/loss": [0.5], "val/loss": [0.4], "val/acc": [1.0]},
    "any names": {"epoch": [0, 1], "step": [1, 2], "fid": [3.0, 2.0], "loss/G": [-1.0, 2.0], "val_loss": [1.0, 0.5]},
    "many": {"epoch": [0, 1], "step": [1, 2], **{f"val/a_score_of_a_long_name_{i}": [i, i + 1e6] for i in range(13)}},
    "decades": {"epoch": [0, 1, 2], "step": [1, 2, 3], "val/loss": [1e3, 1e-9, 1e-16], "lr": [1e-5, 1e-2, 1e-7]},
    "gaps": {"epoch": [0, 1, 2], "step": [5, 10, 15], "val/loss": [0.1, np.nan, 0.3], "train/loss": [np.nan] * 3},
    "steps": {"epoch": [0, 0, 0], "step": [250_000, 500_000, 1_000_000], "val/loss": [3.0, 2.0, 1.0]},
    "equal": {"epoch": [0, 1], "step": [1, 2], "val/acc": [1.0, 1.0], "train/acc": [0.0, 0.0]},
}


@pytest.mark.parametrize("name", COURSES)
def test_curves_of_any_course_can_be_read(name: str) -> None:
    with style():
        figure = curves.draw(pd.DataFrame(COURSES[name]), {}, ABOUT)
    assert figure is not None
    figure.caption(ABOUT.caption)
    assert not text_problems(figure)


@pytest.mark.parametrize("outputs", [1, 3, 12])
def test_predictions_of_many_outputs_can_be_read(outputs: int) -> None:
    shown = min(outputs, predictions.MOST_OUTPUTS)
    true = 1e5 * np.random.default_rng(0).normal(size=(60, shown)) ** 2
    scores = {"rmse": np.ones(shown), "spread": np.full(shown, 1e5), "noise": np.array(np.nan)}
    names = np.array(["price of the flat (100 million won)", *"bcdefghijklm"][:shown])
    found = {"true": true, "predicted": true + 5, "names": names, "outputs": np.array(outputs), **scores}
    with style():
        figure = predictions.draw(found, ABOUT)
        figure.caption(ABOUT.caption)
    assert not text_problems(figure)


def test_every_picture_says_how_it_is_read() -> None:
    said = album.captions()
    assert {"learning_curves", "decision", "hidden_layer", "stuck_members", "members", "network"} <= set(said)
    assert all(text.endswith(".") for text in said.values())
    assert len({hidden.SAYS, members.SAYS, network.SAYS, stuck.SAYS}) == 4
    assert plane.FLAT < 0.1


def test_a_picture_that_fails_costs_itself_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("no such thing")

    def figures(self: object, data: object) -> Iterator[tuple[str, Figure]]:
        yield "own", Figure()
        yield "none", None  # type: ignore[misc]
        fails()

    monkeypatch.setattr(hidden, "measure", fails)
    monkeypatch.setattr(network, "draw", fails)
    monkeypatch.setattr(XOR, "figures", figures, raising=False)
    done = train(compose([*RUNS["xor"][:1], "trainer.max_epochs=1", f"run_dir={tmp_path / 'run'}"]))
    assert done.summary["status"] == "completed"
    drawn = {path.stem for path in (done.folder / "figures").glob("*.png")}
    assert drawn == {"learning_curves", "decision", "own"}
    assert (done.folder / "report.html").exists()
    said = [record.getMessage() for record in caplog.records if "WARNING: " in record.getMessage()]
    assert [re.sub(r" /\S*/figures/data\.npz:", "", text) for text in said] == [
        "WARNING: there is no picture hidden_layer: it cannot be measured (RuntimeError: no such thing)",
        "WARNING: no figures, or not all: of network nothing can be drawn (RuntimeError: no such thing)",
        "WARNING: no figure none: AttributeError: 'NoneType' object has no attribute 'savefig'",
        "WARNING: no figures, or not all: RuntimeError: no such thing",
    ]
    with pytest.raises(SystemExit) as exit_info:
        plot.main([str(done.folder), "--output", str(tmp_path / "again")])
    assert "of network nothing can be drawn" in str(exit_info.value.code)
    assert {path.stem for path in (tmp_path / "again").iterdir()} == {"learning_curves", "decision"}
