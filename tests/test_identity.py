"""A run keeps where its data are and which they were, and goes on with these alone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.utils.data import DataLoader, TensorDataset

from conftest import CONF, Finished
from kindling import Run, report, train
from kindling.config.command_line import check_command_line
from kindling.config.places import located
from kindling.config.quoting import quoted
from kindling.data.base import InMemoryDataModule
from kindling.data.csv import CSV
from kindling.data.identity import difference, digest
from kindling.data.linear import Linear
from kindling.data.mnist import MNIST
from kindling.data.splits import Split
from kindling.data.tabular import Housing
from kindling.data.tasks import Multiclass
from kindling.data.xor import XOR
from kindling.errors import Refused, UserError
from kindling.pictures.about import About
from test_any_module import Plain, config

Runs = Callable[..., Finished]
TABLE = ["data=csv", "data.target=price", "loss=mse", "trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures"]


@pytest.fixture
def here(csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a table; one beside it has another table of the same name."""
    for folder, rows in (("here", 60), ("there", 40)):
        (tmp_path / folder).mkdir()
        lines = csv_file.read_text().splitlines(keepends=True)[: rows + 1]
        (tmp_path / folder / "table.csv").write_text("".join(lines))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def reordered(path: Path) -> None:
    head, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *reversed(rows)]))


def edited(path: Path) -> None:
    text = path.read_text()
    first = text.splitlines()[5].partition(",")[0]
    path.write_text(text.replace(first, "47.11", 1))


def with_a_column(path: Path) -> None:
    pd.read_csv(path).assign(more=1).to_csv(path, index=False)


def shortened(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))


# Where


def test_places_of_data_are_kept_as_absolute_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert located("data.path", "table.csv") == located("data.test_path", "~/table.csv") == str(here / "table.csv")
    assert located("data.paths", ["table.csv"]) == [str(here / "table.csv")]
    assert located("data.data_dir", "later") == str(here / "later")  # made by a download
    for key, value in (
        ("data.path", "missing.csv"),  # told as it was given
        ("data.path", "s3://bucket/table.csv"),
        ("data.target", "table.csv"),
        ("data.path", "~nobody-of-this-name/table.csv"),
        ("model.path", "table.csv"),
    ):
        assert located(key, value) == value


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("data.path=table.csv", "data.path=HERE/table.csv"),
        ("data.path='it\\'s.csv'", "data.path='HERE/it\\'s.csv'"),
        ("data.path=table.csv,'it\\'s.csv'", "data.path=HERE/table.csv,'HERE/it\\'s.csv'"),
        ("data.path=choice(table.csv,none.csv)", "data.path=choice(HERE/table.csv,'none.csv')"),
        ("++data.path=table.csv", "++data.path=HERE/table.csv"),
        ("data.path=none.csv", "data.path=none.csv"),
    ],
)
def test_what_is_typed_means_the_same_from_everywhere(given: str, kept: str, here: Path) -> None:
    shutil.copy("table.csv", "it's.csv")
    texts = check_command_line(CONF, "train", ["-m", "data=csv", given, "data.target=price", "loss=mse"])
    assert texts[2] == kept.replace("HERE", str(here))


