"""Data sets: official sizes, no leaks, an order that depends on (seed, epoch) alone, and bad files."""

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes

from conftest import Finished, compose_config, write_idx
from kindling.config.checks import problems
from kindling.config.quoting import quoted
from kindling.data.base import InMemoryDataModule
from kindling.data.csv import CSV
from kindling.data.images import Digits, mean_and_std
from kindling.data.linear import Linear
from kindling.data.loader import BatchLoader
from kindling.data.mnist import MNIST, FashionMNIST, read_idx
from kindling.data.splits import Split, fold_of_rows
from kindling.data.tabular import Diabetes, Housing
from kindling.data.tasks import Binary, Regression
from kindling.data.xor import XOR
from kindling.errors import UserError
from kindling.reopening.run import Run

DATA = os.environ.get("OFFICIAL_DATA", "")  # where the official files are, if they are on this machine
MAX_IDX = 2**23


def ready(datamodule: InMemoryDataModule) -> InMemoryDataModule:
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def sizes(datamodule: InMemoryDataModule) -> list[int]:
    return [len(ready(datamodule).splits[name]) for name in ("train", "val", "test")]


def test_the_splits_have_their_official_sizes() -> None:
    assert sizes(MNIST(source="subset")) == [4_000, 500, 500]
    assert sizes(Digits()) == [1_439, 179, 179]
    assert sizes(Diabetes()) == [354, 44, 44]
    assert sizes(Linear()) == [800, 100, 100]
    assert sizes(XOR()) == [4, 4, 4]
    assert sizes(Housing()) == [3, 3, 3]


def test_the_full_set_is_split_as_published(tmp_path: Path) -> None:
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", np.zeros((count, 28, 28)))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", np.arange(count) % 10)
    assert sizes(MNIST(source="full", data_dir=str(tmp_path))) == [55_000, 5_000, 10_000]


def test_the_subset_has_every_class_equally_often_in_every_split() -> None:
    for split in ready(MNIST(source="subset")).splits.values():
        assert torch.bincount(split.y).unique().numel() == 1


def test_official_files_give_test_images_to_the_test_split_alone(idx_dir: Path) -> None:
    datamodule = ready(FashionMNIST(data_dir=str(idx_dir)))
    raw = read_idx(idx_dir / "t10k-images-idx3-ubyte.gz", "unused: it is unpacked", 3)
    assert sizes(datamodule) == [100, 5_000, 50]
    assert torch.equal(datamodule.splits["test"].x[:, 0], raw)
    rest = torch.cat([datamodule.splits["train"].x, datamodule.splits["val"].x])
    assert len(torch.unique(rest, dim=0)) == 5_100  # all different, none lost
    assert not (rest[:, None].flatten(2) == raw[:3].flatten(1)).all(dim=2).any()


@pytest.mark.parametrize("datamodule", [MNIST(source="subset"), Digits()], ids=["mnist", "digits"])
def test_pictures_are_standardised_with_the_training_split_alone(datamodule: InMemoryDataModule) -> None:
    train = ready(datamodule).splits["train"]
    x, _ = train[torch.arange(len(train))]
    assert x.mean().item() == pytest.approx(0, abs=1e-4)
    assert x.std().item() == pytest.approx(1, abs=1e-4)
    assert {(split.mean, split.std) for split in datamodule.splits.values()} == {(train.mean, train.std)}
    everything = torch.cat([split.x for split in datamodule.splits.values()])
    assert mean_and_std(everything) != (train.mean, train.std)


