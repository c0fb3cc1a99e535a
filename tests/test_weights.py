"""Rows and classes that count more than others: in the loss of a batch, of an epoch, and of a finished run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error

from conftest import Finished
from kindling import Run
from kindling.data.csv import CSV
from kindling.data.splits import Split, check_weights
from kindling.errors import UserError
from kindling.reopening.run import Run as Reopened
from test_train import error_of

Start = Callable[..., Finished]
QUICK = ["model=mlp", "trainer=cpu", "~callbacks.figures", "trainer.max_epochs=2", "model.hidden_features=[8]"]
STILL = ["optimizer=sgd", "optimizer.lr=0", "scheduler=constant", "model.dropout=0"]  # weights stay what they are
BALANCED = ["loss=bce_with_logits", "loss.class_weights=balanced"]
CLASSES = [1, 9, 1, 1, 4, 1, 1, 1, 1, 2]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """300 rows with weights, of which some are 0; a number, a class and three labels to predict."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    rows = pd.DataFrame(x, columns=["p", "q", "r"])
    rows["number"] = x @ [1, 2, 3] + rng.normal(size=300)
    rows["kind"] = np.where(x[:, 0] + rng.normal(size=300) > 0.5, "yes", "no")
    rows["red"], rows["big"] = (x[:, 1] > 0).astype(int), np.where(x[:, 2] > 0.5, "yes", "no")
    rows["old"] = x[:, 0] > 0
    rows["w"] = rng.integers(0, 5, 300)
    path = tmp_path / "rows.csv"
    rows.to_csv(path, index=False)
    return path


def of_table(path: Path, *overrides: str) -> list[str]:
    return [*QUICK, "data=csv", f"data.path={path}", "data.features=[p,q,r]", *overrides]


def number(path: Path) -> list[str]:
    return of_table(path, "data.target=number", "data.weight=w", "loss=mse", "data.standardize=false")