def test_a_run_is_come_back_to_from_anywhere(run: Runs, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(*TABLE, "data.path=table.csv")
    assert yaml.safe_load((done.folder / "config.yaml").read_text())["data"]["path"] == str(here / "table.csv")
    monkeypatch.chdir(here.parent / "there")
    longer = run("trainer.max_epochs=2", f"resume={quoted(done.folder)}", folder=done.folder)
    assert longer.summary["data"] == done.summary["data"]
    assert longer.summary["data"]["sizes"] == {"train": 48, "val": 6, "test": 6}
    assert Run(done.folder).evaluate() == longer.summary["metrics"]
    os.chdir(here)
    auto = ["resume=auto", f"hydra.run.dir={here.parent}", *TABLE, "data.path=table.csv", "trainer.max_epochs=2"]
    summary = done.folder / "summary.json"
    summary.write_text(summary.read_text().replace('"completed"', '"interrupted"'))
    assert f"resume={quoted(done.folder)}" in check_command_line(CONF, "train", auto)
    monkeypatch.chdir(here.parent / "there")
    assert not any(text.startswith("resume=") for text in check_command_line(CONF, "train", auto))


def test_a_default_place_is_kept_too(here: Path, idx_dir: Path, run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINDLING_DATA")
    shutil.copytree(idx_dir, "data")
    images = ["data=mnist", "data.batch_size=50", "trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures"]
    done = run(*images)
    settings = yaml.safe_load((done.folder / "config.yaml").read_text())["data"]
    assert (settings["data_dir"], settings["source"]) == (str(here / "data"), "full")
    monkeypatch.chdir(here.parent)
    assert Run(done.folder).evaluate() == done.summary["metrics"]


# Which


@pytest.mark.parametrize("change", [edited, reordered, shortened])
def test_a_run_does_not_go_on_with_data_that_have_changed(
    change: Callable[[Path], None], run: Runs, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = run(*TABLE, "data.path=table.csv")
    shutil.copy("table.csv", "moved.csv")
    change(here / "table.csv")
    before = {path: path.read_bytes() for path in done.folder.iterdir() if path.suffix in (".yaml", ".json", ".csv")}
    sizes = "45 / 5 / 5 rows, were 48 / 6 / 6" if change is shortened else "as many rows, but with other values or in"
    for overrides in ([], ["trainer.max_epochs=2"]):
        with pytest.raises(Refused) as error:
            run(*overrides, f"resume={quoted(done.folder)}", folder=done.folder)
        assert str(error.value).startswith(f"data ({here}/table.csv): {sizes}")
        assert str(error.value).endswith(f"init_from={done.folder}")
        assert {path: path.read_bytes() for path in before} == before

    assert Run(done.folder).evaluate()  # is possible, and says so
    told = [text for text in caplog.messages if "not those of the run" in text]
    assert told[0].startswith(f"data ({here}/table.csv): not those of the run: {sizes}")

    caplog.clear()
    assert Run(done.folder, ["data.path=moved.csv"]).evaluate() == done.summary["metrics"]
    longer = run("trainer.max_epochs=2", "data.path=moved.csv", f"resume={quoted(done.folder)}", folder=done.folder)
    assert longer.summary["epochs"] == 2  # the same content at another place is the same data
    assert not [text for text in caplog.messages if "not those of the run" in text]


def test_a_run_goes_on_where_a_column_is_added_that_it_does_not_take(run: Runs, here: Path) -> None:
    done = run(*TABLE, "data.path=table.csv")
    with_a_column(here / "table.csv")
    longer = run("trainer.max_epochs=2", f"resume={quoted(done.folder)}", folder=done.folder)
    assert longer.summary["data"] == done.summary["data"]


def test_a_mistake_on_going_on_leaves_the_run_as_it_was(run: Runs, here: Path) -> None:
    done = run(*TABLE, "data.path=table.csv")
    with pytest.raises(UserError, match=r"data.path=none.csv: no such file"):
        run("data.path=none.csv", f"resume={quoted(done.folder)}", folder=done.folder)
    with pytest.raises(Refused, match="43 / 11 / 6 rows, were 48 / 6 / 6"):
        run("data.fold=1", f"resume={quoted(done.folder)}", folder=done.folder)
    assert done.summary["status"] == "completed"
    assert run(f"resume={quoted(done.folder)}", folder=done.folder).summary["metrics"] == done.summary["metrics"]


def test_a_run_from_before_there_was_a_digest_goes_on(run: Runs) -> None:
    done = run("model=xor", "trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures")
    path = done.folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    del content["data"]["digest"], content["data"]["sizes"], content["data"]["attributes"]
    torch.save(content, path)
    longer = run("trainer.max_epochs=2", f"resume={quoted(done.folder)}", folder=done.folder)
    assert longer.summary["epochs"] == 2


class Loaders(L.LightningDataModule):
    """Without a digest, and without sizes of its own."""

    num_rows = 80

    def setup(self, stage: str) -> None:
        self.rows = TensorDataset(torch.randn(self.num_rows, 4), torch.ones(self.num_rows))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=8)

    val_dataloader = test_dataloader = train_dataloader


class WithTest(Plain):
    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.predictor(batch[0]).mean())


def test_of_data_without_a_digest_the_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = config(tmp_path, WithTest)
    cfg.data._target_, cfg.model._target_ = f"{__name__}.Loaders", f"{__name__}.WithTest"
    cfg.allowed_packages = [__name__, "test_any_module"]
    cfg.trainer.max_epochs = 1
    first = train(cfg).summary["data"]
    assert first["sizes"] == {"train": 80, "val": 80}
    cfg.resume = cfg.run_dir
    before = (tmp_path / "config.yaml").read_text()
    monkeypatch.setattr(Loaders, "num_rows", 72)
    for epochs in (1, 2):  # also where there is nothing left to train
        cfg.trainer.max_epochs = epochs
        with pytest.raises(Refused, match=r"data: 72( / 72)? rows, were 80 / 80\."):
            train(cfg)
    assert (tmp_path / "config.yaml").read_text() == before
    monkeypatch.undo()
    assert train(cfg).summary["epochs"] == 2


def test_a_digest_tells_rows_apart_and_nothing_else(here: Path) -> None:
    def of(**options: Any) -> str | None:
        data = CSV(path="table.csv", target="price", **options)
        data.setup()
        return data.digest

    first = of()
    assert first == of(batch_size=3, standardize=False, seed=7)
    assert first != of(fold=0) != of(fold=1)
    assert of(features=["size"]) != of(features=["age"])
    rows = torch.randn(5, 3, dtype=torch.float64)
    assert digest([rows]) == digest([rows.float()]) != digest([rows.flip(0)])  # as the precision of a run has it
    assert digest([rows]) != digest([rows.reshape(3, 5)])
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]})
    assert digest([frame]) == digest([frame.copy()]) != digest([frame.iloc[::-1]])
    assert digest([frame]) != digest([frame.rename(columns={"a": "c"})])


