"""Coming back to a run: from its folder, or from a checkpoint that is all there is left of it."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import evaluate
import export
import predict
import runs
from conftest import ROOT, Finished
from kindling import Run, compose, train
from kindling.checkpoints.format import load
from kindling.data.csv import CSV
from kindling.data.encoder import Encoder
from kindling.data.tasks import Binary, Multiclass, Regression, restored
from kindling.errors import UserError
from kindling.reopening import export as export_room
from kindling.reopening.ranking import best_runs, ranked
from kindling.reopening.records import list_runs

QUICK = ["~callbacks.figures", "trainer=cpu", "trainer.max_epochs=2"]
TABLE = ["model=mlp", "data=csv", "data.path=TABLE", "data.target=price", "data.features=[size,age,town]", "loss=mse"]
CASES = {
    "digits": ["model=mlp", "data=digits"],
    "linear": ["model=linear_regression"],
    "xor": ["model=xor", "data.num_repeats=10"],
    "csv": TABLE,
    "double": ["model=linear_regression", "data=diabetes", "trainer.precision=64-true"],
    "population": ["model=mlp", "data=digits", "population=2", "seed=3"],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def table_file(root: Path) -> Path:
    """60 rows: numbers with gaps, texts with gaps, codes that look like numbers, and a price."""
    rng = np.random.default_rng(0)
    size, town = rng.normal(50, 10, 60), rng.choice(["north", "south", ""], 60)
    age = ["" if i % 7 == 0 else str(1990 + i % 30) for i in range(60)]
    price = 1000 * size + 10_000 * (town == "south")
    lines = [f"{size[i]:.3f},{age[i]},{town[i]},{price[i]:.3f}" for i in range(60)]
    path = root / "table.csv"
    path.write_text("\n".join(["size,age,town,price", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def finished(root: Path, table_file: Path) -> Callable[[str], Finished]:
    """One run of each case, made when it is first asked for."""
    made: dict[str, Finished] = {}

    def finished(case: str) -> Finished:
        if case not in made:
            folder = root / case
            overrides = [text.replace("TABLE", str(table_file)) for text in CASES[case]]
            made[case] = Finished(folder, train(compose([*overrides, *QUICK, f"run_dir={folder}"])).score)
        return made[case]

    return finished


@pytest.fixture
def alone(finished: Callable[[str], Finished], tmp_path: Path) -> Callable[[str], Path]:
    """The best checkpoint of a case, moved to where nothing else is."""

    def alone(case: str) -> Path:
        return Path(shutil.copy(finished(case).folder / "checkpoints" / "best.ckpt", tmp_path / "moved.ckpt"))

    return alone


@pytest.fixture
def hidden(table_file: Path, finished: Callable[[str], Finished]) -> Iterator[None]:
    """The table is gone while the test runs."""
    finished("csv")
    away = table_file.rename(table_file.with_suffix(".away"))
    yield
    away.rename(table_file)


def error_of(main: Callable[[list[str]], None], *argv: object) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main([str(arg) for arg in argv])
    text = exit_info.value.code
    assert isinstance(text, str)
    assert text.startswith("error: ")
    assert "\n" not in text
    return text.removeprefix("error: ")


@pytest.mark.parametrize("case", [name for name in CASES if name != "population"])
def test_an_evaluation_gives_the_numbers_of_the_run_to_the_last_digit(
    case: str, finished: Callable[[str], Finished], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(case).folder
    capsys.readouterr()
    evaluate.main([str(folder), "--json"])
    assert json.loads(capsys.readouterr().out) == finished(case).summary["metrics"]


def test_the_command_line_prints_the_metrics_and_no_noise(finished: Callable[[str], Finished]) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/evaluate.py", str(finished("xor").folder), "data.batch_size=2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    metrics = finished("xor").summary["metrics"]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"test/acc   {metrics['test/acc']:.6g}\ntest/loss  {metrics['test/loss']:.6g}\n"


@pytest.mark.parametrize("case", ["digits", "csv"])
def test_any_split_is_evaluated_by_the_best_weights(case: str, finished: Callable[[str], Finished]) -> None:
    values = Run(finished(case).folder).evaluate("val")
    assert values.keys() == {name.replace("test/", "val/") for name in finished(case).summary["metrics"]}
    assert values["val/loss"] == pytest.approx(finished(case).score, rel=1e-6)


def test_the_best_of_a_population_is_an_ordinary_run(finished: Callable[[str], Finished]) -> None:
    done = finished("population")
    run = Run(done.folder)
    assert run.cfg.seed == done.summary["monitor"]["best_seed"]
    members = pd.read_csv(done.folder / "members.csv").set_index("seed")
    assert run.evaluate() == pytest.approx(
        {name: members.loc[run.cfg.seed, name] for name in ("test/loss", "test/acc")}, rel=1e-4
    )
    last = done.folder / "checkpoints" / "last.ckpt"
    expected = f"{last} holds all 2 models of a population; open best.ckpt, the best of them"
    assert error_of(evaluate.main, last) == expected


def test_a_run_is_opened_in_three_lines(finished: Callable[[str], Finished]) -> None:
    run = Run(finished("digits").folder)
    assert run.config.model.hidden_features == [256]
    assert len(run.metrics) == 2
    assert run.summary == finished("digits").summary
    assert not run.model.training
    assert run.confusion()._repr_png_().startswith(b"\x89PNG")
    table = run.predictions()
    assert (table["class"] == table["true"]).mean() == pytest.approx(run.summary["metrics"]["test/acc"])
    assert table.filter(like="probability_").sum(axis=1).to_numpy() == pytest.approx(np.ones(179))


def test_opening_a_run_draws_nothing_at_random(finished: Callable[[str], Finished]) -> None:
    folder = finished("xor").folder
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert Run(folder).model is not None
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_alone_predicts_rows_of_a_table(
    finished: Callable[[str], Finished], alone: Callable[[str], Path], hidden: None, tmp_path: Path
) -> None:
    """Columns in another order, one too many; an unknown town, a gap in every column."""
    run = Run(alone("csv"))
    (tmp_path / "new.csv").write_text("town;extra;age;size\nsouth;1;1999;50\nwest;1;;50\n;1;1999;\n")
    predict.main([str(run.path), "--input", str(tmp_path / "new.csv"), "--output", str(tmp_path / "out.csv")])
    values = pd.read_csv(tmp_path / "out.csv")["prediction"].to_numpy()
    encoder = run.described.encoder
    size, age = ((v - encoder.mean[i]) / encoder.std[i] for i, v in enumerate((50, 1999)))
    filled_size, filled_age = ((encoder.median[i] - encoder.mean[i]) / encoder.std[i] for i in range(2))
    assert encoder.columns == {"size": None, "age": None, "town": ["", "north", "south"]}
    x = torch.tensor([[size, age, 0, 0, 1], [size, filled_age, 0, 0, 0], [filled_size, age, 1, 0, 0]])
    with torch.no_grad():
        expected = run.model.task.prediction(run.model(x.float()))[:, 0]
    assert values == pytest.approx(expected.numpy(), rel=1e-4)
    assert values.mean() > 1000  # in the units of the target


def test_the_rows_of_training_are_predicted_as_in_training(
    finished: Callable[[str], Finished], table_file: Path
) -> None:
    """Read as new inputs, the table gives what the run's own splits give."""
    run = Run(finished("csv").folder)
    splits = pd.concat([run.predictions(name) for name in ("train", "val", "test")])
    again = run.predictions(table_file)["prediction"]
    assert sorted(again) == pytest.approx(sorted(splits["prediction"]), rel=1e-5)


