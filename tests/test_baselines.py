"""Other methods: the scores of scikit-learn by its own hand, on the splits of our runs; every kind of task and data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.metrics import mean_squared_error
from sklearn.neighbors import KNeighborsClassifier
from torch.utils.data import TensorDataset

import baselines
from conftest import ROOT
from kindling import compose, train
from kindling.data.base import InMemoryDataModule
from kindling.data.images import Digits
from kindling.data.on_disk import OnDiskDataModule
from kindling.data.splits import Split
from kindling.data.tabular import Boston, Diabetes
from kindling.data.tasks import Binary, Multilabel, Regression, Task
from kindling.errors import UserError
from kindling.studies.baselines import Baseline, counts, learn_in_time, measure
from kindling.studies.baselines_text import heading, lines
from kindling.studies.methods import METHODS, LeastSquaresClassifier, size
from kindling.studies.rows import Rows, scores
from test_data import ready


def found(*overrides: str, only: str = "", limit: float = 60.0) -> dict[str, Baseline]:
    _, results = measure(compose(overrides), [name for name in only.split(",") if name], limit)
    return {one.method: one for one in results}


def table(path: Path, rows: int = 120, **columns: Any) -> list[str]:
    """A CSV file of two features and these columns, and the overrides that name it."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(rows, 2)), columns=["a", "b"])
    x.assign(**{name: make(x, rng) for name, make in columns.items()}).to_csv(path / "t.csv", index=False)
    return ["data=csv", f"data.path={path / 't.csv'}"]


def test_scores_are_those_that_scikit_learn_gets_on_the_splits_of_our_runs() -> None:
    data = ready(Diabetes())
    train_split, test = data.splits["train"], data.splits["test"]
    one = found("data=diabetes", only="ridge")["ridge"]
    y = data.task.target(train_split.y)[:, 0].numpy()
    ridge = Ridge(**one.chosen).fit(train_split.x.double().numpy(), y)
    by_hand = ridge.predict(test.x.double().numpy()) * data.task.std.item() + data.task.mean.item()
    assert one.scores["rmse"] == pytest.approx(mean_squared_error(test.y[:, 0], by_hand) ** 0.5, rel=1e-5)
    assert set(one.scores) == {"mae", "rmse", "r2"}
    assert one.size == "11 weights"


def test_a_setting_is_chosen_by_the_validation_rows() -> None:
    data = ready(Digits())
    x, y = (
        {name: part(split) for name, split in data.splits.items()}
        for part in (lambda split: split[torch.arange(len(split))][0].flatten(1).numpy(), lambda split: split.y.numpy())
    )
    best = max(
        (5, 1, 3, 10, 20),
        key=lambda k: KNeighborsClassifier(k).fit(x["train"], y["train"]).score(x["val"], y["val"]),
    )
    one = found("data=digits", only="knn")["knn"]
    assert one.chosen == {"n_neighbors": best}
    expected = KNeighborsClassifier(best).fit(x["train"], y["train"]).score(x["test"], y["test"])
    assert one.scores == {"acc": pytest.approx(expected)}


def test_least_squares_is_what_our_linear_regression_comes_to(tmp_path: Path) -> None:
    run = train(
        compose(
            [
                "model=linear_regression",
                "data=linear",
                "optimizer=lbfgs",
                "trainer=cpu",
                "trainer.max_epochs=5",
                "~callbacks.figures",
                f"run_dir={tmp_path}",
            ]
        )
    )
    one = found("data=linear", only="least_squares,svm,boosting")
    assert one["least_squares"].scores["rmse"] == pytest.approx(run.summary["metrics"]["test/rmse"], rel=5e-3)
    assert one["svm"].scores["rmse"] < 0.5  # one machine for each output
    assert one["boosting"].scores["r2"] > 0.9


