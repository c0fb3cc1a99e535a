"""The projects in docs/examples: their READMEs are whole, their commands run, their numbers come from runs."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import examples
from conftest import ROOT
from kindling.errors import UserError

NAMES = sorted(folder.name for folder in examples.EXAMPLES.iterdir() if folder.is_dir())
TEXT = """# A title

What it shows,
in a sentence.

```bash
cp -r a b
python train.py model=a \\
    seed=3
python train.py model=b
```

<!-- numbers: test/acc >= 0.9, test/loss < test/mean, test/acc > before -->
<!-- /numbers -->
"""


def run_folder(folder: Path, **metrics: float) -> Path:
    folder.mkdir(parents=True)
    monitor = {"name": "val/loss", "best": 0.5}
    summary = {"metrics": metrics, "monitor": monitor, "epochs": 3, "seconds": {"fit": 60.0, "test": 6.0}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> examples.Example:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "README.md").write_text(TEXT)
    monkeypatch.setattr(examples, "EXAMPLES", tmp_path)
    return examples.Example("one")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_small_and_whole(name: str) -> None:
    example = examples.Example(name)
    folder = example.file.parent
    assert sum(len(file.read_text().splitlines()) for file in folder.rglob("*.py")) <= 150
    assert example.commands[0].startswith("cp -r ")
    for part in [path.name for path in folder.iterdir() if path.name in ("conf", "src")]:
        assert f"docs/examples/{name}/{part}" in example.commands[0]
    figures = [folder / f"{figure}.png" for figure in example.figures()]
    assert all(figure.stat().st_size < 100_000 for figure in figures)
    assert sorted(folder.rglob("*.png")) == sorted(figures)


def test_the_index_is_that_of_the_readmes() -> None:
    text = (examples.EXAMPLES / "README.md").read_text()
    assert text == examples.between(text, "index", examples.index())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_documented_commands_run(name: str) -> None:
    command = [sys.executable, "scripts/examples.py", name, "--small"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    example = examples.Example(name)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `python train.py")]
    assert len(rows) == sum("train.py" in line for line in example.commands)


def test_commands_are_those_of_the_readme(example: examples.Example) -> None:
    first = ["python train.py model=a      seed=3"]
    assert list(example.lines(2, False)) == [
        ["cp -r a b"],
        first,
        [f"python train.py model=b seed={i}" for i in (0, 1)],
    ]
    small = list(example.lines(2, True))
    assert small[1:] == [
        ["python train.py model=a      seed=0 debug=limit"],
        ["python train.py model=b seed=0 debug=limit"],
    ]


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"test/acc": 0.95, "test/loss": 1, "test/mean": 2}, []),
        ({"test/acc": 0.85, "test/loss": 1, "test/mean": 2}, ["one: test/acc is 0.85, and should be >= 0.9"]),
        ({"test/acc": 0.95, "test/loss": 3, "test/mean": 2}, ["one: test/loss is 3, and should be < 2"]),
        ({"test/acc": float("nan"), "test/loss": 1, "test/mean": 2}, ["one: test/acc is nan, and should be >= 0.9"]),
    ],
)
def test_numbers_are_held_against_those_of_the_readme(
    metrics: dict[str, float], told: list[str], example: examples.Example, tmp_path: Path
) -> None:
    before = examples.Row("a", [run_folder(tmp_path / "a", **{"test/acc": 0.8})])
    rows = [before, examples.Row("b", [run_folder(tmp_path / "b", **metrics)])]
    assert examples.missed(example, rows)[: len(told)] == told
    assert bool(told) == bool(examples.missed(example, rows))
    with pytest.raises(UserError, match=re.escape("has no test/loss; the example must log it in its test")):
        examples.table(example, rows)


def test_tables_are_means_over_runs(example: examples.Example, tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / f"{i}", **{"test/acc": i, "test/loss": 1, "test/mean": 2}) for i in (1, 3)]
    rows = [examples.Row("python train.py", runs[:1]), examples.Row("python train.py -m", runs)]
    examples.write(example, rows)
    assert example.file.read_text().splitlines()[-5:-1] == [
        "| command | runs | epochs | test/acc | test/loss | test/mean | minutes a run |",
        "|---|---|---|---|---|---|---|",
        "| `python train.py` | 1 | 3 | 1 | 1 | 2 | 1.1 |",
        "| `python train.py -m` | 2 | 3 | 2 ± 1.4 | 1 ± 0 | 2 ± 0 | 1.1 |",
    ]
    reached = "test/acc 2 ± 1.4, test/loss 1 ± 0, test/mean 2 ± 0, before 1 | 1.1 |"
    assert examples.index().endswith(reached)


def test_an_unknown_example_is_told_with_those_that_are_there(example: examples.Example) -> None:
    with pytest.raises(UserError, match="two: there is no such example; there are one"):
        examples.Example("two")


def test_image_files_appear_all_or_none_and_some_classes_can_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(examples.EXAMPLES / "resnet" / "src"))
    data = importlib.import_module("resnet.data")
    monkeypatch.setattr(data, "SPLITS", {"train": 3, "val": 1, "test": 1})
    images = data.Images(str(tmp_path / "mnist"), "png", classes=[4, 2], per_class=2)
    monkeypatch.setattr(data, "mnist_data", lambda: (np.zeros((40, 784)), np.repeat(np.arange(10), 4)))
    with pytest.raises(StopIteration):  # of the five images that each class is to have
        images.prepare_data()
    assert list((tmp_path / "mnist").iterdir()) == []
    monkeypatch.setattr(data, "mnist_data", lambda: (np.zeros((50, 784)), np.repeat(np.arange(10), 5)))
    for _ in range(2):
        images.prepare_data()
    assert len(list((tmp_path / "mnist" / "png").rglob("*.png"))) == 50
    images.setup("fit")
    assert (images.train.classes, images.num_classes) == (["4", "2"], 2)
    found = [(Path(file).parent.name, Path(file).stem, label) for file, label in images.train.samples]
    assert found == [("4", "000", 0), ("4", "001", 0), ("2", "000", 1), ("2", "001", 1)]
    assert [tuple(x.shape) for x, _ in images.test_dataloader().dataset] == [(1, 28, 28)] * 2
