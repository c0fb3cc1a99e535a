"""What is said of data before training, against numbers that are known; and the rate that a range test suggests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from conftest import choices
from kindling import compose
from kindling.config.asked import take_asked
from kindling.data.images import Digits
from kindling.data.look import facts, view
from kindling.data.look_figure import draw
from kindling.data.look_text import lines
from kindling.errors import UserError
from kindling.running.look import look
from kindling.running.lr_range import Ramp, find_lr, trial


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """A column with gaps, two that go together, one that never varies, texts; 100 rows."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=100)
    table = pd.DataFrame({"a": a, "twice": 2 * a + 0.01 * rng.normal(size=100), "long": rng.exponential(size=100)})
    table["same"], table["town"] = 7, np.where(a > 0, "north", "south")
    table["sold"] = np.where(a > 0, "yes", "no")
    table.loc[:9, "long"] = np.nan
    table.loc[:3, "town"] = np.nan
    table.to_csv(tmp_path / "gaps.csv", index=False)
    return tmp_path / "gaps.csv"


def test_a_table_is_looked_at_before_it_is_filled(gaps: Path) -> None:
    found, figure = look(compose(["data=csv", f"data.path={gaps}", "data.target=sold", "data.task=binary"]))
    assert found["sizes"] == {"train": 80, "val": 10, "test": 10}
    columns = {column["name"]: column for column in found["columns"]}
    assert columns["long"]["missing"] == 10
    assert columns["long"]["skew"] > 0.5
    assert columns["a"]["target"] == pytest.approx(0.8, abs=0.05)  # sqrt(2/pi), of a normal distribution and its sign
    assert columns["same"]["target"] is None
    assert found["pairs"][0]["columns"] == ["a", "twice"]
    assert found["pairs"][0]["r"] > 0.999
    assert found["constant"] == ["same"]
    (town,) = found["texts"]
    assert (town["missing"], town["values"]) == (4, 2)
    assert sum(row[split] for row in found["classes"] for split in ("train", "val", "test")) == 100
    json.dumps(found, allow_nan=False)
    assert len(figure.axes) > 6


def test_a_column_is_correlated_with_the_target_in_its_own_units(gaps: Path) -> None:
    found, _ = look(compose(["data=csv", f"data.path={gaps}", "data.target=twice", "data.features=[a,long]"]))
    table = pd.read_csv(gaps)
    assert found["columns"][0]["target"] > 0.999
    assert found["y"]["min"] == pytest.approx(table["twice"].min(), rel=0.5)


@pytest.mark.parametrize(
    "name", [name for name in choices("data") if name not in ("csv", "fashion_mnist", "image_folder", "mnist")]
)
def test_all_data_can_be_looked_at_in_eighty_columns(name: str) -> None:
    found, figure = look(compose([f"data={name}"]))
    text = list(lines(found))
    assert max(map(len, text)) <= 80
    assert text[0].startswith(f"{name}: ")
    assert figure.png()


def test_wide_tables_end_with_how_many_more(tmp_path: Path) -> None:
    table = pd.DataFrame(
        np.random.default_rng(0).normal(size=(40, 60)), columns=[f"a_long_name_for_${i}" for i in range(60)]
    )
    table.loc[3, "a_long_name_for_$40"] = np.nan
    table.to_csv(tmp_path / "wide.csv", index=False)
    found, figure = look(
        compose(["data=csv", f"data.path={tmp_path / 'wide.csv'}", "data.target='a_long_name_for_$0'"])
    )
    text = list(lines(found))
    assert max(map(len, text)) <= 80
    assert "and 39 more (--json has all)" in text
    assert any(line.startswith("a_long_name_for_$40") for line in text)  # the one with a gap comes first
    assert figure.png()


class Doubled(Digits):
    def augment(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flip(-1), y


def test_a_sheet_shows_each_class_and_what_augmentation_makes_of_it() -> None:
    for datamodule, titles in ((Digits(), ["as they are"]), (Doubled(), ["as they are", "augmented"])):
        seen = view(datamodule)
        figure = draw(seen, datamodule)
        assert [axes.get_title() for axes in figure.axes] == titles
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [str(i) for i in range(10)]
    plain, augmented = (axes.images[0].get_array() for axes in figure.axes)
    assert np.allclose(plain[:8, :8], augmented[:8, :8][:, ::-1])


class Dicts(Dataset):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"tokens": torch.arange(5) + i, "meta": {"weight": torch.tensor(0.5)}, "name": "text"}


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[torch.Tensor]:
        while True:
            yield torch.zeros(3, 4)


class Loaders(L.LightningDataModule):
    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.dataset = dataset

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset, batch_size=8)