def test_tables_are_standardised_with_the_training_split_alone() -> None:
    datamodule = ready(Diabetes())
    train, task = datamodule.splits["train"], datamodule.task
    torch.testing.assert_close(train.x.mean(dim=0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.x.std(dim=0, correction=0), torch.ones(10))
    torch.testing.assert_close(task.target(train.y).mean(dim=0), torch.zeros(1), atol=1e-5, rtol=0)
    assert abs(datamodule.splits["test"].x.mean().item()) > 1e-3
    torch.testing.assert_close(task.prediction(task.target(train.y)), train.y)  # back in the units of the target
    assert sorted(torch.cat([s.y[:, 0] for s in datamodule.splits.values()]).tolist()) == sorted(load_diabetes().target)


def test_linear_data_keep_the_weights_they_were_made_with() -> None:
    datamodule = ready(Linear(noise_std=0.0))
    split = datamodule.splits["test"]
    torch.testing.assert_close(split.y, split.x @ datamodule.weight.T + datamodule.bias)


def test_csv_encodes_every_kind_of_column(csv_file: Path) -> None:
    datamodule = ready(CSV(path=str(csv_file), target="price", features=["size", "age", "town"]))
    assert datamodule.in_features == 2 + 2  # two numbers, two towns
    assert sizes(datamodule) == [48, 6, 6]
    x = datamodule.splits["train"].x
    assert torch.isfinite(x).all()
    torch.testing.assert_close(x[:, :2].mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    assert set(x[:, 2:].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_columns_may_be_separated_otherwise(separator: str, csv_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(csv_file.read_text().replace(",", separator))
    first, second = (ready(CSV(path=str(path), target="price")) for path in (csv_file, other))
    assert torch.equal(first.splits["train"].x, second.splits["train"].x)


def test_csv_says_what_becomes_of_the_columns(csv_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = csv_file.read_text().splitlines()
    rows = [f"{line},{'id' if i == 0 else f'row{i}'}" for i, line in enumerate(lines)]
    csv_file.write_text("\n".join(rows))
    with caplog.at_level("INFO", logger="kindling"):
        ready(CSV(path=str(csv_file), target="price"))
    assert [record.getMessage() for record in caplog.records] == [
        "numeric: size, age",
        "one-hot: town, kind, sold, id",
        "gaps filled: age",
        "WARNING: column id has 60 different texts in 60 rows; data.features can leave it out",
    ]


def test_what_lists_columns_has_an_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names, path = [f"column_{i}" for i in range(2_000)], tmp_path / "wide.csv"
    rows = [",".join([*(f"text{row} of {name}" for name in names), str(row)]) for row in range(12)]
    path.write_text("\n".join([",".join([*names, "y"]), *rows]))
    with caplog.at_level("INFO", logger="kindling"):
        ready(CSV(path=str(path), target="y"))
    messages = [record.getMessage() for record in caplog.records]
    assert sum(map(len, messages)) < 2_000
    assert messages[0].startswith("one-hot: column_0, column_1, ")
    assert messages[0].endswith(", and 1,954 more")
    with pytest.raises(UserError, match=r"has no such column, only column_0, .*, and 1,.* more; did you mean") as error:
        ready(CSV(path=str(path), target="colunm_77"))
    assert len(str(error.value)) < 800


def test_csv_targets_may_be_several_numbers_or_classes(csv_file: Path) -> None:
    assert ready(CSV(path=str(csv_file), target=["price", "size"])).out_features == 2
    three = ready(CSV(path=str(csv_file), target="kind", task="multiclass"))
    assert (three.out_features, three.task.classes) == (3, ["a", "b", "c"])
    two = ready(CSV(path=str(csv_file), target="sold", task="binary"))
    assert (two.out_features, two.task.classes) == (1, ["no", "yes"])


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (None, {}, "no such file"),
        ("", {}, "the file is empty"),
        ("a,price\n", {}, "0 data rows are too few"),
        ("a,price\n1,2\n", {}, "1 data rows are too few"),
        ("a,cost\n" + "1,2\n" * 9, {}, "data.target=price: TABLE has no such column, only a, cost"),
        ("a,prize\n" + "1,2\n" * 9, {}, "did you mean prize?"),
        ("a,price\n" + "1,2\n" * 9, {"features": ["b"]}, "data.features=b: TABLE has no such column, only a, price"),
        ("price\n" + "1\n" * 9, {}, "data.features: at least one column of TABLE is needed"),
        ("a,price\n" + "1,2\n" * 9, {"target": []}, "data.target: at least one column of TABLE is needed"),
        ("a,price\n" + "1,2\n" * 9, {"features": ["a", "price"]}, "data.features=price: is the target"),
        ("a,price\n" + "1,2\n" * 9, {"features": ["a", "a"]}, "data.features=a: the column is named twice"),
        ("a,price\n" + "1e39,2\n" * 9, {}, "column a holds infinite values, or beyond single precision"),
        ("a,price\n" + "inf,2\n" * 9, {}, "column a holds infinite values"),
        ("a,price\n" + "1,-inf\n" * 9, {}, "column price holds infinite values"),
        ("a,price\n" + "1,2\n" * 9 + "1,\n", {}, "data.target=price: 1 rows of TABLE have no value in it"),
        ("a,price\n" + "1,cheap\n" * 9, {}, "data.target=price: a regression needs numbers"),
        ("a,price\n" + "1,cheap\n" * 9, {"task": "binary"}, "needs two classes, and TABLE has 1"),
        ("a,price\n" + "1,x\n1,y\n1,z\n" * 3, {"task": "binary"}, "needs two classes, and TABLE has 3"),
        ("a,price\n" + "1,x\n" * 9, {"task": "multiclass"}, "needs at least two classes, and TABLE has 1"),
        ("a,b,price\n" + "1,2,3\n" * 9, {"task": "binary", "target": ["b", "price"]}, "takes one column, not 2"),
    ],
)
def test_a_bad_csv_file_is_told_in_one_sentence(
    content: str | None, options: dict, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        ready(CSV(**{"path": str(path), "target": "price", **options}))
    assert expected.replace("TABLE", str(path)) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def official(idx_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the four files, whose random pictures stand in for the official ones."""
    names = [name.removesuffix(".gz") for name, _ in MNIST.dataset.resources]
    digests = [hashlib.md5((idx_dir / name).read_bytes()).hexdigest() for name in names]
    monkeypatch.setattr(MNIST, "digests", digests)
    return names


PACKINGS = {
    "as by gzip": gzip.compress,
    "faster": lambda content: gzip.compress(content, compresslevel=1, mtime=1),
    "in two members": lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:]),
    "unpacked by a browser, which leaves the name": lambda content: content,
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_content_counts_and_not_its_packing(
    packing: str, official: list[str], idx_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in official:
        (tmp_path / f"{name}.gz").write_bytes(PACKINGS[packing]((idx_dir / name).read_bytes()))
    packed = ready(MNIST(source="full", data_dir=str(tmp_path)))
    unpacked = ready(MNIST(source="full", data_dir=str(idx_dir)))
    assert torch.equal(packed.splits["train"].x, unpacked.splits["train"].x)
    assert all(file.suffix == ".gz" for file in tmp_path.iterdir())
    assert caplog.messages == []


def test_other_data_in_the_same_format_are_said_to_be_other(idx_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    ready(MNIST(source="full", data_dir=str(idx_dir)))
    assert len(caplog.messages) == 4
    assert "train-images-idx3-ubyte holds other data than the official" in caplog.text


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_official_files_are_known_by_their_content(cls: type[MNIST]) -> None:
    assert len(set(cls.digests)) == len(cls.dataset.resources) == 4
    raw = cls(data_dir=DATA).raw_dir() if DATA else None
    if raw is None:
        pytest.skip("needs the official files: KINDLING_DATA")
    for name, md5 in zip(cls(data_dir=DATA).file_names, cls.digests, strict=True):
        assert hashlib.md5(gzip.decompress((raw / name).read_bytes())).hexdigest() == md5


DAMAGES = {
    "truncated": lambda good: good[:-100],
    "flipped": lambda good: good[:5000] + bytes([good[5000] ^ 1]) + good[5001:],
    "of no format": lambda good: b"hello",
    "empty": lambda good: b"",
    "other pictures": lambda good: gzip.compress(gzip.decompress(good)[:-1] + b"x"),
    "a bomb": lambda good: gzip.compress(bytes(4 * MAX_IDX)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_gz_file_is_named(
    damage: str, official: list[str], idx_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kindling.data.mnist.MAX_IDX", MAX_IDX)
    for name in official:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((idx_dir / name).read_bytes(), compresslevel=1))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(UserError, match=rf"{path} is damaged: .* delete or replace it"):
        ready(MNIST(source="full", data_dir=str(tmp_path)))


@pytest.mark.parametrize("keep", [0, 3, 10, 1_000])
def test_a_truncated_unpacked_file_is_named(keep: int, idx_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(idx_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes((path.read_bytes() * 30)[:keep])
    with pytest.raises(UserError, match=f"{path} is damaged"):
        ready(MNIST(source="full", data_dir=str(tmp_path)))


def test_files_may_lie_where_torchvision_puts_them_or_directly(idx_dir: Path, tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    shutil.copytree(idx_dir, raw)
    assert FashionMNIST(data_dir=str(tmp_path)).raw_dir() == raw
    assert FashionMNIST(data_dir=str(raw)).raw_dir() == raw
    assert FashionMNIST(data_dir=str(tmp_path / "elsewhere")).raw_dir() is None


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.mnist.check_integrity", lambda *args, **kwargs: False)


@pytest.mark.usefixtures("no_network")
def test_without_network_auto_takes_the_subset_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    datamodule = ready(MNIST(data_dir=str(tmp_path / "data")))
    assert datamodule.source == "subset"
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "5,000 bundled images instead of 70,000" in warning.getMessage()
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("no_network")
def test_without_network_full_names_the_folder_and_the_files(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        ready(MNIST(source="full", data_dir=str(tmp_path)))
    assert str(tmp_path / "MNIST" / "raw") in str(error.value)
    assert all(name in str(error.value) for name, _ in MNIST.dataset.resources)
    assert list(tmp_path.iterdir()) == []


def test_idx_files_are_read_in_the_shape_of_their_header(tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    write_idx(tmp_path / "array", array)
    assert read_idx(tmp_path / "array.gz", "", 3).tolist() == array.tolist()


ROWS = Split(torch.arange(10.0)[:, None], torch.arange(10))


def order(**options: object) -> list[int]:
    epoch = options.pop("epoch", 0)
    loader = BatchLoader(ROWS, **{"batch_size": 4, "shuffle": True, **options})
    loader.set_epoch(epoch)
    assert len(loader) == len(list(loader))
    return [row for _, y in loader for row in y.tolist()]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = order(seed=3, epoch=2)
    torch.manual_seed(2)
    assert order(seed=3, epoch=2) == first
    assert sorted(first) == list(range(10))
    assert len({tuple(order(seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_an_epoch_may_be_several_passes() -> None:
    rows = order(num_repeats=3, batch_size=10)
    assert [sorted(rows[i : i + 10]) for i in (0, 10, 20)] == [list(range(10))] * 3
    assert rows[:10] != rows[10:20]


def test_processes_share_the_rows_of_an_epoch() -> None:
    shares = [order(rank=rank, world_size=3, batch_size=2) for rank in range(3)]
    assert {len(share) for share in shares} == {4}  # 10 rows for 3 processes: two come twice
    assert {row for share in shares for row in share} == set(range(10))


def test_in_evaluation_processes_see_every_row_once() -> None:
    shares = [order(rank=rank, world_size=3, shuffle=False) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == list(range(10))
    assert order(shuffle=False) == list(range(10))


def test_the_housing_table_is_that_of_the_textbook() -> None:
    table = pd.DataFrame(ready(Housing(standardize=False)).splits["train"].x.numpy())
    assert table.round(4).to_numpy().tolist() == np.float32([[32, 3, 0.3], [33, 3, 0.5], [36, 4, 0.5]]).tolist()


def folds_of(make: Callable[..., InMemoryDataModule], num_folds: int = 5) -> list[InMemoryDataModule]:
    return [ready(make(fold=fold, num_folds=num_folds)) for fold in range(num_folds)]


def table_of(path: Path, **options: object) -> Callable[..., CSV]:
    return lambda **fold: CSV(path=str(path), **options, **fold)


def raw_rows(*splits: Split) -> list[tuple[float, ...]]:
    """Every row, pixels and targets as they were read, in an order that any division leaves."""
    x = torch.cat([split.x.flatten(1) for split in splits]).double()
    return sorted(
        map(tuple, torch.cat([x, torch.cat([split.y.reshape(len(split), -1) for split in splits])], 1).tolist())
    )


def test_folds_are_equal_in_size_and_in_classes() -> None:
    y = torch.tensor([0] * 13 + [1] * 7 + [2])
    folds = fold_of_rows(y, 4)
    assert torch.bincount(folds).tolist() == [6, 5, 5, 5]
    for label, counts in enumerate([[3, 4], [1, 2], [0, 1]]):
        assert sorted(set(torch.bincount(folds[y == label], minlength=4).tolist())) == counts
    assert torch.bincount(fold_of_rows(torch.rand(22, 1), 4)).tolist() == [6, 6, 5, 5]
    assert torch.equal(fold_of_rows(y, 4), folds)


@pytest.mark.parametrize("make", [Digits, Linear, lambda **fold: MNIST(source="subset", **fold)])
def test_every_row_outside_the_test_split_validates_in_one_fold(make: Callable[..., InMemoryDataModule]) -> None:
    plain, folds = ready(make()).splits, [datamodule.splits for datamodule in folds_of(make)]
    rest = raw_rows(plain["train"], plain["val"])
    assert raw_rows(*(splits["val"] for splits in folds)) == rest
    for splits in folds:
        assert raw_rows(splits["train"], splits["val"]) == rest
        assert torch.equal(splits["test"].x, plain["test"].x)
        assert torch.equal(splits["test"].y, plain["test"].y)


def test_folds_have_the_sizes_that_they_should() -> None:
    assert [sizes(datamodule) for datamodule in folds_of(Digits)] == [[1_294, 324, 179]] * 3 + [[1_295, 323, 179]] * 2
    assert [sizes(datamodule) for datamodule in folds_of(Diabetes, 3)] == [[265, 133, 44]] * 2 + [[266, 132, 44]]
    assert [sizes(datamodule) for datamodule in folds_of(Linear, 2)] == [[450, 450, 100]] * 2


def test_folds_of_classes_are_stratified(csv_file: Path) -> None:
    for datamodule in folds_of(lambda **fold: MNIST(source="subset", **fold)):
        assert torch.bincount(datamodule.splits["val"].y).tolist() == [90] * 10
    for datamodule in folds_of(table_of(csv_file, target="kind", task="multiclass"), 3):
        assert torch.bincount(datamodule.splits["train"].y).tolist() == [12] * 3
        assert torch.bincount(datamodule.splits["val"].y).tolist() == [6] * 3


@pytest.mark.parametrize(
    "make", [Digits, Linear, Diabetes, lambda **options: Digits(fold=1, **options), lambda **options: Mine(**options)]
)
def test_fewer_rows_are_trained_on_and_the_others_stay_as_they_are(make: Callable[..., InMemoryDataModule]) -> None:
    plain, few, fewer = (ready(make(num_train=number)) for number in (None, 5, 3))
    assert [len(datamodule.splits["train"]) for datamodule in (few, fewer)] == [5, 3]
    targets = [datamodule.splits["train"].y.tolist() for datamodule in (plain, few, fewer)]
    assert all(y in targets[1] for y in targets[2])
    assert all(y in targets[0] for y in targets[1])
    for name in ("val", "test"):
        assert torch.equal(few.splits[name].y, plain.splits[name].y)
    assert len({datamodule.digest for datamodule in (plain, few, fewer)}) == (1 if make is Linear else 3)


def test_what_is_fitted_is_fitted_on_the_rows_that_are_left() -> None:
    train = ready(Digits(num_train=20)).splits["train"]
    assert train.mean == pytest.approx(train.x.double().mean().item())
    table = ready(Diabetes(num_train=20))
    assert table.splits["train"].x.mean(0).abs().max() < 1e-5
    assert torch.equal(ready(Digits(num_train=20, seed=1)).splits["train"].x, train.x)


def test_more_rows_than_there_are_cannot_be_trained_on() -> None:
    with pytest.raises(UserError, match=r"^data\.num_train=1440: Digits has 1439 rows for training$"):
        ready(Digits(num_train=1440))
    with pytest.raises(
        UserError, match=r"^data\.num_train=3: Mine standardises in load.., by rows that are chosen only"
    ):
        ready(Mine(num_train=3, standardised="x"))
    assert problems(compose_config("model=mlp", "data=digits", "data.num_train=0", "run_dir=x")) == [
        "data.num_train=0: should be greater than 0"
    ]


def test_rows_that_are_left_have_a_weight(tmp_path: Path) -> None:
    file = tmp_path / "weights.csv"
    file.write_text(
        "a,w,y\n" + "".join(f"{row},{int(row in (4, 14, 19, 29) or row % 3 == 0)},{row}.5\n" for row in range(40))
    )
    with pytest.raises(UserError, match=r"^data: the weights of the train split are all 0"):
        ready(CSV(path=str(file), target="y", weight="w", num_train=1))


def test_folds_do_not_depend_on_the_seed_of_the_run() -> None:
    first, second = (ready(Digits(fold=1, seed=seed)).splits for seed in (0, 1))
    assert torch.equal(first["val"].x, second["val"].x)


def test_pictures_are_standardised_with_the_training_rows_of_the_fold() -> None:
    statistics = []
    for datamodule in folds_of(Digits):
        train = datamodule.splits["train"]
        x, _ = train[torch.arange(len(train))]
        assert x.mean().item() == pytest.approx(0, abs=1e-4)
        assert x.std().item() == pytest.approx(1, abs=1e-4)
        assert {(split.mean, split.std) for split in datamodule.splits.values()} == {(train.mean, train.std)}
        statistics.append((train.mean, train.std))
    assert len(set(statistics)) == 5


def test_tables_are_fitted_on_the_training_rows_of_the_fold(tmp_path: Path) -> None:
    """Each row has its own text and number, so that what is fitted tells which rows it was fitted on."""
    path = tmp_path / "table.csv"
    path.write_text("x,name,y\n" + "".join(f"{2**i},row{i},{3**i}\n" for i in range(12)))
    validated = []
    for datamodule in folds_of(table_of(path, target="y")):
        train, val = datamodule.splits["train"], datamodule.splits["val"]
        rows = [round(np.log(value) / np.log(3)) for value in train.y[:, 0].tolist()]
        assert datamodule.encoder.columns == {"x": None, "name": sorted(f"row{i}" for i in rows)}
        assert datamodule.encoder.mean[0] == pytest.approx(np.mean([2**i for i in rows]))
        assert datamodule.encoder.median[0] == np.median([2**i for i in rows])
        assert datamodule.task.mean.item() == pytest.approx(np.mean([3**i for i in rows]))
        assert datamodule.task.std.item() == pytest.approx(np.std([3**i for i in rows]))
        assert val.x[:, 1:].sum() == 0  # texts that training has not seen
        assert train.x[:, 1:].sum() == len(train) == len(rows)
        validated += val.y[:, 0].tolist()
    plain = ready(CSV(path=str(path), target="y")).splits
    assert sorted(validated) == sorted([*plain["train"].y[:, 0].tolist(), *plain["val"].y[:, 0].tolist()])


class Mine(InMemoryDataModule):
    """As a user would write it; `same` splits are the same rows, `standardised` ones were fitted in load()."""

    tasks = ("binary", "regression")

    def __init__(self, same: str = "", standardised: str = "", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.same, self.standardised = same, standardised

    def load(self) -> None:
        x, y = torch.arange(20.0)[:, None], torch.arange(20) % 2
        mean = 6.5 if self.standardised == "x" else None
        self.splits = {name: Split(x[i::3], y[i::3], mean) for i, name in enumerate(("train", "val", "test"))}
        if self.same:
            self.splits["val"] = self.splits[self.same]
        self.task = Regression([1.0], [2.0]) if self.standardised == "y" else Binary(["even", "odd"])


def test_a_data_set_of_ones_own_has_folds() -> None:
    folds = [datamodule.splits for datamodule in folds_of(Mine)]
    assert sorted(torch.cat([splits["val"].x[:, 0] for splits in folds]).tolist()) == [
        i for i in range(20) if i % 3 < 2
    ]
    assert [splits["test"].x[:, 0].tolist() for splits in folds] == [list(range(2, 20, 3))] * 5
    assert {tuple(torch.bincount(splits["val"].y).tolist()) for splits in folds} <= {(1, 1), (2, 1), (1, 2)}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Digits(fold=5), "data.fold=5: should be from 0 to 4, for data.num_folds=5"),
        (lambda: Digits(fold=-1), "data.fold=-1: should be from 0 to 4, for data.num_folds=5"),
        (lambda: Linear(fold=2, num_folds=2), "data.fold=2: should be from 0 to 1, for data.num_folds=2"),
        (
            lambda: Diabetes(fold=0, num_folds=399),
            "data.num_folds=399: Diabetes has 398 rows for training and validation",
        ),
        (
            lambda: XOR(fold=0),
            "data.fold=0: cannot be held out, since the train and val splits of XOR are the same rows",
        ),
        (
            lambda: Housing(fold=1),
            "data.fold=1: cannot be held out, since the train and val splits of Housing are the same rows",
        ),
        (
            lambda: Mine(fold=0, same="test"),
            "data.fold=0: cannot be held out, since the val and test splits of Mine are the same rows",
        ),
        *(
            (
                lambda what=what: Mine(fold=0, standardised=what),
                "data.fold=0: Mine standardises in load(), by rows that are divided into folds only later; "
                "fit() is the place for it",
            )
            for what in ("x", "y")
        ),
    ],
)
def test_a_fold_that_cannot_be_is_told_in_one_sentence(make: Callable[[], InMemoryDataModule], expected: str) -> None:
    with pytest.raises(UserError) as error:
        ready(make())
    assert str(error.value) == expected


def test_rows_that_could_not_be_prepared_are_not_there_at_the_second_attempt(csv_file: Path) -> None:
    first, second = CSV(path=str(csv_file), target="price"), CSV(path=str(csv_file), target="price", features=["size"])
    second.load_state_dict(ready(first).state_dict())
    for _ in range(2):
        with pytest.raises(UserError, match="the model has learned from size, age, town, kind, sold alone"):
            second.setup()
        assert not hasattr(second, "splits")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.fold=-1", "data.fold=-1: should be greater than or equal to 0"),
        ("data.fold=first", "data.fold=first: should be a valid integer"),
        ("data.num_folds=1", "data.num_folds=1: should be greater than or equal to 2"),
        ("data.num_folds=null", "data.num_folds=null: should be a valid integer"),
    ],
)
def test_a_fold_that_is_none_is_found_before_anything_is_built(override: str, expected: str) -> None:
    assert problems(compose_config("model=mlp", "data=digits", override, "run_dir=x")) == [expected]


@pytest.mark.parametrize(
    ("overrides", "make"),
    [(["model=mlp", "data=digits"], Digits), (["model=linear_regression", "data=diabetes"], Diabetes)],
    ids=["pictures", "table"],
)
def test_a_run_on_a_fold_is_evaluated_as_it_was_trained(
    overrides: list[str], make: Callable[..., InMemoryDataModule], run: Callable[..., Finished]
) -> None:
    finished = run(*overrides, "data.fold=3", "trainer.max_epochs=2")
    again, fold = Run(finished.folder), ready(make(fold=3))
    assert list(finished.summary["data"]["sizes"].values()) == sizes(fold)
    assert torch.equal(again.datamodule.splits["val"].x, fold.splits["val"].x)
    assert again.datamodule.state_dict() == fold.state_dict()
    assert again.evaluate("test") == finished.summary["metrics"]
    assert again.evaluate("val")["val/loss"] == pytest.approx(finished.score, rel=1e-6)


def test_a_population_trains_on_a_fold(run: Callable[..., Finished]) -> None:
    finished = run("model=mlp", "data=digits", "data.fold=3", "trainer.max_epochs=2", "population=2")
    assert Run(finished.folder).datamodule.state_dict() == ready(Digits(fold=3)).state_dict()
    assert finished.summary["data"]["sizes"] == {"train": 1_295, "val": 323, "test": 179}


def test_a_run_on_a_fold_goes_on_where_it_stopped(run: Callable[..., Finished]) -> None:
    options = ["model=mlp", "data=digits", "data.fold=2", "scheduler=constant"]
    whole = run(*options, "trainer.max_epochs=3")
    part = run(*options, "trainer.max_epochs=1")
    rest = run("trainer.max_epochs=3", f"resume={quoted(part.folder)}", folder=part.folder)
    assert rest.score == whole.score
    assert rest.summary["metrics"] == whole.summary["metrics"]
