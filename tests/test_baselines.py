"""Other methods: the scores of scikit-learn by its own hand, on the splits of our runs; every kind of task and data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error
from sklearn.neighbors import KNeighborsClassifier

import baselines
from kindling import compose, train
from kindling.data.images import Digits
from kindling.data.tabular import Boston, Diabetes
from kindling.errors import UserError
from kindling.studies.baselines import Baseline, counts, measure
from kindling.studies.baselines_text import heading, lines
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
    """Two towns, one of which weighs nothing: the other's line is found."""
    columns = {
        "w": lambda x, rng: np.arange(len(x)) % 2.0,
        "y": lambda x, rng: np.where(np.arange(len(x)) % 2, 5 * x.a, -5 * x.a),
    }
    overrides = [*table(tmp_path, **columns), "data.target=y", "data.weight=w", "data.features=[a,b]"]
    results = found(*overrides, only="least_squares,knn")
    assert results["knn"].notes == ["takes no weights of rows: all count alike"]
    assert results["least_squares"].notes == []


def test_too_slow_is_marked_and_does_not_hang(tmp_path: Path) -> None:
    assert list(counts(1_999)) == [1_999]
    assert list(counts(55_000)) == [1_000, 4_000, 16_000, 55_000]
    one = found("data=mnist", "data.source=subset", only="ridge", limit=1e-9)["ridge"]
    assert one.num_rows == 1_000
    assert one.notes == ["learned from 1,000 of 4,000 rows: more would take over 1e-09 s"]


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


def test_the_script_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    baselines.main(["data=digits", "--only", "logistic,forest", "--json", "seed=1"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["sizes"] == {"train": 1439, "val": 179, "test": 179}
    assert [one["method"] for one in printed["methods"]] == ["logistic", "forest"]
    assert printed["methods"][0]["scores"]["acc"] > 0.95
    assert LogisticRegression().C == 1.0  # the first value that is tried


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
