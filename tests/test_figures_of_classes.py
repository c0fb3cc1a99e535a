"""Pictures of classes, of images and of the features of a table: that their numbers are right, and can be read."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from sklearn import metrics
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from figure_texts import text_problems
from kindling import compose, train
from kindling.data.images import Digits
from kindling.figure import Figure, short, style
from kindling.pictures import (
    album,
    confusion,
    dependence,
    examples,
    first_layer,
    importance,
    labels,
    mistakes,
    reliability,
    roc,
)
from kindling.pictures.about import About
from kindling.pictures.features import Feature, Features
from kindling.pictures.seen import Found

ABOUT = About("mlp", "csv", "0", "2026-01-01_00-00-00_mlp")
RANDOM = np.random.default_rng(0)
CITIES = ["Seoul", "Busan", "Llanfairpwllgwyngyll in Wales"]


def table(folder: Path) -> Path:
    """What is to be predicted depends much on age, less on the city, and on nothing else."""
    random, size = np.random.default_rng(1), 400
    age, city = random.normal(45, 12, size).round(1), random.choice(CITIES, size)
    score = (age - 45) / 12 + 0.7 * (city == "Seoul") + 0.2 * random.normal(size=size)
    pd.DataFrame(
        {
            "noise": random.normal(size=size),
            "city": city,
            "age": age,
            "churn": np.where(score > 0.5, "yes", "no"),
            "kind": np.select([score > 1, score > 0], ["$high", "middle"], "low"),
            "price": 100_000 + 5_000 * score,
            "old": (age > 50).astype(int),
            "rich": random.integers(0, 2, size),
        }
    ).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def images(folder: Path) -> Path:
    """Two classes in colour: red above, or blue below."""
    random = np.random.default_rng(0)
    for name, channel, rows in (("red", 0, slice(0, 8)), ("blue", 2, slice(8, 16))):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            pixels = random.integers(0, 120, (16, 16, 3)).astype(np.uint8)
            pixels[rows, :, channel] += 100
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


FEATURES = "data.features=[noise,city,age]"
RUNS = {
    "binary": ["data.target=churn", "data.task=binary", "loss=bce_with_logits", "optimizer.lr=0.01"],
    "multiclass": ["data.target=kind", "data.task=multiclass", "loss=cross_entropy"],
    "multilabel": ["data.target=[old,rich]", "data.task=multilabel", "loss=bce_with_logits"],
    "regression": ["data.target=price", "loss=mse"],
    "digits": ["data=digits", "augmentation=affine"],
    "images": ["data=image_folder", "data.size=16", "data.task=binary", "loss=bce_with_logits", "data.num_workers=0"],
}
EXPECTED = {
    "binary": {"confusion", "roc", "reliability", "importance", "dependence"},
    "multiclass": {"confusion", "reliability", "importance", "dependence"},
    "multilabel": {"labels", "importance", "dependence"},
    "regression": {"importance", "dependence"},
    "digits": {"confusion", "reliability", "first_layer", "examples", "worst_mistakes"},
    "images": {"confusion", "roc", "reliability", "first_layer", "examples"},
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in made:
            base = tmp_path_factory.mktemp(name)
            given = {"digits": [], "images": [f"data.path={images(base / 'images') if name == 'images' else ''}"]}.get(
                name, ["data=csv", f"data.path={table(base)}", FEATURES]
            )
            command = ["model=mlp", *RUNS[name], *given, "trainer.max_epochs=4", "trainer.accelerator=cpu"]
            made[name] = train(compose([*command, f"run_dir={base / 'run'}"])).folder
        return made[name]

    return run


@pytest.mark.parametrize("name", RUNS)
def test_a_run_leaves_the_pictures_of_its_kind(name: str, folder_of: Callable[[str], Path]) -> None:
    """Which can be drawn again from the folder alone, and read."""
    folder = folder_of(name)
    drawn = dict(album.draw(folder))
    found = {path.stem for path in (folder / "figures").glob("*.png")}
    assert EXPECTED[name] <= found
    assert found == set(drawn)
    assert {key: problems for key in EXPECTED[name] if (problems := text_problems(drawn[key]))} == {}


def test_the_numbers_of_two_classes_are_those_of_scikit_learn(folder_of: Callable[[str], Path]) -> None:
    from kindling import Run

    folder = folder_of("binary")
    found, table = album.read(folder / "figures"), Run(folder).predictions()
    given, true = table["probability_yes"].to_numpy(), (table["true"] == "yes").to_numpy()
    assert found["confusion"]["counts"].tolist() == metrics.confusion_matrix(true, given > 0.5).tolist()
    assert found["roc"]["area"] == pytest.approx(metrics.roc_auc_score(true, given), abs=1e-6)
    assert found["roc"]["average_precision"] == pytest.approx(metrics.average_precision_score(true, given), abs=1e-6)
    assert found["roc"]["at"] == pytest.approx(
        [
            (given > 0.5)[~true].mean(),
            metrics.recall_score(true, given > 0.5),
            metrics.precision_score(true, given > 0.5),
        ]
    )
    expected = binary_calibration_error(torch.tensor(given), torch.tensor(true).int(), n_bins=15)
    assert found["reliability"]["error"] == pytest.approx(expected.item(), abs=1e-6)


def test_the_numbers_of_several_classes_are_those_of_scikit_learn(folder_of: Callable[[str], Path]) -> None:
    from kindling import Run

    folder = folder_of("multiclass")
    found, table = album.read(folder / "figures"), Run(folder).predictions()
    classes = found["confusion"]["classes"].tolist()
    assert classes == ["$high", "low", "middle"]
    expected = metrics.confusion_matrix(table["true"], table["class"], labels=classes)
    assert found["confusion"]["counts"].tolist() == expected.tolist()
    given = torch.tensor(table.filter(like="probability_").to_numpy())
    true = torch.tensor([classes.index(name) for name in table["true"]])
    error = multiclass_calibration_error(given, true, num_classes=3, n_bins=15)
    assert found["reliability"]["error"] == pytest.approx(error.item(), abs=1e-6)


def test_labels_have_the_average_precision_of_scikit_learn(folder_of: Callable[[str], Path]) -> None:
    from kindling import Run

    folder = folder_of("multilabel")
    found, table = album.read(folder / "figures")["labels"], Run(folder).predictions()
    for place, name in enumerate(("old", "rich")):
        true = table[f"true_{name}"]
        expected = metrics.average_precision_score(true, table[f"probability_{name}"])
        assert found["precision"][place] == pytest.approx(expected, abs=1e-6)
        assert found["counts"][:2, place].sum() == true.sum()


@pytest.mark.parametrize("name", ["binary", "multiclass", "regression"])
def test_a_feature_counts_as_one_whatever_it_is_encoded_as(name: str, folder_of: Callable[[str], Path]) -> None:
    found = album.read(folder_of(name) / "figures")
    assert found["importance"]["names"].tolist() == ["age", "city", "noise"]
    curves = found["dependence"]
    assert [curves["name_0"], curves["name_1"]] == ["age", "city"]
    assert 10 < curves["at_0"].min() < 35 < 55 < curves["at_0"].max() < 90  # years
    assert sorted(curves["categories_1"].tolist()) == sorted(CITIES)
    assert curves["rug_1"].sum() == 40
    mean = dict(zip(curves["categories_1"].tolist(), curves["mean_1"][:, 0], strict=True))
    assert mean["Seoul"] > mean["Busan"]
    if name == "regression":
        assert curves["what"] == "predicted price"
        assert 80_000 < curves["mean_0"].min() < 100_000 < curves["mean_0"].max() < 120_000


class Known(torch.nn.Module):
    """y = 3a - b, of whose three features the last does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[3.0], [-1.0], [0.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight

    def loss_of(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(output, y)


def test_the_importance_of_a_known_function_is_twice_the_variance_that_it_takes() -> None:
    model: Any = Known()
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    every = [Feature(name, slice(i, i + 1)) for i, name in enumerate("abc")]
    features = Features(model, every, x, model(x).detach())
    before = torch.get_rng_state()
    places, rises = features.importance
    assert places.tolist() == [0, 1, 2]
    variance = x.var(dim=0).tolist()
    assert rises.mean(axis=1) == pytest.approx([2 * 9 * variance[0], 2 * variance[1], 0], rel=0.1)
    assert features.base == 0
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(features.x, x)


def test_of_many_features_those_that_count_are_looked_at() -> None:
    model: Any = Known()
    x = torch.randn(300, 90, generator=torch.Generator().manual_seed(0))
    model.weight = torch.nn.Parameter(torch.zeros(90, 1))
    model.weight.data[[70, 33]] = torch.tensor([[2.0], [1.0]])
    features = Features(model, [Feature(f"x{i}", slice(i, i + 1)) for i in range(90)], x, model(x).detach())
    places, rises = features.importance
    assert places[:2].tolist() == [70, 33]
    assert len(places) == len(rises) == 20


def test_bins_are_counted_as_in_the_paper() -> None:
    """By hand: of two rows at 0.9 one is right, of one at 0.5 none."""
    found = reliability.binned(np.array([0.9, 0.9, 0.5]), np.array([True, False, False]))
    assert found["error"] == pytest.approx((2 * abs(0.9 - 0.5) + 0.5) / 3)
    assert found["rows"].tolist() == [0] * 7 + [1] + [0] * 5 + [2] + [0]
    assert reliability.binned(np.array([0.0, 1.0]), np.array([False, True]))["error"] == 0


def test_drawing_examples_changes_no_random_number(folder_of: Callable[[str], Path]) -> None:
    from kindling import Run
    from kindling.pictures.seen import Seen
    from kindling.pictures.trace import Trace

    run = Run(folder_of("digits"))
    seen = Seen.of(run.model, run.datamodule, Trace())
    np.random.seed(3)
    torch.manual_seed(3)
    expected = torch.rand(3), np.random.rand()
    np.random.seed(3)
    torch.manual_seed(3)
    found = examples.measure(seen)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.rand() == expected[1]
    assert found is not None
    kept = album.read(run.folder / "figures")["examples"]
    assert np.array_equal(found["images"], kept["images"])
    assert kept["images"].shape == (20, 4, 8, 8)
    assert not np.array_equal(kept["images"][:, 0], kept["images"][:, 1])
    first = int(np.flatnonzero(run.datamodule.splits["train"].y.numpy() == 0)[0])
    raw = run.datamodule.splits["train"].x[first, 0].numpy()
    assert np.abs(kept["images"][0, 0] - raw * (255 / 16)).max() < 1  # whether or not it is standardised


def test_units_come_in_the_order_of_what_the_next_layer_makes_of_them(folder_of: Callable[[str], Path]) -> None:
    from kindling import Run

    run = Run(folder_of("digits"))
    found = album.read(run.folder / "figures")["first_layer"]
    first, second = (layer for layer in run.model.net if isinstance(layer, torch.nn.Linear))
    order = second.weight.norm(dim=0).argsort(descending=True)[: len(found["units"])]
    assert found["units"].tolist() == order.tolist()
    assert found["images"][0] == pytest.approx(first.weight[order[0]].detach().reshape(1, 8, 8).numpy())


def test_kernels_of_a_convolution_are_images_too() -> None:
    layer = torch.nn.Conv2d(3, 5, 4)
    found = first_layer.images_of(layer, [3, 32, 32])
    assert found is not None
    assert found.shape == (5, 3, 4, 4)
    assert first_layer.images_of(torch.nn.Conv2d(1, 5, 1), [1, 8, 8]) is None  # one number says nothing
    assert first_layer.images_of(torch.nn.Linear(10, 5), [1, 8, 8]) is None
    following = torch.nn.Conv2d(5, 2, 3)
    with torch.no_grad():
        following.weight[:, 3] *= 100
    assert first_layer.by_outgoing(layer, following)[0] == 3


LONG = [f"a name of a class that is long, and ends with {i}" for i in range(30)]


def counts(size: int, most: int, names: list[str]) -> Found:
    matrix = RANDOM.integers(0, most, (size, size)) * (RANDOM.random((size, size)) < 0.2) + np.eye(size, dtype=int)
    return {"counts": matrix, "classes": np.array(names[:size]), "split": np.array("test")}


def bins(binary: bool) -> Found:
    given = RANDOM.random(5_000) ** 0.1
    found = reliability.binned(given, RANDOM.random(5_000) < given**3)
    return {**found, "class": np.array(LONG[0] if binary else ""), "outcomes": np.array(2 if binary else 30)}


def mistaken(size: int, shape: tuple[int, ...], names: list[str]) -> Found:
    return {
        "pictures": RANDOM.random((size, *shape)),
        "true": np.array(names[:size]),
        "predicted": np.array(names[::-1][:size]),
        "probability": np.full(size, 0.99999),
        "of_true": np.full(size, 1e-9),
        "counts": np.array([1_000_000, 10_000_000]),
        "greys": np.array("gray"),
    }


def ranked(size: int, names: list[str]) -> Found:
    rises = RANDOM.random((size, 5)) * 1e-9 - 1e-10
    return {"names": np.array(names[:size]), "rises": rises, "base": np.array(1e3), "total": np.array(999),
            "rows": np.array(1_000)}  # fmt: skip


def dependent(outputs: int, kinds: tuple[str, str], scale: float = 1.0) -> Found:
    found: Found = {"outputs": np.array(LONG[:outputs]), "what": np.array("probability" if scale == 1 else LONG[0])}
    for panel, kind in enumerate(kinds):
        size = 40 if kind == "number" else 12
        found |= {f"name_{panel}": np.array(LONG[panel]), f"at_{panel}": np.linspace(-1e6, 1e6, size)}
        found |= {f"mean_{panel}": scale * RANDOM.random((size, outputs)), f"rug_{panel}": RANDOM.normal(0, 1e5, size)}
        if kind == "text":
            found |= {f"categories_{panel}": np.array(LONG[:12]), f"rug_{panel}": np.arange(12) * 100}
    return found


def filters(size: int, shape: tuple[int, int, int], names: list[str]) -> Found:
    return {"images": RANDOM.normal(size=(size, *shape)), "units": np.arange(size) + 4_000, "total": np.array(4_096),
            "classes": np.array(names, dtype=str)}  # fmt: skip


def shown(size: int, versions: int, shape: tuple[int, ...]) -> Found:
    each = 8 // versions
    pictures = RANDOM.integers(0, 255, (size * each, versions, *shape)).astype(np.uint8)
    return {"images": pictures, "counts": np.full(size, each), "classes": np.array(LONG[:size]), "total": np.array(30),
            "greys": np.array("gray_r")}  # fmt: skip


def labelled(size: int) -> Found:
    precision = RANDOM.random(size)
    precision[0] = np.nan
    return {"counts": RANDOM.integers(0, 9_999, (3, size)), "precision": precision, "labels": np.array(LONG[:size]),
            "rows": np.array(30_000)}  # fmt: skip


HARD: dict[str, Callable[[], Figure]] = {
    **{f"confusion of {n}, {most}": lambda n=n, most=most: confusion.draw(counts(n, most, LONG * 4), ABOUT)  # type: ignore[misc]
       for n, most in ((2, 2), (2, 1_000_000), (10, 1_000), (30, 10_000), (100, 10))},
    "confusion of short names": lambda: confusion.draw(counts(30, 100, list(map(str, range(30)))), ABOUT),
    "roc of long names": lambda: roc.draw(
        {**roc.curves(RANDOM.random(500), RANDOM.integers(0, 2, 500)), "classes": np.array(LONG[:2])}, ABOUT),
    "roc of nothing called": lambda: roc.draw(
        {**roc.curves(RANDOM.random(50) / 4, RANDOM.integers(0, 2, 50)), "classes": np.array(["0", "1"])}, ABOUT),
    "reliability, binary": lambda: reliability.draw(bins(True), ABOUT),
    "reliability": lambda: reliability.draw(bins(False), ABOUT),
    "labels, 1": lambda: labels.draw(labelled(1), ABOUT),
    "labels, 30": lambda: labels.draw(labelled(30), ABOUT),
    "one mistake": lambda: mistakes.draw(mistaken(1, (8, 8), LONG), ABOUT),
    "wide mistakes": lambda: mistakes.draw(mistaken(12, (20, 60, 3), LONG), ABOUT),
    "high mistakes": lambda: mistakes.draw(mistaken(7, (90, 30), ["0", "1"] * 6), ABOUT),
    "importance of 1": lambda: importance.draw(ranked(1, LONG), ABOUT),
    "importance of 20": lambda: importance.draw(ranked(20, LONG), ABOUT),
    "dependence, 1 output": lambda: dependence.draw(dependent(1, ("number", "text"), 1e9), ABOUT),
    "dependence, 30 outputs": lambda: dependence.draw(dependent(30, ("text", "number")), ABOUT),
    "dependence, texts": lambda: dependence.draw(dependent(12, ("text", "text"), -1e-9), ABOUT),
    "dependence, flat": lambda: dependence.draw(dependent(3, ("number", "number"), 0), ABOUT),
    "first layer of a kernel": lambda: first_layer.draw(filters(3, (3, 3, 3), []), ABOUT),
    "first layer of classes": lambda: first_layer.draw(filters(10, (1, 28, 28), LONG[:10]), ABOUT),
    "first layer": lambda: first_layer.draw(filters(24, (1, 30, 90), []), ABOUT),
    "examples": lambda: examples.draw(shown(10, 4, (28, 28)), ABOUT),
    "examples in colour": lambda: examples.draw(shown(2, 1, (30, 60, 3)), ABOUT),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_every_picture_can_be_read_with_long_names_and_many_classes(name: str) -> None:
    with style():
        figure = HARD[name]()
        figure.caption(ABOUT.caption)
    assert text_problems(figure) == []


def test_a_long_name_keeps_its_end_and_formulas_are_none() -> None:
    assert short("a class of number 17", 12) == "a class…r 17"
    assert short("costs $1,  not\n$2\x1b", 40) == r"costs \$1, not \$2\x1b"


def test_large_images_are_kept_small() -> None:
    picture = torch.rand(3, 500, 1000)
    assert mistakes.smaller(picture).shape == (3, 64, 128)
    assert mistakes.smaller(picture).mean() == pytest.approx(picture.mean().item(), abs=0.01)


def test_test_rows_that_are_left_alone_are_in_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(self: Digits, split: Any) -> Any:
        assert str(split) != "test"
        return as_it_was(self, split)

    as_it_was = Digits.batches
    monkeypatch.setattr(Digits, "batches", batches)
    done = train(compose(["data=digits", "trainer.max_epochs=1", "test=false", f"run_dir={tmp_path / 'run'}"]))
    found = album.read(done.folder / "figures")["confusion"]
    assert found["counts"].sum() == done.summary["data"]["sizes"]["val"]
    right = np.diag(found["counts"]).sum() / found["counts"].sum()
    assert right == pytest.approx(done.metrics["val/acc"].iloc[-1])
    for name, figure in album.draw(done.folder):
        assert not re.search(r"\btest\b", "\n".join(text.get_text() for text in figure.findobj(Text))), name
    assert "test" not in (done.folder / "figures" / "captions.json").read_text().replace("greatest", "")


def test_a_population_without_a_test_has_no_picture_of_its_members(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["model=xor", "population=2", "trainer.max_epochs=1", "test=false", f"run_dir={tmp_path / 'run'}"]
    figures = train(compose(words)).folder / "figures"
    assert (figures / "decision.png").exists()
    assert not (figures / "members.png").exists()
    assert not [record for record in caplog.records if "WARNING: " in record.getMessage()]