KINDS = {
    "regression": (["data.target=y"], {"y": lambda x, rng: 3 * x.a - x.b}, "rmse"),
    "binary": (
        ["data.target=y", "data.task=binary", "loss=bce_with_logits"],
        {"y": lambda x, rng: np.where(x.a > 0, "yes", "no")},
        "acc",
    ),
    "multiclass": (
        ["data.target=y", "data.task=multiclass"],
        {"y": lambda x, rng: np.select([x.a > 0.4, x.a < -0.4], ["high", "low"], "mid")},
        "acc",
    ),
    "multilabel": (
        ["data.target=[y,z]", "data.task=multilabel", "loss=bce_with_logits"],
        {"y": lambda x, rng: (x.a > 0).astype(int), "z": lambda x, rng: (x.b > 0).astype(int)},
        "exact",
    ),
    "one label": (
        ["data.target=[y]", "data.task=multilabel", "loss=bce_with_logits"],
        {"y": lambda x, rng: (x.a > 0).astype(int)},
        "exact",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_learns_every_kind_of_task_from_a_csv_file(tmp_path: Path, kind: str) -> None:
    overrides, columns, score = KINDS[kind]
    results = found(*table(tmp_path, **columns), *overrides)
    assert ("logistic" in results) == (kind != "regression")
    assert len(results) == (7 if kind == "regression" else 8)
    dummy = results.pop("dummy")
    for name, one in results.items():
        assert one.problem is None, name
        better = dummy.scores[score] - one.scores[score]
        assert (better if score == "rmse" else -better) > 0, name


def test_weights_of_rows_count_where_a_method_takes_them(tmp_path: Path) -> None:
    """Two towns, one of which weighs nothing: the line of the other is found, which the test rows are from."""
    part = np.where(np.arange(120) < 80, "train", np.where(np.arange(120) < 100, "val", "test"))
    columns = {
        "w": lambda x, rng: np.where(part == "train", np.arange(len(x)) % 2, 1),
        "y": lambda x, rng: np.where((part == "train") & (np.arange(len(x)) % 2 == 0), -5 * x.a, 5 * x.a),
        "part": lambda x, rng: part,
    }
    overrides = ["data.target=y", "data.weight=w", "data.features=[a,b]", "data.split=part"]
    results = found(*table(tmp_path, **columns), *overrides, only="least_squares,ridge,knn,forest")
    assert results["knn"].notes == ["takes no weights of rows: all count alike"]
    for name, most in {"least_squares": 1e-4, "ridge": 0.1, "forest": 2.0}.items():
        assert results[name].notes == []
        assert results[name].scores["rmse"] < most


def test_too_slow_is_marked_and_does_not_hang(tmp_path: Path) -> None:
    assert counts(1_999) == [1_999]
    assert counts(7_999) == [1_999, 7_999]
    assert counts(55_000) == [859, 3_437, 13_750, 55_000]
    one = found("data=mnist", "data.source=subset", only="ridge", limit=1e-9)["ridge"]
    assert (one.num_rows, one.chosen) == (1_000, {"alpha": 1.0})
    assert one.notes == [
        "there was no time to try alpha=0.01, 0.1, 10, 100, 1000",
        "learned from 1,000 of 4,000 rows: more would take over 1e-09 s",
    ]


class Sleeper:
    """A method that takes so many seconds for the square of a thousand rows, by a clock that it turns itself."""

    now = 0.0

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        type(self).now += (len(x) / 1000) ** 2

    def predict(self, x: np.ndarray) -> np.ndarray:
        type(self).now += 1e-6
        return np.zeros(len(x))


@pytest.mark.parametrize(("limit", "rows"), [(4.1, 500), (68, 2_000), (69, 8_000)])
def test_a_quadratic_method_ends_in_time(monkeypatch: pytest.MonkeyPatch, limit: float, rows: int) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: Sleeper.now)
    Sleeper.now = 0.0
    x = np.zeros((8_000, 1))
    learned = learn_in_time(Sleeper, Rows(x, x[:, 0], torch.zeros(8_000), None), x, limit)
    assert learned.num_rows == rows
    assert Sleeper.now <= limit


def test_the_same_four_rows_in_every_split_are_told_of() -> None:
    facts, results = measure(compose(["model=xor"]))
    text = [*heading(facts), *lines(facts, results)]
    assert "The test rows are the training rows: scores say what was kept, not what is new." in text
    assert any(line.startswith("knn") and " 1 " in line for line in text)
    assert max(map(len, text)) <= 80


@pytest.mark.parametrize(
    ("overrides", "only", "words"),
    [
        (["data=digits"], "rigde", "--only: there is no method rigde; did you mean ridge?"),
        (
            ["data=diabetes"],
            "logistic",
            "--only: logistic tells classes apart, and the task of these data is regression",
        ),
        (["data=diabetes", "data.batch_size=no"], "", "data.batch_size"),
        (["data=digits", "metrics=f1"], "", "metrics=f1: is nothing that these methods know; leave it out"),
        (["data=digits", "augmentation=crop"], "", "augmentation=crop: is nothing"),
        (["data=digits", "seed=-1"], "", "seed=-1: should be a whole number from 0 to 4294967295"),
        (["data=csv", "data.path=t.csv"], "", "data.target"),
    ],
)
def test_mistakes_are_told_in_a_sentence(overrides: list[str], only: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        found(*overrides, only=only)
    assert words in str(caught.value)


def test_one_class_alone_is_told_in_the_table(tmp_path: Path) -> None:
    columns = {"part": lambda x, rng: np.where(x.index < 60, "train", np.where(x.index < 90, "val", "test"))}
    columns["y"] = lambda x, rng: np.where(x.index < 60, 0, x.index % 2)
    overrides = [*table(tmp_path, **columns), "data.target=y", "data.task=binary", "data.split=part"]
    facts, results = measure(compose([*overrides, "loss=bce_with_logits"]), ["dummy", "logistic"])
    text = "\n".join(lines(facts, results))
    assert "logistic: cannot learn from these rows" in text
    assert "dummy" in text


class Few(InMemoryDataModule):
    """So many rows of each split."""

    tasks = ("regression",)

    def __init__(self, rows: dict[str, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows = rows

    def load(self) -> None:
        x = torch.linspace(-1, 1, 40).unsqueeze(1)
        self.splits = {name: Split(x[:count], 2 * x[:count]) for name, count in self.rows.items()}  # type: ignore[misc]
        self.task = Regression([0.0], [1.0])


class FewOnDisk(OnDiskDataModule):
    tasks = ("regression",)

    def __init__(self, rows: dict[str, int], **kwargs: Any) -> None:
        super().__init__(num_workers=0)
        self.rows = rows

    def load(self) -> None:
        x = torch.linspace(-1, 1, 40).unsqueeze(1)
        self.splits = {name: TensorDataset(x[:count], 2 * x[:count]) for name, count in self.rows.items()}  # type: ignore[misc]
        self.task = Regression([0.0], [1.0])


@pytest.mark.parametrize("kind", ["Few", "FewOnDisk"])
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"train": 20, "val": 5}, "has no rows to measure with: its test split is missing, or empty"),
        ({"train": 20, "val": 5, "test": 0}, "has no rows to measure with: its test split is missing, or empty"),
        ({"train": 20, "test": 5}, None),
        ({"train": 20, "val": 0, "test": 5}, None),
    ],
)
def test_splits_that_are_missing_or_empty(kind: str, rows: dict[str, int], words: str | None) -> None:
    cfg = compose(["data=diabetes"])
    cfg.data = {"_target_": f"test_baselines.{kind}", "rows": rows}
    if words:
        with pytest.raises(UserError, match=words):
            measure(cfg)
        return
    facts, results = measure(cfg, ["ridge", "knn"])
    text = "\n".join(lines(facts, results))
    assert "ridge: alpha=1, without validation rows to choose it by" in text
    assert "knn: n_neighbors=5, without validation rows to choose it by" in text