def test_another_table_is_prepared_as_the_model_learned_it(
    finished: Callable[[str], Finished], table_file: Path, tmp_path: Path
) -> None:
    """Doubled prices, sizes far off: the statistics stay those of the checkpoint."""
    table = pd.read_csv(table_file)
    table.assign(size=table["size"] * 10).to_csv(tmp_path / "other.csv", index=False)
    run = Run(finished("csv").folder, [f"data.path={tmp_path / 'other.csv'}"])
    assert run.datamodule.splits["train"].x[:, 0].mean() > 5
    assert run.datamodule.task.state() == run.model.task.state()
    assert run.datamodule.state_dict() == load(run.checkpoint)["CSV"]


def test_pictures_are_predicted_from_a_folder(alone: Callable[[str], Path], tmp_path: Path) -> None:
    run = Run(alone("digits"))
    rows = Run(run.path).datamodule.splits["test"].x[:3, 0]
    (tmp_path / "pictures").mkdir()
    for i, pixels in enumerate(rows):
        grey = Image.fromarray((pixels.double() * 255 / 16).round().to(torch.uint8).numpy())
        grey.convert("RGB").save(tmp_path / "pictures" / f"{i}.PNG")
        Image.fromarray(255 - np.asarray(grey)).save(tmp_path / f"{i}.png")
    table = run.predictions(tmp_path / "pictures")
    expected = run.predictions("test").head(3)
    assert table["file"].tolist() == ["0.PNG", "1.PNG", "2.PNG"]
    assert table["class"].tolist() == expected["class"].tolist()
    assert table["probability_3"].to_numpy() == pytest.approx(expected["probability_3"].to_numpy(), abs=0.02)
    inverted = run.predictions(tmp_path, invert=True).drop(columns="file")
    pd.testing.assert_frame_equal(inverted, table.drop(columns="file"), rtol=1e-4)
    np.save(tmp_path / "rows.npy", rows.numpy())
    array = run.predictions(tmp_path / "rows.npy")
    pd.testing.assert_frame_equal(array, expected.drop(columns="true"), rtol=1e-4)


