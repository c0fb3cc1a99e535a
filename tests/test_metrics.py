"""Metrics chosen in the config: against scikit-learn, and what does not go together in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf, open_dict
from sklearn import metrics as sk
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

from conftest import CONF, Finished, choices
from kindling import Run, compose, train
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression, Task
from kindling.errors import UserError
from kindling.models.chosen import make_metrics
from test_train import error_of

Start = Callable[..., Finished]
DIGITS = ["data=digits", "model.hidden_features=[8]", "trainer=cpu", "~callbacks.figures", "trainer.max_epochs=2"]
TASKS: dict[str, Task] = {
    "regression": Regression([1.0], [2.0]),
    "binary": Binary(["a", "b"]),
    "multiclass": Multiclass(list("abcdef")),
    "multilabel": Multilabel(["a", "b", "c"]),
}
OF_REGRESSION = {"mape", "pearson"}
OF_CLASSES = {"top_k": {"multiclass"}, "calibration_error": {"binary", "multiclass"}}


def chosen(task: Task, *names: str, more: dict[str, Any] | None = None) -> MetricCollection:
    """Those of the files of these names, and more."""
    files = [OmegaConf.load(CONF / "metrics" / f"{name}.yaml") for name in names]
    return make_metrics(OmegaConf.merge(*files, more or {}), task)


def measured(
    task: Task, output: Tensor, y: Tensor, *names: str, more: dict[str, Any] | None = None
) -> dict[str, float]:
    """In two batches."""
    found = chosen(task, *names, more=more)
    for rows in (slice(40), slice(40, None)):
        found.update(preds=task.prediction(output[rows]), target=y[rows])
    return {name: value.item() for name, value in found.compute().items()}


def test_of_classes_they_are_those_of_scikit_learn() -> None:
    task, y = TASKS["multiclass"], torch.arange(100) % 6
    output = torch.randn(100, 6) + 2 * nn.functional.one_hot(y, 6)
    names = ("f1", "precision", "recall", "auroc", "average_precision", "top_k", "mcc")
    found = measured(task, output, y, *names, more={"top_k": {"top_k": 2}})
    chances, predicted = output.softmax(dim=1).double(), output.argmax(dim=1)
    chances = chances / chances.sum(dim=1, keepdim=True)
    expected = {
        "f1": sk.f1_score(y, predicted, average="macro"),
        "precision": sk.precision_score(y, predicted, average="macro"),
        "recall": sk.balanced_accuracy_score(y, predicted),
        "auroc": sk.roc_auc_score(y, chances, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(y, chances, average="macro"),
        "top_k": sk.top_k_accuracy_score(y, chances, k=2),
        "mcc": sk.matthews_corrcoef(y, predicted),
    }
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_of_two_classes_and_of_labels_too(kind: str) -> None:
    task, shape = TASKS[kind], (100,) if kind == "binary" else (100, 3)
    y = (torch.rand(shape) > 0.6).long()
    output = torch.randn(100, task.out_features) + y.reshape(100, -1)
    found = measured(task, output, y, "f1", "precision", "recall", "auroc", "average_precision")
    chances = task.prediction(output).numpy()
    predicted, true, average = chances > 0.5, y.numpy(), "binary" if kind == "binary" else "macro"
    expected = {
        "f1": sk.f1_score(true, predicted, average=average),
        "precision": sk.precision_score(true, predicted, average=average),
        "recall": sk.recall_score(true, predicted, average=average),
        "auroc": sk.roc_auc_score(true, chances),
        "average_precision": sk.average_precision_score(true, chances),
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_of_a_regression() -> None:
    output, y = torch.randn(100, 1), torch.randn(100, 1) + 5
    task = TASKS["regression"]
    predicted, true = task.prediction(output)[:, 0].numpy(), y[:, 0].numpy()
    expected = {
        "mape": sk.mean_absolute_percentage_error(true, predicted),
        "pearson": np.corrcoef(true, predicted)[0, 1],
        "spearman": np.corrcoef(true.argsort().argsort(), predicted.argsort().argsort())[0, 1],
    }
    more = {"spearman": {"_target_": "torchmetrics.SpearmanCorrCoef"}}
    assert measured(task, output, y, "mape", "pearson", more=more) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", choices("metrics"))
def test_each_goes_with_its_tasks_alone(name: str, kind: str) -> None:
    fits = OF_CLASSES.get(name, {"regression"} if name in OF_REGRESSION else TASKS.keys() - {"regression"})
    if kind in fits:
        assert list(chosen(TASKS[kind], name)) == [name]
        return
    with pytest.raises(UserError) as error:
        chosen(TASKS[kind], name)
    assert str(error.value).startswith(f"metrics.{name}: torchmetrics.")
    assert f"does not go with data whose task is {kind}" in str(error.value)


KAPPA = "+metrics.kappa._target_=torchmetrics.CohenKappa"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["metrics=f1", "metrics.f1.avrage=micro"], "metrics.f1.avrage: no such key; did you mean metrics.f1.average?"),
        (
            ["metrics=f1", "+metrics.f1.avrage=x"],
            "metrics.f1.avrage: F1Score has no such argument; did you mean",
        ),
        (["+metrics.k._target_=torchmetrics.classification.MulticlassRecall", "+metrics.k.numclasses=3"], "metrics.k."),
        (
            ["metrics=f1", "metrics.f1.average=mean"],
            "metrics.f1.average=mean: should be one of micro, macro,",
        ),
        (
            ["metrics=f1", "metrics.f1.average=none"],
            "metrics.f1: torchmetrics.F1Score gives 10 numbers, and one",
        ),
        (
            ["+metrics.c._target_=torchmetrics.ConfusionMatrix"],
            "metrics.c: torchmetrics.ConfusionMatrix gives 100 ",
        ),
        (["+metrics.acc._target_=torchmetrics.F1Score"], "metrics.acc: there is something of this name already"),
        (["+metrics.items._target_=torchmetrics.F1Score"], "metrics.items: there is something of this name already"),
        (["+metrics.x._target_=torch.nn.Identity"], "metrics.x: torch.nn.Identity makes a Identity, and a Metric is"),
        (["+metrics.x=3"], "metrics.x=3: should be a section with a _target_, or null"),
        (["metrics=f2"], "metrics=f2: no such option"),
        (
            ["metrics=top_k", "metrics.top_k.top_k=11"],
            "metrics.top_k.top_k=11: Expected argument `top_k`",
        ),
        (["metrics=f1", "monitor=val/f2"], "monitor=val/f2: kindling.models.mlp.MLP measures no such thing, only"),
        (["metrics=f1", "monitor=val/f1"], "mode=min: for monitor=val/f1 the best is the maximum; set mode=max"),
        (
            ["metrics=[f1,auroc]", "population=2"],
            "population=2: not possible with metrics=f1, auroc, which",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(overrides: list[str], expected: str, run: Start) -> None:
    text = error_of(run, *DIGITS, *overrides)
    assert text.startswith(expected)
    assert "\n" not in text


def test_a_run_measures_them_and_is_judged_by_one(run: Start) -> None:
    done = run(*DIGITS, "metrics=[f1,auroc]", KAPPA, "~metrics.auroc", "monitor=val/kappa", "mode=max")
    reopened = Run(done.folder)
    assert {"train/kappa", "val/kappa", "train/f1", "val/f1"} <= set(reopened.metrics)
    assert not any(name.endswith("auroc") for name in reopened.metrics)
    assert done.score == reopened.metrics["val/kappa"].max()
    predicted, true = (reopened.predictions("test")[name] for name in ("class", "true"))
    assert done.summary["metrics"]["test/kappa"] == pytest.approx(sk.cohen_kappa_score(true, predicted), rel=1e-5)
    assert done.summary["metrics"]["test/f1"] == pytest.approx(sk.f1_score(true, predicted, average="macro"), rel=1e-5)
    assert reopened.evaluate() == done.summary["metrics"]


def test_a_finished_run_is_measured_by_others_and_an_old_one_opens(run: Start) -> None:
    done = run(*DIGITS)
    more = Run(done.folder, ["metrics=[f1,mcc]"]).evaluate()
    assert more.keys() == {"test/loss", "test/acc", "test/f1", "test/mcc"}
    path = done.folder / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    del content["config"]["metrics"]
    torch.save(content, path)
    assert Run(done.folder).evaluate() == done.summary["metrics"]


class Rows(L.LightningDataModule):
    class_counts = (30, 50)

    def setup(self, stage: str) -> None:
        x = torch.randn(80, 4)
        self.rows = TensorDataset(x, (x.sum(dim=1) > 0).long())

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=8)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=8)


class Net(L.LightningModule):
    def __init__(self, loss: nn.Module, metrics: MetricCollection | None = None) -> None:
        super().__init__()
        self.net = nn.Linear(4, 2)
        self.loss = loss
        self.metrics = metrics

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.metrics.update(self.net(batch[0]).softmax(dim=1), batch[1])
        self.log_dict(self.metrics)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Without(Net):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__(loss)


def of_own(folder: Path, model: type, *overrides: str) -> Any:
    quick = ["trainer=cpu", "trainer.max_epochs=1", "monitor=f1", "mode=max", "~callbacks.figures"]
    cfg = compose([*quick, *overrides, f"run_dir={folder}"])
    with open_dict(cfg):
        cfg.model = {"_target_": f"test_metrics.{model.__name__}"}
        cfg.data = {"_target_": "test_metrics.Rows"}
    return train(cfg)


GIVEN = ["metrics=f1", "+metrics.f1.task=multiclass", "+metrics.f1.num_classes=2"]


def test_a_module_of_ones_own_is_handed_them(tmp_path: Path) -> None:
    done = of_own(tmp_path, Net, *GIVEN, "loss.class_weights=balanced")
    assert 0 < done.score < 1
    assert torch.load(done.checkpoint, weights_only=True)["data"]["told"]["class_counts"] == [30, 50]


@pytest.mark.parametrize(
    ("model", "overrides", "expected"),
    [
        (Net, GIVEN[:1], "metrics.f1.task: a value is required by torchmetrics.F1Score, for data without a task"),
        (Without, GIVEN[:1], "metrics=f1: would do nothing, since test_metrics.Without takes no metrics; leave it out"),
    ],
)
def test_or_it_is_told_what_is_missing(model: type, overrides: list[str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        of_own(tmp_path, model, *overrides)
    assert str(error.value) == expected