def test_no_rows_to_learn_from() -> None:
    cfg = compose(["data=diabetes"])
    cfg.data = {"_target_": "test_baselines.Few", "rows": {"train": 0, "val": 5, "test": 5}}
    with pytest.raises(UserError, match="has no rows to learn from: its train split is missing, or empty"):
        measure(cfg)


def test_our_own_mistakes_are_not_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("kindling.studies.baselines.size", broken)
    with pytest.raises(ValueError, match="a mistake of ours"):
        found("data=diabetes", only="dummy")


@pytest.mark.parametrize("truth", [torch.tensor([0, 1, 1]), torch.tensor([[0], [1], [1]])])
@pytest.mark.parametrize("task", [Binary(["no", "yes"]), Multilabel(["a"]), Regression([0.0], [1.0])])
def test_a_single_column_is_measured_row_by_row(task: Task, truth: torch.Tensor) -> None:
    if task.name == "multilabel" and truth.ndim == 1:
        return
    truth = truth.float() if task.name == "regression" else truth
    right = {"mae": 0.0, "rmse": 0.0, "r2": 1.0, "acc": 1.0, "exact": 1.0}
    assert all(value == right[name] for name, value in scores(task, np.array([0, 1, 1]), truth).items())


def test_two_classes_are_one_column(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 4)), rng.integers(0, 2, 200)
    one = LeastSquaresClassifier().fit(x, y)
    two = LinearRegression().fit(x, y[:, None] == [0, 1]).predict(x).argmax(axis=1)
    assert (one.predict(x) == two).all()
    assert size(one, 200) == size(RidgeClassifier().fit(x, y), 200) == "5 weights"
    assert set(LeastSquaresClassifier().fit(x, np.full(200, 7)).predict(x)) == {7}