@pytest.mark.parametrize(
    ("dataset", "sizes", "shapes"),
    [
        (Dicts(), {"train": 20}, {"tokens": [5], "meta.weight": []}),
        (Stream(), {}, {"x": [3, 4]}),
        (TensorDataset(torch.rand(30, 3, 16, 16), torch.arange(30) % 3), {"train": 30}, {"0": [3, 16, 16], "1": []}),
        (TensorDataset(torch.rand(30, 2), torch.rand(30, 1)), {"train": 30}, {"0": [2], "1": [1]}),
    ],
    ids=["dicts", "stream", "images", "matrix"],
)
def test_of_any_data_a_few_batches_are_looked_at(
    dataset: Any, sizes: dict[str, int], shapes: dict[str, list[int]]
) -> None:
    datamodule = Loaders(dataset)
    seen = view(datamodule)
    found = facts(seen, "mine", None)
    assert found["sizes"] == sizes
    assert {place: told["shape"] for place, told in found["batch"].items()} == shapes
    assert max(map(len, lines(found))) <= 80
    assert draw(seen, datamodule).png()


def test_what_is_wrong_with_the_data_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"data.batch_size=0: should be greater than 0"):
        look(compose(["data=digits", "data.batch_size=0"]))


def test_training_with_the_suggestion_reaches_an_accuracy(run: Any) -> None:
    curve = find_lr(compose(["data=digits", "trainer=cpu"]))
    assert curve.key == "optimizer.lr"
    assert curve.suggestion
    assert 3e-4 < curve.suggestion < 3e-2
    assert curve.rates[-1] < 10  # it has diverged before
    assert curve.figure().png()
    done = run("data=digits", "trainer=cpu", f"optimizer.lr={curve.suggestion}", "trainer.max_epochs=5")
    assert done.summary["metrics"]["test/acc"] > 0.93


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=xor", "scheduler=plateau"],
        ["model=xor", "scheduler=step", "optimizer=adam"],
        ["model=linear_regression", "trainer.max_epochs=1", "trainer.limit_train_batches=1"],
        ["model=linear_regression", "data=diabetes", "trainer.max_steps=3"],
    ],
)
def test_schedules_and_limits_do_not_interfere(overrides: list[str]) -> None:
    curve = find_lr(compose([*overrides, "trainer=cpu"]), num_steps=100)
    ratios = np.array(curve.rates[1:]) / np.array(curve.rates[:-1])
    assert np.allclose(ratios, ratios[0])
    assert curve.suggestion


class Plain(L.LightningModule):
    def __init__(self, lr: float = 0.01, optimizers: int = 1) -> None:
        super().__init__()
        self.lr = lr
        self.automatic_optimization = optimizers == 1
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None: ...

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


OWN = ["data=digits", "trainer=cpu", "monitor=null"]


def own(**keys: Any) -> Any:
    cfg = compose(OWN)
    cfg.model = {"_target_": "test_look.Plain", **keys}
    return cfg


def test_a_module_with_a_rate_of_its_own_has_a_suggestion_for_it() -> None:
    curve = find_lr(own(lr=0.5))
    assert curve.key == "model.lr"
    assert curve.suggestion


@pytest.mark.parametrize(
    ("cfg", "sentence"),
    [
        (lambda: own(), "test_look.Plain: has no learning rate in the config: it takes no optimizer that has one"),
        (lambda: own(lr=0.1, optimizers=2), "test_look.Plain: steps its optimizers by itself"),
        (lambda: compose(["model=xor", "population=3"]), "population=3: has many losses"),
        (lambda: compose(["model=xor", "debug=fast_dev_run"]), "trainer.fast_dev_run: takes one step"),
        (lambda: compose(["model=xor", "data=mnist"]), "model=xor does not go with data=mnist"),
    ],
)
def test_where_there_is_no_one_rate_that_is_said(cfg: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        find_lr(cfg())


def test_divergence_from_the_first_step_is_said() -> None:
    with pytest.raises(UserError, match=r"the loss diverges from optimizer.lr=1e\+30 on: begin lower"):
        find_lr(compose(["model=linear_regression", "data=diabetes", "optimizer=sgd"]), begin=1e30, end=1e36)


def test_the_augmentation_of_the_config_is_what_the_sheet_shows(tmp_path: Path) -> None:
    for name, titles in (("none", ["as they are"]), ("[affine,mixup]", ["as they are", "augmented"])):
        _, figure = look(compose(["data=digits", f"augmentation={name}", f"run_dir={tmp_path}"]))
        assert [axes.get_title() for axes in figure.axes] == titles
    with pytest.raises(UserError, match=r"augmentation.affine.degree: Affine has no such argument; did you mean"):
        look(compose(["data=digits", "augmentation=affine", "+augmentation.affine.degree=3", f"run_dir={tmp_path}"]))


def test_groups_of_parameters_stay_in_proportion() -> None:
    groups = ["param_groups=head", "param_groups.head.names=*.bias", "param_groups.head.lr_factor=5"]
    cfg = compose(["data=digits", "trainer=cpu", *groups])
    take_asked(cfg)
    trainer, model, datamodule = trial(cfg, ramp := Ramp(20, 1e-4, 1e-2))
    trainer.fit(model, datamodule=datamodule)
    assert ramp.rates == pytest.approx(ramp.course)
    assert sorted(group["lr"] for group in trainer.optimizers[0].param_groups) == pytest.approx([1e-2, 5e-2])
