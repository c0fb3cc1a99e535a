"""Every script starts as a process of its own and does what it is for, at its smallest size."""

import importlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from kindling import compose, train
from kindling.config.quoting import quoted

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))


def python(*argv: object, seconds: int = 300) -> str:
    """What the process prints; it has nothing to complain of."""
    command = [sys.executable, *map(str, argv)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, digits and xor, and a sweep of two jobs."""
    root = tmp_path_factory.mktemp("outputs")
    for name, overrides in (("digits", ["data=digits"]), ("xor", ["model=xor"])):
        train(compose([*overrides, "trainer.max_epochs=1", "trainer=cpu", f"run_dir={quoted(root / name)}"]))
    sweep = f"hydra.sweep.dir={quoted(root / 'sweep')}"
    python("train.py", "-m", "model=xor", "trainer.max_epochs=1", "seed=0,1", "trainer=cpu", sweep)
    return root


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_tells_what_is_wrong_in_a_sentence(name: str) -> None:
    assert "told_in_a_sentence()" in (ROOT / "scripts" / f"{name}.py").read_text()


@pytest.mark.parametrize(("lines", "code"), [(100_000, 141), (1, 141)])
def test_nothing_is_said_where_nobody_reads_on(lines: int, code: int) -> None:
    source = "from kindling.errors import told_in_a_sentence\nwith told_in_a_sentence():\n    input()\n"
    source += f"    for _ in range({lines}): print('line')"
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, cwd=ROOT) as process:
        process.stdout.close()
        process.stdin.write(b"now\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == code


def evaluate(outputs: Path, folder: Path) -> None:
    printed = json.loads(python("scripts/evaluate.py", outputs / "digits", "--json"))
    assert printed == json.loads((outputs / "digits" / "summary.json").read_text())["metrics"]


def predict(outputs: Path, folder: Path) -> None:
    text = python("scripts/predict.py", outputs / "digits", "--output", folder / "predictions.csv")
    assert text == f"179 predictions in {folder / 'predictions.csv'}\n"
    assert len(pd.read_csv(folder / "predictions.csv")) == 179


def plot(outputs: Path, folder: Path) -> None:
    python("scripts/plot.py", outputs / "xor", "--only", "decision", "--format", "svg", "--output", folder)
    assert [file.name for file in folder.iterdir()] == ["decision.svg"]


def wandb_sweep(outputs: Path, folder: Path) -> None:
    printed = python("scripts/wandb_sweep.py", "sweep=random", "model=xor", "optimizer.lr=tag(log,interval(1e-3,1e-1))")
    swept = yaml.safe_load(printed)
    assert (swept["program"], swept["method"]) == ("train.py", "random")
    assert swept["parameters"] == {"optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-3, "max": 1e-1}}


def play(outputs: Path, folder: Path) -> None:
    command = [sys.executable, "scripts/play.py", str(outputs / "xor")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline().rstrip()
            (address,) = re.findall(r"^(http://127\.0\.0\.1:\d+/)  \(Ctrl-C ends it\)$", line)
            with urlopen(address, timeout=60) as page:
                assert b"<title>Play</title>" in page.read()
            process.send_signal(signal.SIGINT)
            assert (process.wait(60), process.stderr.read()) == (130, "")
        finally:
            process.kill()  # else the end of the block would wait for a server that goes on


def export(outputs: Path, folder: Path) -> None:
    text = python("scripts/export.py", outputs / "xor", "--format", "state-dict", "--output", folder / "model.pt")
    assert "largest difference 0, on 4 rows of the test split" in text
    assert (folder / "model.pt").exists()


def runs(outputs: Path, folder: Path) -> None:
    lines = python("scripts/runs.py", "--in", outputs).splitlines()
    assert len(lines) == 1 + 4
    lines = python("scripts/runs.py", "best", "--in", outputs).splitlines()
    assert len(lines) == 1 + 2
    text = python("scripts/runs.py", "compare", outputs / "sweep" / "0", outputs / "sweep" / "1")
    assert ["seed", "0", "1"] in [line.split() for line in text.splitlines()]


def report(outputs: Path, folder: Path) -> None:
    (outputs / "sweep" / "report.html").unlink()
    assert "2 of 2 jobs completed" in python("scripts/report.py", outputs / "sweep")
    assert (outputs / "sweep" / "report.html").exists()


def solve_xor(outputs: Path, folder: Path) -> None:
    lines = python("scripts/solve_xor.py", "--seeds", 3, "model.activation=silu").splitlines()
    assert lines == [
        "| overrides | 4 of 4 | 3 of 4 | fewer |",
        "|---|---|---|---|",
        "| `model.activation=silu` | 3 | 0 | 0 |",
    ]


def torture(outputs: Path, folder: Path) -> None:
    text = python("scripts/torture.py", "--kills", 1, "--models", "xor", "--sweeps", 0)
    assert text.endswith("1 of 1 are the same to the bit\n")


def benchmark(outputs: Path, folder: Path) -> None:
    small = ["--repeats", 1, "--tasks", "linear", "--batch-sizes", 1024]
    python("scripts/benchmark.py", "training", *small, "--json", folder / "times.json")
    times = json.loads((folder / "times.json").read_text())["training"]
    assert [row["pipeline"] for row in times] == ["hand-written", "kindling", "stock"]
    assert all(row["rows / s"] > 0 for row in times)


def benchmark_plain(outputs: Path, folder: Path) -> None:
    lines = python("scripts/benchmark_plain.py", "--repeats", 1, "--epochs", 2).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a bare Trainer", "| Kindling"]


def benchmark_sweep(outputs: Path, folder: Path) -> None:
    growth = python("scripts/benchmark_sweep.py", "growth", "--jobs", 8).splitlines()
    assert [line.partition(":")[0] for line in growth] == [f"jobs {i} to {i + 1}" for i in range(0, 8, 2)]
    assert python("scripts/benchmark_sweep.py", "overhead", "--jobs", 2).startswith("2 XOR jobs: ")


def look(outputs: Path, folder: Path) -> None:
    text = python("scripts/look.py", "data=digits", "--output", folder / "look")
    assert text.splitlines()[1] == "rows   train 1,439, val 179, test 179"
    assert text.endswith(f"\n{folder / 'look' / 'look.png'}\n")
    found = json.loads(python("scripts/look.py", "data=diabetes", "--output", folder, "--json"))
    assert Path(found["figure"]).exists()
    assert found["columns"][0]["name"] == "age"


def find_lr(outputs: Path, folder: Path) -> None:
    before = set(ROOT.iterdir())
    lines = python("scripts/find_lr.py", "data=digits", "trainer=cpu", "--output", folder).splitlines()
    assert lines[0] == str(folder / "find_lr.png")
    assert re.fullmatch(r"python train\.py data=digits trainer=cpu optimizer\.lr=0\.0\d+", lines[1])
    assert set(ROOT.iterdir()) == before
    assert [file.name for file in folder.iterdir()] == ["find_lr.png"]


def accelerator(outputs: Path, folder: Path) -> None:
    """On a processor, in little: so that it is known to work before there is an accelerator."""
    text = python("scripts/accelerator.py", "--small", seconds=900)  # some fifteen processes
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    assert [row[0] for row in rows] == [
        "epoch, batches of 64",
        "validation accuracy 90%",
        "trainer=bf16",
        "compile=true",
        "killed and gone on with",
        "evaluated on the CPU",
        "population=20 of xor",
        "population=3 of mlp",
        "ResNet-18 on image files, bf16",
    ]
    assert rows[4][1] == "the same to the bit"
    assert float(rows[5][1].split()[3]) < 1e-5


def examples(outputs: Path, folder: Path) -> None:
    lines = python("scripts/examples.py", "resnet", "--small").splitlines()
    assert lines[-3] == "| command | runs | epochs | test/acc | minutes a run |"
    assert lines[-1].startswith("| `python train.py model=resnet` | 1 | 2 | ")


def baselines(outputs: Path, folder: Path) -> None:
    lines = python("scripts/baselines.py", "data=diabetes", "--only", "dummy,ridge").splitlines()
    assert lines[1] == "rows   train 354, val 44, test 44"
    assert [line.split()[:4] for line in lines[4:6]] == [
        ["dummy", "59.21", "70.58", "-0.0369"],
        ["ridge", "43.48", "55.97", "0.3478"],
    ]


def study(outputs: Path, folder: Path) -> None:
    """A part of one; its page stays as it is."""
    page = ROOT / "docs" / "course" / "published.md"
    before = page.read_text()
    table = python("scripts/study.py", "ciresan", "--quick", "--in", folder)
    assert re.search(r"^\| 784-\S+ \| `model.hidden_features=.*` \| [\d,]+ \| [\d.]+ ± ", table, flags=re.MULTILINE)
    assert page.read_text() == before
    assert "ciresan" in python("scripts/study.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_does_what_it_is_for(name: str, outputs: Path, tmp_path: Path) -> None:
    if name == "play":
        pytest.importorskip("fastapi", reason="fastapi is missing; pip install -e '.[dev]'")
    smallest: Callable[[Path, Path], None] = globals()[name]
    smallest(outputs, tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_how_it_is_called(name: str) -> None:
    assert f"python scripts/{name}.py" in (importlib.import_module(name).__doc__ or "")


def test_without_arguments_every_part_of_a_sweep_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("benchmark_sweep")
    for name in ("overhead", "growth", "parallel"):
        monkeypatch.setattr(module, name, lambda folder, name=name, **size: [f"{name} {size}"])
    module.main([])
    module.main(["parallel", "--jobs", "3", "--epochs", "1"])
    assert capsys.readouterr().out.splitlines() == [
        *("overhead {}", "growth {}", "parallel {}", "parallel {'jobs': 3, 'epochs': 1}")
    ]


def test_what_a_machine_lacks_for_measuring_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("accelerator")
    assert module.lacking() == []
    versions = {"optuna": "3.0", "torch": "2.10.0"}
    monkeypatch.setattr(module.metadata, "version", lambda name: versions.get(name, "2.10"))
    assert [text for text in module.lacking() if text.startswith(("optuna", "torch>"))] == ["optuna<6,>=5, not 3.0"]
    with pytest.raises(SystemExit, match=r"error: this machine lacks .*optuna<6,>=5, not 3.0"):
        module.main([])
    with pytest.raises(SystemExit, match="error: sped: should be one of speed, accuracy"):
        module.main(["sped"])


@pytest.mark.slow
def test_the_benchmarks_measure_whole_commands_and_jobs_side_by_side(tmp_path: Path) -> None:
    python("scripts/benchmark.py", "processes", "--repeats", 1, "--json", tmp_path / "times.json")
    assert len(json.loads((tmp_path / "times.json").read_text())["processes"]) == 10
    lines = python("scripts/benchmark_sweep.py", "parallel", "--jobs", 2, "--epochs", 1).splitlines()
    assert [line.startswith("2 MNIST jobs, ") for line in lines] == [True] * 6