def test_two_classes_have_two_probabilities(alone: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n0,1\n1,1\n")
    table = Run(alone("xor")).predictions(tmp_path / "rows.csv")
    assert table.columns.tolist() == ["class", "probability_0", "probability_1"]
    assert (table["probability_0"] + table["probability_1"]).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("kind", ["torch-export", "state-dict", "onnx"])
@pytest.mark.parametrize("case", ["digits", "linear", "xor", "csv", "double"])
def test_what_is_exported_predicts_as_the_run_does(
    case: str, kind: str, finished: Callable[[str], Finished], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    export.main([str(finished(case).folder), "--format", kind, "--output", str(tmp_path / "model")])
    difference = float(capsys.readouterr().out.rpartition("largest difference ")[2].partition(",")[0])
    assert difference < 1e-5
    if kind == "onnx":
        import onnx

        about = {entry.key: entry.value for entry in onnx.load(tmp_path / "model").metadata_props}
        run = Run(finished(case).folder)
        assert json.loads(about.get("classes", "null")) == getattr(run.model.task, "classes", None)
        encoder = getattr(run.described, "encoder", None)
        assert json.loads(about.get("columns", "null")) == (list(encoder.names) if encoder else None)
        assert set(json.loads(about["units"])) == {"x", "prediction"}
    if kind == "torch-export":
        program = torch.export.load(tmp_path / "model").module()
        run = Run(finished(case).folder)
        for count in (1, 3):
            x = run.datamodule.raw_inputs("test")[:count]
            torch.testing.assert_close(program(x), run.predictor.predict(x))


def test_a_table_is_exported_with_its_gaps_and_without_its_file(
    alone: Callable[[str], Path], hidden: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = alone("csv")
    export.main([str(path)])
    printed = capsys.readouterr().out
    assert "x float32 (rows, 5): size, age, town=, town=north, town=south -> float32 (rows, 1)" in printed
    assert "random inputs, since there are no real ones (data.path=" in printed
    x = torch.tensor([[torch.nan, 1999, 0, 0, 1], [50, torch.nan, 0, 1, 0], [50, 1999, 0, 0, 1]])
    values = torch.export.load(path.parent / "model.pt2").module()(x)
    torch.testing.assert_close(values, Run(path).predictor.predict(x))
    assert values.isfinite().all()


def test_an_export_that_differs_is_refused(
    finished: Callable[[str], Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(what: export_room.Exportable, path: Path) -> export_room.Predict:
        path.touch()
        return lambda x: what.module(x) + 0.001

    monkeypatch.setattr(export_room, "as_state_dict", wrong)
    text = error_of(export.main, finished("xor").folder, "--format", "state-dict", "--output", tmp_path / "model")
    assert text == f"{tmp_path / 'model'}: its predictions differ by 0.001, more than 0.0001"


def test_a_model_that_cannot_be_exported_is_named(
    finished: Callable[[str], Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kindling.models.xor.XOR.forward", lambda self, x: self.net(x) if x.sum() > 0 else -self.net(x))
    text = error_of(export.main, finished("xor").folder, "--output", tmp_path / "model.pt2")
    assert text.startswith("--format torch-export: kindling.models.xor.XOR cannot be exported (")


def test_missing_packages_are_named(finished: Callable[[str], Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kindling.reopening.export.find_spec", lambda name: None)
    assert error_of(export.main, finished("xor").folder, "--format", "onnx") == (
        "--format onnx: onnx, onnxscript, onnxruntime missing; pip install -e '.[export]' installs what it needs"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["nowhere"], "nowhere: no such run folder or checkpoint"),
        (["RUN", "trainer.acelerator=cpu"], "trainer.acelerator: no such key; did you mean trainer.accelerator?"),
        (["RUN", "trainer.accelerator=tpu"], "trainer.accelerator=tpu: there is none on this machine; available: cpu"),
        (["RUN", "data=minst"], "data=minst: no such option; did you mean mnist?"),
        (["RUN", "data=xor"], "does not go with"),
        (["RUN", "data=csv", "data.path=a.csv"], "data.target: a value is required, as in data.target=..."),
        (
            ["RUN", "model=xor"],
            "model=xor: a finished run keeps its model; only data, loss, metrics, trainer can be replaced",
        ),
        (["RUN", "data.batch_size=0"], "data.batch_size=0: should be greater than 0"),
        (["RUN", "data.batch_size=1,2"], "data.batch_size=1,2: one value is needed, not several"),
        (["RUN", "model.hidden_features=[3]"], "does not fit kindling.models.mlp.MLP"),
        (["RUN", "allowed_packages=mine"], "allowed_packages=mine: should be a list of names, like allowed_packages=["),
        (["RUN", "split=tset"], "split=tset: should be one of train, val, test; did you mean test?"),
        (["EMPTY"], "EMPTY: has no checkpoints/best.ckpt; name the folder of a run, or a checkpoint"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    argv: list[str], expected: str, finished: Callable[[str], Finished], tmp_path: Path
) -> None:
    places = {"RUN": str(finished("digits").folder), "EMPTY": str(tmp_path)}
    text = error_of(evaluate.main, *[places.get(arg, arg) for arg in argv])
    assert expected.replace("EMPTY", str(tmp_path)) in text


@pytest.mark.parametrize(
    ("case", "name", "content", "expected"),
    [
        ("csv", "none.csv", None, "FILE: no such file or folder"),
        ("csv", "new.csv", "size,town\n1,north\n", "FILE: has no column age, which the model takes"),
        ("csv", "new.csv", "size,agee,town\n1,2,north\n", "FILE: has no column age, which the model takes; did you"),
        ("csv", "new.csv", "size,age,town\nbig,1,north\n", "FILE: column size holds big, which is no number"),
        ("csv", "new.csv", "size,age,town\ninf,1,north\n", "FILE: column size holds infinite values"),
        ("csv", "new.txt", "", "FILE: is no input of this model; give a .csv file with the columns of its table"),
        ("csv", "new.csv", "", "FILE: the file is empty"),
        ("digits", "new.csv", "a,b\n1,2\n", "FILE: has rows of shape [2], and the model takes [1, 8, 8]"),
        ("digits", "new.npy", "text", "FILE: not a readable .npy file"),
        ("digits", "folder", None, "FILE: there are no images in it; it should hold .png or .jpg files"),
        ("digits", "folder/x.png", "text", "FILE: not a readable image"),
        ("xor", "new.csv", "a,b\n1,x\n", "FILE: holds other things than numbers"),
        ("xor", "new.csv", "a,b\n1,\n", "FILE: holds values that are missing, infinite or beyond float32"),
        ("xor", "new.csv", "a,b\n1,1e300\n", "FILE: holds values that are missing, infinite or beyond float32"),
    ],
)
def test_inputs_that_do_not_fit_are_told_in_a_sentence(
    case: str, name: str, content: str | None, expected: str, finished: Callable[[str], Finished], tmp_path: Path
) -> None:
    path = tmp_path / name
    if "folder" in name:
        (tmp_path / "folder").mkdir()
    if content is not None:
        path.write_text(content)
    source = tmp_path / "folder" if "folder" in name else path
    text = error_of(predict.main, finished(case).folder, "--input", source, "--output", tmp_path / "out.csv")
    assert text.startswith(expected.replace("FILE", str(path)))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("case", ["xor", "linear", "digits"])
def test_predictions_that_are_not_finite_are_told(case: str, alone: Callable[[str], Path], tmp_path: Path) -> None:
    def change(content: dict) -> None:
        for weights in content["state_dict"].values():
            weights.fill_(math.nan)

    path = rewritten(alone(case), change)
    np.save(tmp_path / "x.npy", np.zeros((2, Run(path).described.in_features)))
    text = error_of(predict.main, path, "--input", tmp_path / "x.npy", "--output", tmp_path / "out.csv")
    assert text == f"{tmp_path / 'x.npy'}: for its row 0, counted from 0, the model predicts no finite numbers"


def test_an_output_that_cannot_be_written_is_told(finished: Callable[[str], Finished], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = error_of(predict.main, finished("xor").folder, "--output", tmp_path / "file" / "out.csv")
    assert text == f"{tmp_path / 'file'}: File exists"
    assert error_of(predict.main, finished("xor").folder, "--output", tmp_path) == f"{tmp_path}: Is a directory"


def test_data_that_the_model_does_not_take_are_told(finished: Callable[[str], Finished], tmp_path: Path) -> None:
    text = error_of(evaluate.main, finished("digits").folder, "data=mnist", "data.source=subset")
    assert text == "data: have rows of shape [1, 28, 28], and the model takes [1, 8, 8]"
    text = error_of(evaluate.main, finished("linear").folder, "data=diabetes")
    assert text == "data: are regression with 1 outputs, and the model has learned regression with 2"


def rewritten(path: Path, change: Callable[[dict], None]) -> Path:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_checkpoint_may_name_only_what_the_user_allows(
    alone: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text("from kindling.models.xor import XOR\nclass Mine(XOR): pass\n")
    monkeypatch.syspath_prepend(tmp_path)

    def change(content: dict) -> None:
        content["config"]["model"]["_target_"] = "own_nets.Mine"
        content["config"]["allowed_packages"] = ["own_nets"]  # it has no say in this

    path = rewritten(alone("xor"), change)
    text = error_of(evaluate.main, path)
    assert "model._target_=own_nets.Mine: a checkpoint may not name this" in text
    assert "allowed_packages" in text
    evaluate.main([str(path), "allowed_packages=[own_nets]"])
    assert type(Run(path, allowed_packages=["own_nets"]).model).__name__ == "Mine"


def test_a_config_without_its_classes_is_told(alone: Callable[[str], Path]) -> None:
    path = rewritten(alone("xor"), lambda content: content["config"]["data"].pop("_target_"))
    assert error_of(evaluate.main, path) == f"{path} was not opened: data: names no class"


@pytest.mark.parametrize(
    "state",
    [
        {"task": {"kind": "os.system", "command": "true"}},
        {"row_shape": ["a"]},
        {"row_shape": 2},
        {"row_shape": [-2]},
        {"mean": "a"},
        {"mean": {}},
    ],
)
def test_what_a_checkpoint_says_of_its_data_is_not_trusted(state: dict, alone: Callable[[str], Path]) -> None:
    path = rewritten(alone("xor"), lambda content: content["XOR"].update(state))
    text = error_of(predict.main, path, "--input", path, "--output", path.with_suffix(".csv"))
    assert text.startswith(f"{path}: what it says of its data does not fit together (")


def test_a_checkpoint_cannot_ask_for_more_memory_than_its_weights_take(alone: Callable[[str], Path]) -> None:
    def change(content: dict) -> None:
        content["config"]["model"]["hidden_features"] = [10**9, 10**9]  # 4 exabytes

    path = rewritten(alone("digits"), change)
    assert error_of(evaluate.main, path) == (
        f"{path} does not fit kindling.models.mlp.MLP: net.1.weight is [1000000000, 64] in the model "
        "and [256, 64] in the checkpoint"
    )


def test_a_run_of_another_device_is_opened_on_what_is_there(
    alone: Callable[[str], Path], finished: Callable[[str], Finished]
) -> None:
    def change(content: dict) -> None:
        content["config"]["trainer"].update(accelerator="tpu", devices=8, strategy="ddp")

    run = Run(rewritten(alone("xor"), change))
    assert run.evaluate() == pytest.approx(finished("xor").summary["metrics"])
    with pytest.raises(UserError, match=r"trainer.accelerator=tpu: there is none on this machine"):
        _ = Run(run.path, ["trainer.accelerator=tpu"]).model


def test_another_precision_leaves_the_model_as_it_is(finished: Callable[[str], Finished]) -> None:
    run = Run(finished("double").folder, ["trainer.precision=32-true"])
    assert run.evaluate() == pytest.approx(finished("double").summary["metrics"], rel=1e-4)
    assert next(run.model.parameters()).dtype == torch.float64
    assert run.predictions()["prediction"].to_numpy() == pytest.approx(
        Run(run.path).predictions("test")["prediction"].to_numpy()
    )


def test_a_checkpoint_without_a_description_of_its_data_asks_the_data(
    alone: Callable[[str], Path], finished: Callable[[str], Finished]
) -> None:
    def change(content: dict) -> None:
        del content["Linear"], content["config"]["allowed_packages"]  # as before there were such

    run = Run(rewritten(alone("linear"), change))
    assert run.evaluate() == finished("linear").summary["metrics"]


def test_runs_are_listed_ranked_and_compared(
    root: Path, finished: Callable[[str], Finished], capsys: pytest.CaptureFixture[str]
) -> None:
    for case in ("digits", "population", "linear"):
        finished(case)
    (root / "sweeps" / "0").mkdir(parents=True, exist_ok=True)
    (root / "sweeps" / "0" / "summary.json").write_text('{"status": "failed", "model": "xor", "seed": 5}')
    table = Run.list(root).set_index("folder")
    assert table.loc[str(root / "digits"), ["status", "model", "data", "seed", "epochs"]].tolist() == [
        "completed", "mlp", "digits", 0, 2,
    ]  # fmt: skip
    assert table.loc[str(root / "digits"), "test/acc"] == finished("digits").summary["metrics"]["test/acc"]
    assert table.loc[str(root / "sweeps" / "0"), ["status", "seed"]].tolist() == ["failed", 5]

    runs.main(["list", "--in", str(root), "--sort", "test/acc"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3
    runs.main(["best", "--in", str(root)])
    assert str(root / "linear") in capsys.readouterr().out
    runs.main(["compare", str(root / "digits"), str(root / "population")])
    printed = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert printed["population"] == ["1", "2"]
    assert printed["data.seed"] == ["0", "3"]
    assert "run_dir" not in printed
    assert "test/acc" in printed
    text = error_of(runs.main, "list", "--in", root, "--sort", "test/accuracy")
    assert text.startswith("--sort test/accuracy: no run has this metric, only ")
    assert text.endswith("did you mean test/acc?")
    assert error_of(runs.main, "compare", root, root) == f"{root}: is no run folder; name one with a config.yaml in it"
    assert error_of(runs.main, "--in", root / "none").startswith(f"{root / 'none'}: no such folder")


def test_the_best_is_told_by_what_was_monitored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For each file and monitor; never by the test, nor a run that validated on a part of its rows."""

    def make(name: str, best: float, test: float, trainer: str = "{}", **fields: Any) -> None:
        monitor = {"name": "val/loss", "mode": "min", "best": best, **fields.pop("monitor", {})}
        known = {"status": "completed", "model": "mlp", "data": {"name": "csv", "source": "/a.csv"}, "monitor": monitor}
        folder = tmp_path / name
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps({**known, "metrics": {"test/loss": test}, **fields}))
        (folder / "config.yaml").write_text(f"run_dir: x\ntrainer: {trainer}\n")

    make("good", 0.2, 0.9)
    make("lucky", 0.3, 0.1)
    make("debug", 0.01, 0.1, "{fast_dev_run: true}")
    make("overfit", 0.01, 0.1, "{overfit_batches: 2}")
    make("limited", 0.01, 0.1, "{limit_val_batches: 1}")
    make("whole", 0.25, 0.1, "{limit_val_batches: 1.0, overfit_batches: 0.0}")
    make("pruned", 0.01, 0.1, status="pruned")
    make("other", 0.7, 0.4, data={"name": "csv", "source": "/b.csv"})
    make("acc", 0.8, 0.9, monitor={"name": "val/acc", "mode": "max"})
    make("better_acc", 0.9, 0.9, monitor={"name": "val/acc", "mode": "max"})
    make("unmonitored", 0.0, 0.9, monitor={"name": None})
    error = {"type": "UserError", "message": "data.path=x.csv: no\nsuch file"}
    make("refused", 0.0, 0.0, status="failed", error=error, monitor={"name": None}, data=[])
    found = best_runs(list_runs(tmp_path))
    assert [(row["source"], row["monitor"], Path(row["folder"]).name) for row in found.to_dict("records")] == [
        ("/a.csv", "val/acc (max)", "better_acc"),
        ("/a.csv", "val/loss (min)", "good"),
        ("/b.csv", "val/loss (min)", "other"),
    ]
    asked = best_runs(list_runs(tmp_path), "test/loss")["folder"]
    assert [Path(folder).name for folder in asked] == ["lucky", "other"]
    runs.main(["--in", str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " failed " in f" {line} "]
    assert line.split()[:3] == ["failed", "mlp", "-"]
    assert line.endswith("data.path=x.csv: no such file")


@pytest.mark.parametrize(
    "text",
    [
        '{"data":[]}',
        '{"status":{}}',
        '{"status":"completed","monitor":{"name":[],"best":"x"},"metrics":{"test/acc":[1]}}',
        '{"status":"completed","monitor":5,"metrics":[],"started":[],"epochs":2.5,"data":"x","error":"y"}',
        f'{{"status":"completed","metrics":{{"test/acc":{"9" * 400}}},"monitor":{{"name":"x","mode":[],"best":1}}}}',
        "{",
        "[" * 9999,
    ],
)
def test_one_bad_record_is_no_end_of_the_others(text: str, tmp_path: Path) -> None:
    good = '{"status":"completed","metrics":{"test/acc":1.0},"monitor":{"name":"val/acc","mode":"max","best":0.5}}'
    for name, content in (("good", good), ("bad", text)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(content)
    table = list_runs(tmp_path)
    assert table.to_string().count("\n") == 2
    assert best_runs(table)["folder"].tolist() == [str(tmp_path / "good")]
    assert ranked(table, "test/acc")["folder"].tolist() == [str(tmp_path / "good")]


@pytest.mark.parametrize("task", [Regression([1.5], [0.1]), Binary(["no", "yes"]), Multiclass(["a", "b", "c"])])
def test_a_task_comes_back_from_plain_data(task: Regression | Binary | Multiclass) -> None:
    again = restored(json.loads(json.dumps(task.state())))
    assert type(again) is type(task)
    assert again.state() == task.state()


def test_an_encoder_comes_back_from_plain_data(table_file: Path) -> None:
    table = pd.read_csv(table_file)
    fitted = Encoder.fit(table, standardize=True)
    again = Encoder(**json.loads(json.dumps(vars(fitted))))
    assert np.array_equal(fitted.transform(table), again.transform(table))


def test_codes_that_look_like_numbers_stay_texts(tmp_path: Path) -> None:
    rows = [f"{'0' if i % 2 else 'a'}{i % 3},{i},{i % 4 == 0}" for i in range(30)]
    (tmp_path / "codes.csv").write_text("\n".join(["code,price,new", *rows]))
    first = CSV(path=str(tmp_path / "codes.csv"), target="price")
    first.setup()
    other = CSV(path=str(tmp_path / "codes.csv"), target="price")
    other.load_state_dict(first.state_dict())
    (tmp_path / "new.csv").write_text("code,new\n01,True\n02,False\n")  # by itself, 1 and 2
    expected = [[float(name in (f"code={code}", f"new={new}")) for name in first.encoder.names]
                for code, new in (("01", True), ("02", False))]  # fmt: skip
    assert other.read_inputs(tmp_path / "new.csv").tolist() == expected


def test_a_class_that_the_model_has_not_seen_is_told(csv_file: Path, tmp_path: Path) -> None:
    first = CSV(path=str(csv_file), target="kind", task="multiclass")
    first.setup()
    (tmp_path / "other.csv").write_text(csv_file.read_text().replace(",a,", ",z,"))
    other = CSV(path=str(tmp_path / "other.csv"), target="kind", task="multiclass")
    other.load_state_dict(first.state_dict())
    with pytest.raises(UserError, match=r"other.csv: the class z is none of a, b, c"):
        other.setup()
