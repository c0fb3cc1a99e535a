"""What a notebook, and predict.py on the command line, show of a run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

import predict
from kindling import Run, compare, compose, train
from kindling.config.quoting import quoted
from kindling.errors import UserError
from strokes import DIGITS

OVERRIDES = {
    "digits": ["data=digits", "trainer.max_epochs=3"],
    "mnist": ["model=mlp", "data.source=subset", "trainer.max_epochs=4"],
    "xor": ["model=xor", "trainer.max_epochs=2"],
    "housing": ["model=linear_regression", "data=housing", "trainer.max_epochs=1"],
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    root, made = tmp_path_factory.mktemp("runs"), dict[str, Run]()

    def run_of(name: str) -> Run:
        if name not in made:
            train(compose([*OVERRIDES[name], "trainer=cpu", f"run_dir={quoted(root / name)}"]))
            made[name] = Run(root / name)
        return made[name]

    return run_of


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        *(("digits", "curves"), ("digits", "mistakes"), ("digits", "weights"), ("xor", "decision"), ("xor", "weights")),
        *(("housing", "curves"), ("housing", "weights")),
    ],
)
def test_a_run_draws_itself(name: str, picture: str, run_of: Callable[[str], Run]) -> None:
    assert getattr(run_of(name), picture)()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "picture"), [("digits", "decision"), ("xor", "mistakes"), ("housing", "confusion")])
def test_a_picture_that_it_does_not_have_is_told(name: str, picture: str, run_of: Callable[[str], Run]) -> None:
    with pytest.raises(UserError, match=r": there is no picture |: a regression has no classes to confuse"):
        getattr(run_of(name), picture)()


def test_layers_have_shapes_and_parameters(run_of: Callable[[str], Run]) -> None:
    table = run_of("digits").layers()
    linear = table[table["kind"] == "Linear"]
    assert linear["shape"].tolist() == ["256", "10"]
    assert linear["parameters"].tolist() == [64 * 256 + 256, 256 * 10 + 10]
    assert table["parameters"].sum() == run_of("digits").summary["parameters"]
    assert run_of("xor").layers()["parameters"].sum() == 17


def test_an_array_is_predicted_as_it_comes(run_of: Callable[[str], Run]) -> None:
    run = run_of("digits")
    x = run.datamodule.splits["test"].x[:3]
    expected = run.predictions("test").head(3).drop(columns="true")
    for array in (x, x.numpy(), x.numpy().astype(float).tolist()):
        pd.testing.assert_frame_equal(run.predict(array), expected, rtol=1e-4)
    pd.testing.assert_frame_equal(run.predict(x[0]), expected.head(1), rtol=1e-4)
    table = pd.DataFrame({"rooms": [3], "distance": [0.5], "area": [33]})
    values = run_of("housing").predict(table[["area", "rooms", "distance"]].to_numpy())
    assert run_of("housing").predict(table)["prediction"].item() == pytest.approx(values["prediction"].item())
    with pytest.raises(UserError, match=r"^predict: has rows of shape \[3\], and the model takes \[1, 8, 8\]$"):
        run.predict([[1, 2, 3]])


def test_curves_of_several_runs_are_laid_over_each_other(run_of: Callable[[str], Run]) -> None:
    digits, xor = run_of("digits"), run_of("xor")
    figure = compare(digits, xor.folder)
    panels = {axes.get_ylabel(): axes for axes in figure.axes if axes.get_ylabel()}
    assert sorted(panels) == ["accuracy", "learning rate", "loss"]
    drawn = [line for line in panels["accuracy"].lines if line.get_linestyle() == "-"]
    assert [line.get_ydata().tolist() for line in drawn] == [run.metrics["val/acc"].tolist() for run in (digits, xor)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["digits", "xor"]
    with pytest.raises(UserError, match=r"^compare: give it runs, or their folders$"):
        compare()


def test_photos_are_told_in_a_table_and_shown_as_the_net_saw_them(
    run_of: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for digit in (0, 1, 7):  # in a corner of a large page
        paper = Image.new("L", (500, 700), 220)
        for stroke in DIGITS[digit]:
            ImageDraw.Draw(paper).line([(380 + 90 * x, 10 + 120 * y) for x, y in stroke], fill=30, width=10)
        paper.save(tmp_path / f"{digit}.png")
    run = str(run_of("mnist").folder.resolve())
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    predict.main([run, "--input", "7.png", "0.png", "trainer.accelerator=cpu", "--input", "1.png"])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1:4]] == [["7.png", "7"], ["0.png", "0"], ["1.png", "1"]]
    assert max(map(len, printed)) <= 80
    assert printed[4] == "as the net saw them: outputs/predict/mnist/inputs.png"
    assert Path("outputs/predict/mnist/inputs.png").exists()
    predict.main([run, "--input", ".", "--output", "new/found.csv"])
    assert pd.read_csv("new/found.csv")["class"].tolist() == [0, 1, 7]
    assert capsys.readouterr().out == "3 predictions in new/found.csv\nas the net saw them: new/found.png\n"
    assert Run(run).predictions("1.png", invert=True)["class"].tolist() == ["1"]
    with pytest.raises(UserError, match=r"^1\.png: has no strokes that stand out from their ground$"):
        Run(run).predictions("1.png", invert=False)
    predict.main([run])
    assert capsys.readouterr().out.endswith("\nand 480 more; --output FILE.csv writes all of them\n")


def test_images_of_the_size_are_taken_as_they_are(run_of: Callable[[str], Run], tmp_path: Path) -> None:
    run = run_of("mnist")
    pixels = run.datamodule.splits["test"].x[:20, 0].numpy()
    for row, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{row:02}.png")
    expected = run.predictions("test").head(20).drop(columns="true")
    pd.testing.assert_frame_equal(run.predictions(tmp_path).drop(columns="file"), expected, rtol=1e-4)
    for row, image in enumerate(pixels):
        Image.fromarray(255 - image).save(tmp_path / f"{row:02}.png")
    pd.testing.assert_frame_equal(run.predictions(tmp_path).drop(columns="file"), expected, rtol=1e-4)
    assert np.array_equal(run.described.read_inputs(tmp_path)[:, 0], pixels)
    assert torch.equal(run.described.read_inputs(tmp_path / "00.png")[0, 0], torch.from_numpy(pixels[0]).float())