def of_split(path: Path, split: str, run: Reopened) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted, true, and weights."""
    found = run.predictions(split)
    return found["prediction"].to_numpy(), found["true"].to_numpy(), run.datamodule.splits[split].weight.numpy()


@pytest.mark.parametrize("how", [["steps_per_call=1"], [], ["population=2"]], ids=["a step", "steps", "population"])
def test_the_loss_of_an_epoch_is_that_of_scikit_learn(how: list[str], run: Start) -> None:
    """Also with batches of other weights, and a smaller one at the end."""
    weights = f"loss.class_weights={CLASSES}".replace(" ", "")
    done = run(*QUICK, *STILL, "data=digits", "data.batch_size=100", weights, *how)
    reopened = Run(done.folder)
    for split in ("train", "val", "test"):
        table = reopened.predictions(split)
        true = table["true"].astype(int)
        probabilities = table.filter(like="probability_").to_numpy(np.float64)
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        expected = log_loss(true, probabilities, sample_weight=np.array(CLASSES)[true])
        assert reopened.evaluate(split)[f"{split}/loss"] == pytest.approx(expected, rel=1e-5)
        if not how or how[0] != "population=2":
            logged = done.summary["metrics"] if split == "test" else pd.read_csv(done.folder / "metrics.csv").iloc[-1]
            assert logged[f"{split}/loss"] == pytest.approx(expected, rel=1e-5)
    if how == ["population=2"]:
        members = pd.read_csv(done.folder / "members.csv")
        assert members["val/loss"].min() == pytest.approx(reopened.evaluate("val")["val/loss"], rel=1e-5)


@pytest.mark.parametrize("how", [["steps_per_call=1"], [], ["data.fold=1"]], ids=["a step", "steps", "fold"])
def test_rows_count_in_the_loss_by_their_weights(how: list[str], run: Start, table: Path) -> None:
    done = run(*number(table), *STILL, *how)
    reopened = Run(done.folder)
    for split in ("train", "val", "test"):
        predicted, true, weights = of_split(table, split, reopened)
        expected = mean_squared_error(true, predicted, sample_weight=weights)
        logged = done.summary["metrics"] if split == "test" else pd.read_csv(done.folder / "metrics.csv").iloc[-1]
        assert logged[f"{split}/loss"] == pytest.approx(expected, rel=1e-5)
        assert logged[f"{split}/mae"] == pytest.approx(np.abs(true - predicted).mean(), rel=1e-5)  # each row once
        assert reopened.evaluate(split)[f"{split}/loss"] == pytest.approx(expected, rel=1e-5)


def test_a_row_without_weight_teaches_nothing(run: Start, table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table).assign(w=lambda rows: (rows["w"] > 1).astype(int))
    rows["use"] = ["test", "val", *["train"] * 8] * 30
    rows.to_csv(table, index=False)
    fewer = tmp_path / "fewer.csv"
    rows[(rows["w"] > 0) | (rows["use"] != "train")].to_csv(fewer, index=False)
    weights = []
    for path in (table, fewer):
        done = run(*number(path), "data.split=use", "data.batch_size=null", "model.dropout=0")
        weights.append(torch.load(done.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


def test_members_learn_from_weighted_rows_as_alone(run: Start, table: Path) -> None:
    overrides = [*of_table(table, "data.target=kind", "data.task=binary", "data.weight=w"), "model.dropout=0"]
    overrides += ["loss=bce_with_logits", "loss.class_weights=balanced"]
    members = pd.read_csv(run(*overrides, "population=2").folder / "members.csv").set_index("seed")
    for seed in (0, 1):
        alone = run(*overrides, f"seed={seed}")
        assert members.loc[seed, "val/loss"] == pytest.approx(alone.score, rel=1e-4)


def test_balanced_weights_come_from_training_and_stay(run: Start, table: Path) -> None:
    done = run(
        *of_table(table, "data.target=kind", "data.task=binary"), "loss=bce_with_logits", "loss.class_weights=balanced"
    )
    reopened = Run(done.folder)
    counts = torch.load(reopened.checkpoint, weights_only=True)["data"]["told"]["class_counts"]
    assert counts == reopened.datamodule.splits["train"].y.bincount().tolist()
    rows = pd.read_csv(table)
    rows[rows["kind"] == "no"].iloc[:20].assign(kind="no").to_csv(table, index=False)
    elsewhere = Run(done.folder / "checkpoints" / "best.ckpt")  # which needs no rows
    expected = [sum(counts) / (2 * count) for count in counts]
    assert elsewhere.model.loss.class_weights.tolist() == pytest.approx(expected)


def test_new_rows_need_no_weights(run: Start, table: Path, tmp_path: Path) -> None:
    done = run(*number(table))
    new = tmp_path / "new.csv"
    pd.read_csv(table)[["r", "q", "p"]].head(5).to_csv(new, index=False)
    assert len(Run(done.folder).predictions(new)) == 5


def test_the_rows_of_a_file_for_the_test_have_weights_too(table: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    rows = pd.read_csv(table).head(10)
    rows.to_csv(test, index=False)
    options = {"path": str(table), "target": "number", "features": ["p", "q"], "weight": "w", "test_path": str(test)}
    data = CSV(**options)
    data.setup()
    assert data.splits["test"].weight.tolist() == rows["w"].tolist()
    rows.drop(columns="w").to_csv(test, index=False)
    with pytest.raises(UserError, match=r"data.weight=w: .*test.csv has no such column"):
        CSV(**options).setup()


def test_without_weights_a_batch_is_x_and_y() -> None:
    rows = Split(torch.zeros(4, 2), torch.zeros(4))
    assert len(rows[torch.arange(2)]) == 2
    *_, weight = Split(torch.zeros(4, 2), torch.zeros(4), weight=torch.arange(4))[torch.tensor([3, 1])]
    assert weight.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1, 2], "the train split has 3 rows and weights of shape [2]"),
        ([1.0, -1.0, 2.0], "the weights of the train split are not all numbers from 0 on"),
        ([1.0, float("nan"), 2.0], "the weights of the train split are not all numbers from 0 on"),
        ([0, 0, 0], "the weights of the train split are all 0, so that none of its rows counts"),
    ],
)
def test_weights_of_data_of_ones_own_are_looked_at(weight: list[float], expected: str) -> None:
    with pytest.raises(UserError) as error:
        check_weights({"train": Split(torch.zeros(3, 1), torch.zeros(3), weight=torch.tensor(weight))})
    assert str(error.value) == f"data: {expected}"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.weight=p"], "data.features=p: is data.weight, which is no feature"),
        (["data.weight=number"], "data.weight=number: is the target"),
        (["data.weight=W"], "data.weight=W: FILE has no such column, only p, q, r, number, kind, red, big, old, w"),
        (["data.weight=big"], "data.weight=big: holds yes, and numbers are needed"),
        (["data.weight=r", "data.features=[p,q]"], "data.weight=r: holds -"),
    ],
)
def test_a_column_that_holds_no_weights_is_refused(
    overrides: list[str], expected: str, run: Start, table: Path
) -> None:
    text = error_of(run, *of_table(table, "data.target=number", "loss=mse"), *overrides)
    assert text.replace(str(table), "FILE").startswith(expected)
    assert "\n" not in text


LABELS = ["data.task=multilabel", "data.target=[red,big,old]", "loss=bce_with_logits", "data.val_size=0.2"]


def test_several_labels_are_learned_measured_and_told(run: Start, table: Path) -> None:
    done = run(*of_table(table, *LABELS), "trainer.max_epochs=15", "loss.class_weights=balanced", "metrics=[f1,auroc]")
    reopened = Run(done.folder)
    found = reopened.predictions("test")
    assert list(found) == [
        f"{kind}_{name}" for kind in ("label", "true", "probability") for name in ("red", "big", "old")
    ]
    labels, true = (found.filter(regex=f"^{kind}_").to_numpy() for kind in ("label", "true"))
    metrics = done.summary["metrics"]
    assert metrics["test/acc"] == pytest.approx((labels == true).mean())
    assert metrics["test/acc"] > 0.8
    assert metrics["test/exact"] == pytest.approx((labels == true).all(axis=1).mean())
    assert reopened.evaluate() == pytest.approx(metrics, rel=1e-6)
    y, counts = reopened.datamodule.splits["train"].y, reopened.model.loss.class_weights
    torch.testing.assert_close(counts, (1 - y).sum(dim=0) / y.sum(dim=0))
    assert reopened.predictions(table).shape == (300, 6)


def test_labels_have_a_figure_and_folds(run: Start, table: Path) -> None:
    overrides = [override for override in of_table(table, *LABELS[:3]) if override != "~callbacks.figures"]
    done = run(*overrides, "data.fold=1", "population=2")
    assert (done.folder / "figures" / "labels.png").exists()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.target=[red,w]"], "data.target=w: holds 4 in FILE, and a label is 0 or 1, no or yes, false or true"),
        (
            ["data.task=binary"],
            "data.target: data.task=binary takes one column, not 3; several columns of yes",
        ),
        (["loss=cross_entropy"], "loss=cross_entropy does not go with data=csv: the loss is made for multiclass, the"),
        (["model=xor"], "model=xor does not go with data=csv: the model is made for binary, the data are multilabel;"),
        (["loss.class_weights=[1,2]"], "loss.class_weights=[1,2]: are 2 numbers, and the data have 3 labels"),
    ],
)
def test_what_does_not_go_with_labels_is_refused(overrides: list[str], expected: str, run: Start, table: Path) -> None:
    chosen = [o for o in of_table(table, *LABELS) if "model=xor" not in overrides or "hidden_features" not in o]
    text = error_of(run, *chosen, *overrides)
    assert text.replace(str(table), "FILE").startswith(expected)