def test_synthetic_data_are_told_by_what_they_are_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another processor draws other last digits."""
    first, second = Linear(), Linear(num_samples=900)
    first.setup()
    drawn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, **options: drawn(*size, **options) * (1 + 1e-6))
    again = Linear()
    again.setup()
    second.setup()
    assert first.digest == again.digest != second.digest


def test_differences_are_told_of_what_both_know() -> None:
    known = {"sizes": {"train": 8, "val": 1}, "digest": "a"}
    assert difference({}, known) is difference(known, {}) is difference(known, known) is None
    assert difference({"sizes": {"test": 3}, "digest": None}, known) is None
    assert difference({"sizes": "foreign", "digest": "a"}, known) is None
    assert difference({"sizes": {"train": 9}}, known) == "8 / 1 rows, were 9"


# What `auto` came to


def test_who_fell_back_on_the_subset_stays_with_it(
    run: Runs, here: Path, idx_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: MNIST) -> None:
        raise OSError("no network")

    monkeypatch.setattr(MNIST, "download", fail)
    images = ["data=mnist", "trainer=cpu", "trainer.max_epochs=1", "data.batch_size=500", "~callbacks.figures"]
    done = run(*images)
    kept = yaml.safe_load((done.folder / "config.yaml").read_text())
    in_checkpoint = torch.load(done.folder / "checkpoints" / "best.ckpt", weights_only=True)["config"]
    assert kept["data"]["source"] == in_checkpoint["data"]["source"] == "subset"

    monkeypatch.setenv("KINDLING_DATA", str(idx_dir))  # now the full files are there
    assert Run(done.folder).evaluate() == done.summary["metrics"]
    longer = run("trainer.max_epochs=2", f"resume={quoted(done.folder)}", folder=done.folder)
    assert longer.summary["data"]["source"] == "subset"
    with pytest.raises(Refused, match=r"data \(full\): 100 / 5000 / 50 rows, were 4000 / 500 / 500"):
        run("data.source=full", f"resume={quoted(done.folder)}", folder=done.folder)
    summary = done.folder / "summary.json"
    summary.write_text(summary.read_text().replace('"completed"', '"interrupted"'))
    auto = [*images, "trainer.max_epochs=2", "resume=auto", f"hydra.run.dir={done.folder}"]
    assert "data.source='subset'" in check_command_line(CONF, "train", auto)


# The same rows


class Same(InMemoryDataModule):
    tasks = ("multiclass",)

    def load(self) -> None:
        rows = Split(torch.rand(30, 1, 4, 4), torch.arange(30) % 3)
        self.splits = {"train": rows, "val": rows, "test": Split(rows.x.clone(), rows.y.clone())}
        self.task = Multiclass(["a", "b", "c"])


def test_data_know_whether_the_test_rows_are_those_of_training() -> None:
    for data, same in ((XOR(), True), (Housing(), True), (Same(), True), (Linear(), False)):
        data.setup()
        assert data.same_rows is same


def test_every_place_of_a_test_score_says_where_the_rows_are_the_same(
    run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("model=linear_regression", "data=housing", "trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures")
    header, *said = capsys.readouterr().out.splitlines()
    assert header == "linear_regression on housing (in memory: 3 / 3 / 3, the same rows),"
    assert "tested on the same rows as it was trained on:" in said
    assert done.summary["data"]["same_rows"] is True
    assert About.of(done.folder).caption.endswith("the test rows are those of training")


def test_the_report_of_a_sweep_knows_the_data_of_its_jobs(tmp_path: Path) -> None:
    record = {"name": "s", "command": ["data.x=1,2"], "hydra": [], "sweep": "grid", "objectives": {"val/loss": "min"}}
    space = {"data.x": '{"name": "CategoricalDistribution", "attributes": {"choices": [1, 2]}}'}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**record, "n_trials": 4, "space": space}))

    def remarks(*jobs: tuple[int, str, bool]) -> str:
        for number, (x, content, same_rows) in enumerate(jobs):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            data = {"name": "csv", "digest": content, "same_rows": same_rows}
            summary = {"status": "completed", "data": data, "monitor": {"name": "val/loss", "best": 1.0}}
            (tmp_path / str(number) / "summary.json").write_text(json.dumps(summary))
            (tmp_path / str(number) / "overrides.yaml").write_text(yaml.safe_dump([f"data.x={x}"]))
        return " ".join(report.write(tmp_path).remarks)

    assert remarks((1, "a", False), (1, "a", False), (2, "b", False)) == ""
    assert remarks((1, "a", True), (1, "a", True), (2, "b", True)).startswith("The test rows are the same rows as")
    assert remarks((1, "a", True), (1, "a", False), (2, "b", False)).startswith("In 1 of 3 jobs, the test rows are")
    changed = remarks((1, "a", False), (1, "c", False), (2, "b", False))
    assert changed == "The data have changed from one job to another: their scores do not compare."
    assert changed in (tmp_path / "report.html").read_text()