@pytest.mark.parametrize("name", METHODS)
def test_the_first_value_that_is_tried_is_that_of_scikit_learn(name: str) -> None:
    method = METHODS[name]
    for make in filter(None, [method.regressor, method.classifier]):
        for key, values in method.tried.items():
            assert make().get_params()[key] == values[0]


def test_the_help_names_the_methods(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        baselines.main(["--help"])
    assert f"of {','.join(METHODS)}" in "".join(capsys.readouterr().out.split("\n")).replace("  ", "")


def test_images_in_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, brightest in {"dark": 100, "light": 250}.items():
        (tmp_path / kind).mkdir()
        for number in range(20):
            image = Image.fromarray(rng.integers(0, brightest, (9, 12, 3)).astype(np.uint8))
            image.save(tmp_path / kind / f"{number}.png")
    results = found(
        *["data=image_folder", f"data.path={tmp_path}", "data.size=6", "data.channels=1", "data.num_workers=0"],
        only="dummy,least_squares,knn,svm",
    )
    assert results["svm"].scores["acc"] == 1.0 > results["dummy"].scores["acc"]
    assert results["least_squares"].size == "37 weights"


def test_json_has_null_where_there_is_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*table(tmp_path, y=lambda x, rng: x.a), "data.target=y", "data.test_size=1"]
    baselines.main([*overrides, "--json", "--only", "ridge"])
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed["sizes"]["test"] == 1
    assert printed["methods"][0]["scores"]["r2"] is None
    assert printed["methods"][0]["scores"]["rmse"] < 1


def test_the_script_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    baselines.main(["data=digits", "--only", "logistic,forest", "--json", "seed=1"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["sizes"] == {"train": 1439, "val": 179, "test": 179}
    assert [one["method"] for one in printed["methods"]] == ["logistic", "forest"]
    assert printed["methods"][0]["scores"]["acc"] > 0.95


def test_the_lesson_says_which_methods_cannot_learn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs/course/code")
    import other_methods

    _, scores, cells = other_methods.theirs(Baseline("svm", {}, {}, (0.0, 0.0), 9, "", [], "one class"), 2)
    assert (scores, cells) == ({}, "| svm: cannot learn: one class |  |  |  |  |  |")
    monkeypatch.setattr("sys.argv", ["other_methods.py", "mnits"])
    with pytest.raises(SystemExit):
        other_methods.main()
    assert "there is no mnits; there are linear, diabetes, boston, digits, mnist" in capsys.readouterr().err


def test_boston_is_split_at_random_or_as_the_file_goes() -> None:
    by_chance, in_order = ready(Boston()), ready(Boston(shuffle=False))
    assert by_chance.sizes == in_order.sizes == {"train": 406, "val": 50, "test": 50}
    assert in_order.splits["test"].y[-1].item() == pytest.approx(11.9)  # the last row of the file
    assert sorted(by_chance.splits["train"].y[:, 0].tolist()) != sorted(in_order.splits["train"].y[:, 0].tolist())
    for data in (by_chance, in_order):
        torch.testing.assert_close(data.splits["train"].x.mean(dim=0), torch.zeros(13), atol=1e-5, rtol=0)
        every = torch.cat([split.y for split in data.splits.values()])
        assert (len(every), (every == 50).sum()) == (506, 16)
    folded = ready(Boston(fold=0))
    assert folded.sizes == {"train": 364, "val": 92, "test": 50}
