"""The report of a sweep: from folders whose files are small, and some of them damaged."""

import csv
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

import report as script
from conftest import ROOT
from kindling import report
from kindling.errors import UserError
from kindling.report.axes import Position, number
from kindling.report.bounds import at_bounds
from kindling.report.figures import figures, parameter, with_scores_of_pruned
from kindling.report.sweep_folder import SweepFolder

LR = FloatDistribution(1e-3, 1e-1, log=True)
SEEDS = CategoricalDistribution([0, 1, 2])


def make_sweep(folder: Path, space: dict[str, BaseDistribution], **fields: Any) -> Path:
    folder.mkdir()
    known = {
        "name": "demo",
        "command": ["model=xor"],
        "hydra": [],
        "sweep": "grid",
        "objectives": {"val/loss": "min"},
        "n_trials": 6,
    }
    texts = {key: distribution_to_json(distribution) for key, distribution in space.items()}
    OmegaConf.save(OmegaConf.create({**known, "space": texts, **fields}), folder / "sweep.yaml")
    return folder


def make_job(sweep: Path, job: int, overrides: list[str], loss: float | None, **fields: Any) -> None:
    """A run that ended; without a loss, one that failed."""
    folder = sweep / str(job)
    folder.mkdir()
    OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")
    summary: dict[str, Any] = {"status": "failed", "error": {"type": "ValueError", "message": "no\nluck | <b>"}}
    if loss is not None:
        summary = {
            "status": "completed",
            "monitor": {"name": "val/loss", "mode": "min", "best": loss},
            "metrics": {"test/acc": 1 - loss, "test/acc_std": 0.5},
            "epochs": 2,
            "seconds": {"setup": 1.0, "fit": 2.5},
        }
        (folder / "metrics.csv").write_text(f"epoch,step,val/loss\n0,9,{2 * loss}\n1,19,{loss}\n")
    (folder / "summary.json").write_text(json.dumps({**summary, **fields}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A grid of two optimizers and three seeds; the last job failed."""
    folder = make_sweep(tmp_path / "sweep", {"optimizer": CategoricalDistribution(["sgd", "adam"]), "seed": SEEDS})
    losses = [0.5, 0.7, 0.6, 0.1, 0.3, None]
    for job, loss in enumerate(losses):
        make_job(folder, job, ["model=xor", f"optimizer={'sgd' if job < 3 else 'adam'}", f"seed={job % 3}"], loss)
    return folder


def test_a_row_a_job_with_swept_values_objectives_test_metrics_and_the_error(sweep: Path) -> None:
    table = report.table(sweep)
    assert list(table.columns) == [
        *("job", "status", "optimizer", "seed", "val/loss", "test/acc", "epochs", "seconds", "error")
    ]
    assert table.iloc[0].tolist()[:-1] == [0, "completed", "sgd", 0, 0.5, 0.5, 2, 2.5]
    assert table["seed"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["error"][5] == "ValueError: no luck | <b>"
    assert table["status"][5] == "failed"
    assert math.isnan(table["val/loss"][5])


def test_values_are_parsed_as_hydra_does_whatever_the_form_of_the_override(tmp_path: Path) -> None:
    space = dict.fromkeys(["a.x", "b", "c", "d", "e", "f"], SEEDS)
    folder = make_sweep(tmp_path / "sweep", {"+g": SEEDS, **space})
    make_job(folder, 0, ["a.x=1", "++a.x=1e-3", "+b='x y'", "c=[1,2]", "d=null", "e=true", "+g=7"], 0.1)
    row = SweepFolder(folder).row(0)
    assert {key: row[key] for key in ("g", *space)} == {
        **{"g": 7, "a.x": 0.001, "b": "x y", "c": "[1,2]", "d": None, "e": True, "f": None}
    }


def test_means_and_standard_deviations_over_seeds(sweep: Path) -> None:
    settings = report.settings(sweep)
    assert settings["optimizer"].tolist() == ["adam", "sgd"]  # the best mean first
    assert settings["count"].tolist() == [2, 3]
    assert settings["val/loss"].tolist() == pytest.approx([0.2, 0.6])
    assert settings["val/loss_std"].tolist() == pytest.approx([math.sqrt(0.02), 0.1])
    assert settings["test/acc"].tolist() == pytest.approx([0.8, 0.4])
    assert settings["test/acc_std"].tolist() == pytest.approx([math.sqrt(0.02), 0.1])


def test_folds_are_repetitions_too_and_a_sweep_of_nothing_else_is_one_setting(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"data.fold": SEEDS})
    for fold, loss in enumerate([0.1, 0.2, 0.6]):
        make_job(folder, fold, [f"data.fold={fold}"], loss)
    settings = report.settings(folder)
    assert settings["val/loss"].tolist() == pytest.approx([0.3])
    assert settings["count"].tolist() == [3]


def test_an_objective_is_found_wherever_the_summary_has_it() -> None:
    summary = {
        "monitor": {"name": "val/loss", "best": 0.25},
        "last_epoch": {"val/loss": 0.5, "val/acc": 0.75, "odd": "text"},
        "metrics": {"test/acc": 0.875},
        "seconds": {"setup": 1, "fit": 3.5},
        **{"parameters": 17, "epochs": 4, "samples_per_second": 1000},
    }
    expected = {"val/loss": 0.25, "val/acc": 0.75, "test/acc": 0.875, "seconds": 3.5, "parameters": 17, "epochs": 4}
    assert {name: report.objective(summary, name) for name in expected} == expected
    assert report.objective(summary, "samples_per_second") == 1000
    assert report.objective(summary, "odd") is None
    assert report.objective(summary, "status") is None
    assert report.objective({"monitor": None, "seconds": 3, "metrics": []}, "seconds") is None


def test_the_best_is_completed_and_finite_and_of_equal_ones_the_first(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS})
    for job, (loss, status) in enumerate([(math.nan, "completed"), (0.1, "pruned"), (0.3, "completed")] * 2):
        make_job(folder, job, [f"seed={job}"], loss, status=status)
    assert report.best(folder)["job"].tolist() == [2]
    assert report.settings(folder)["count"].tolist() == [2]


def test_several_objectives_have_a_pareto_front(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS}, objectives={"val/acc": "max", "parameters": "min"})
    for job, (acc, size) in enumerate([(0.9, 100), (0.8, 50), (0.7, 60), (0.95, 300), (0.9, 120)]):
        make_job(folder, job, [f"seed={job}"], 1.0, parameters=size, last_epoch={"val/acc": acc})
    assert report.best(folder)["job"].tolist() == [3, 0, 1]
    assert {"pareto_front", "history_val_acc", "history_parameters", "parameter_seed_val_acc"} <= {
        name for name, _, _ in figures(SweepFolder(folder), report.table(folder))
    }
    page = (report.write(folder).sweep.folder / "report.html").read_text()
    assert "in all objectives: 3, 0, 1" in page
    assert page.count("<pre>python train.py seed=") == 3


def test_importance_tells_the_parameter_that_decides(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"lr": LR, "units": IntDistribution(1, 8), "kind": SEEDS})
    for job in range(24):
        lr = 10 ** (-3 + 2 * job / 23)
        kind = ["null", "a", "true"][job % 3]
        make_job(folder, job, [f"lr={lr}", f"units={job * 5 % 8 + 1}", f"kind={kind}"], 0.1 + 0.3 * job)
    importance = report.importance(folder)
    assert importance["parameter"][0] == "lr"
    assert importance["val/loss"][0] > 0.8
    assert importance["val/loss"].sum() == pytest.approx(1)


@pytest.mark.parametrize("losses", [[], [0.5], [0.5, 0.5], [0.5, math.nan, None]])
def test_importance_is_empty_where_it_cannot_be_told(tmp_path: Path, losses: list[float | None]) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS})
    for job, loss in enumerate(losses):
        make_job(folder, job, [f"seed={job}"], loss)
    assert report.importance(folder).empty


def test_curves_are_one_table_without_damaged_lines(sweep: Path) -> None:
    (sweep / "1/metrics.csv").write_text("")
    (sweep / "2/metrics.csv").write_bytes(b"epoch,step,val/loss\n0,9,0.5\n1,1\xff")
    curves = report.curves(sweep)
    assert list(curves.columns) == ["job", "epoch", "step", "val/loss"]
    assert curves[curves["job"] == 3].to_numpy().tolist() == [[3, 0, 9, 0.2], [3, 1, 19, 0.1]]
    assert curves["job"].tolist() == [0, 0, 2, 3, 3, 4, 4]
    assert curves["val/loss"][:3].tolist() == [1.0, 0.5, 0.5]


def test_rows_added_one_by_one_are_the_table_that_is_rebuilt(sweep: Path) -> None:
    for job in (5, 0, 1, 2, 3, 4):  # the one that failed has no test metrics: they get a column later
        report.append(sweep, job)
    added = (sweep / "table.csv").read_text().splitlines()
    report.write(sweep)
    rebuilt = (sweep / "table.csv").read_text().splitlines()
    assert added == [rebuilt[0], rebuilt[6], *rebuilt[1:6]]
    assert [row["job"] for row in csv.DictReader(rebuilt)] == ["0", "1", "2", "3", "4", "5"]


def test_a_row_is_added_without_reading_or_rewriting_the_others(sweep: Path) -> None:
    report.append(sweep, 0)
    before = (sweep / "table.csv").stat().st_ino
    for job in (1, 2, 3):
        (sweep / str(job)).rename(sweep / "gone")
        report.append(sweep, 4)
        (sweep / "gone").rename(sweep / str(job))
    assert (sweep / "table.csv").stat().st_ino == before
    code = f"import sys; from kindling import report; report.append({str(sweep)!r}, 1); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"pandas", "torch", "optuna", "matplotlib"} & set(done.stdout.split())


def test_a_line_that_a_killed_process_left_half_written_is_cut(sweep: Path) -> None:
    report.append(sweep, 0)
    whole = (sweep / "table.csv").read_text()
    (sweep / "table.csv").write_text(whole + "1,compl")
    report.append(sweep, 2)
    rows = list(csv.DictReader((sweep / "table.csv").read_text().splitlines()))
    assert [(row["job"], row["val/loss"]) for row in rows] == [("0", "0.5"), ("2", "0.6")]


def test_several_processes_add_rows_at_once(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS})
    for job in range(60):
        make_job(folder, job, [f"seed={job}"], 0.5, metrics={f"test/m{job // 20}": job / 64})
    code = "import sys; from kindling.report import append; [append(sys.argv[1], job) for job in eval(sys.argv[2])]"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, folder, f"range({start}, 60, 3)"], cwd=ROOT) for start in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert sorted(int(row["job"]) for row in rows) == list(range(60))
    assert all(row[f"test/m{int(row['job']) // 20}"] == str(int(row["job"]) / 64) for row in rows)


def test_damaged_and_missing_files_are_rows_and_no_crash(sweep: Path) -> None:
    (sweep / "0/summary.json").write_text('{"status": "comp')
    (sweep / "1/overrides.yaml").write_text("- [a\n :")
    (sweep / "2/summary.json").write_text('{"status": 3, "monitor": [], "metrics": null, "error": "x", "epochs": "y"}')
    (sweep / "3/metrics.csv").write_bytes(b"\x00\xff\n,,,")
    (sweep / "6").mkdir()
    (sweep / "table.csv").write_bytes(b"\xff")
    whole = json.loads((sweep / "3" / "summary.json").read_text())
    wrong = {"epochs": 2.5, "seconds": [], "metrics": {"test/acc": 10**17, "status": {}}, "error": "none"}
    (sweep / "3" / "summary.json").write_text(json.dumps({**whole, **wrong}))
    page = (report.write(sweep).sweep.folder / "report.html").read_text()
    table = report.table(sweep)
    assert table["status"].tolist() == [
        "unreadable",
        "completed",
        "3",
        "completed",
        "completed",
        "failed",
        "unreadable",
    ]
    assert pd.isna(table["optimizer"][1])
    assert table["val/loss"].dropna().tolist() == [0.7, 0.1, 0.3]
    assert "Best: job 3" in page
    assert report.settings(sweep)["count"].tolist() == [2]  # nobody knows the settings of job 1


def test_log_axes_are_chosen_by_the_distribution_or_by_values_that_go_up_by_factors() -> None:
    def is_log(distribution: BaseDistribution, values: list[Any]) -> bool:
        return Position(json.loads(distribution_to_json(distribution)), pd.Series(values)).log

    assert is_log(LR, [0.01, 0.02])
    assert not is_log(FloatDistribution(0.0, 1.0), [0.001, 0.9])  # drawn evenly, so seen evenly
    assert is_log(CategoricalDistribution([1, 100]), [1, 100])
    assert is_log(CategoricalDistribution([0.001, 0.1]), [0.001, 0.1])
    assert is_log(CategoricalDistribution([0.003, 0.01, 0.03]), [0.003, 0.01, 0.03])  # of one decade alone
    assert is_log(CategoricalDistribution([16, 32, 64, 128]), [16, 32, 64, 128])
    assert not is_log(CategoricalDistribution([1, 2, 3, 4, 5]), [1, 2, 3, 4, 5])
    assert not is_log(CategoricalDistribution([0.1, 0.3, 0.5, 0.7]), [0.1, 0.3, 0.5, 0.7])
    assert not is_log(CategoricalDistribution([1, 9]), [1, 9])
    assert not is_log(CategoricalDistribution([0, 100]), [0, 100])
    assert not is_log(CategoricalDistribution(["a", "b"]), ["a", "b"])


def test_scores_that_span_two_decades_are_on_a_log_axis(sweep: Path) -> None:
    table = report.table(sweep)
    assert parameter(SweepFolder(sweep), table, "val/loss", "optimizer").axes[0].get_yscale() == "linear"
    table.loc[0, "val/loss"] = 10.0
    assert parameter(SweepFolder(sweep), table, "val/loss", "optimizer").axes[0].get_yscale() == "log"


def test_a_pruned_job_without_a_score_counts_at_its_best_epoch(sweep: Path) -> None:
    (sweep / "4/summary.json").write_text('{"status": "pruned"}')
    (sweep / "4/metrics.csv").write_text("epoch,step,val/loss\n0,9,0.25\n1,19,0.75\n")
    (sweep / "5/metrics.csv").write_text("epoch,step,val/loss\n0,9,0.25\n")  # of a job that failed
    folder, table = SweepFolder(sweep), report.table(sweep)
    scores = with_scores_of_pruned(folder, table, report.curves(sweep))["val/loss"].tolist()
    assert scores == [0.5, 0.7, 0.6, 0.1, 0.25, pytest.approx(math.nan, nan_ok=True)]


def test_a_heat_map_has_means_in_the_order_of_the_command(tmp_path: Path) -> None:
    space = {"optimizer": CategoricalDistribution(["sgd", "adam"]), "lr": CategoricalDistribution([10, 9])}
    folder = make_sweep(tmp_path / "sweep", {**space, "seed": SEEDS})
    cells = [(optimizer, lr, seed) for optimizer in ("sgd", "adam") for lr in (10, 9) for seed in (0, 1)]
    for job, (optimizer, lr, seed) in enumerate(cells):
        make_job(folder, job, [f"optimizer={optimizer}", f"lr={lr}", f"seed={seed}"], 0.1 * job)
    drawn = {name: figure for name, _, figure in figures(SweepFolder(folder), report.table(folder))}
    axes = drawn["heat_map"].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["sgd", "adam"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["9", "10"]
    assert axes.images[0].get_array().flatten().tolist() == pytest.approx([0.25, 0.05, 0.65, 0.45])
    assert [text.get_text() for text in axes.texts] == ["0.25", "0.05", "0.65", "0.45"]


def test_the_page_needs_nothing_beside_it(sweep: Path) -> None:
    page = (report.write(sweep).sweep.folder / "report.html").read_text()
    assert "src=" not in page.replace('src="data:image/png;base64,', "")
    assert page.count("<link") == page.count('<link rel="icon" href="data:,">') == 1
    assert page.count("<img") == len(list((sweep / "figures").glob("*.png"))) == 3
    assert "no luck | &lt;b&gt;" in page
    assert "0.2 ± 0.14" in page
    assert '<td class=number data-value="0.1">0.1</td>' in page
    assert page.count("<tr class=best>") == 1


def test_the_markdown_has_the_best_first_and_means_over_seeds(sweep: Path) -> None:
    report.write(sweep)
    text = (sweep / "table.md").read_text()
    assert "5 of 6 jobs completed, 1 failed" in text
    assert "## Best: job 3" in text
    assert "| adam | 2 | 0.2 ± 0.14 | 0.8 ± 0.14 |" in text
    assert re.findall(r"^\| (\d) \|", text, re.MULTILINE) == ["4", "0", "2", "1", "5"]
    assert "| **3** | completed | adam | 0 | 0.1 | 0.9 | 2 | 2.5 |  |" in text
    assert "no luck \\| \\<b\\>" in text


def test_the_command_reproduces_the_best_job_in_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS})
    wanted = ["model=xor", "+note='it is $HOME (x)'", "model.hidden_features=[4,4]", "~callbacks.figures", "seed=1"]
    others = ["sweep=grid", "+sweep.n_trials=3", "hydra.job.num=1", "hydra/launcher=x", "resume=auto"]
    make_job(folder, 0, [*wanted, *others], 0.5)
    script.main([str(folder)])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("python"))
    assert shlex.split(line) == ["python", "train.py", *wanted]
    assert line in (folder / "table.md").read_text()


def test_a_sweep_of_which_nothing_is_completed_has_a_page_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_sweep(tmp_path / "sweep", {"seed": SEEDS})
    script.main([str(folder)])
    assert "0 of 6 jobs completed, 6 not started" in capsys.readouterr().out
    make_job(folder, 0, ["seed=0"], None)
    make_job(folder, 1, ["seed=1"], None, status="running")
    page = (report.write(folder).sweep.folder / "report.html").read_text()
    assert "0 of 6 jobs completed, 1 failed, 1 running, 4 not started" in page
    assert "No job has been completed" in page
    assert report.best(folder).empty
    assert report.settings(folder).empty


def test_a_picture_of_an_earlier_report_does_not_outlive_it(sweep: Path) -> None:
    report.write(sweep)
    assert (sweep / "figures/parameter_optimizer.png").exists()
    for job in range(1, 6):
        (sweep / f"{job}/summary.json").unlink()
    report.write(sweep)
    assert [path.name for path in sorted((sweep / "figures").iterdir())] == ["history.png", "learning_curves.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"is not the folder of a sweep; name one with a sweep\.yaml in it"),
        ("[", r"sweep\.yaml: is damaged"),
        ("name: x", r"sweep\.yaml: is damaged \(command: Field required\)"),
        ("objectives: {val/loss: least}", r"sweep\.yaml: is damaged"),
    ],
)
def test_a_folder_that_is_no_sweep_is_refused_in_a_sentence(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        report.write(tmp_path)
    with pytest.raises(SystemExit, match="error: "):
        script.main([str(tmp_path)])


def test_numbers_are_short() -> None:
    values = [0.123456, 1234567, 0.5, 1e-7, True, None, math.nan, 1e30, "x", math.inf, 203530.0]
    assert [number(value) for value in values] == [
        *("0.1235", "1234567", "0.5", "1e-07", "true", "", "", "1e+30", "x", "inf", "203530")
    ]


def bound_to(tmp_path: Path, text: str, distribution: BaseDistribution, values: list[float]) -> list[str]:
    """What a sweep says of bounds whose jobs, with these values, each do better than the one before."""
    folder = make_sweep(tmp_path / "sweep", {"lr": distribution}, command=["model=xor", text])
    for job, value in enumerate(values):
        make_job(folder, job, [f"lr={value}"], 1 / (job + 1))
    return at_bounds(SweepFolder(folder), report.table(folder))


@pytest.mark.parametrize(
    ("text", "distribution", "values", "told"),
    [
        (
            "lr=interval(0,1)",
            FloatDistribution(0, 1),
            [0.5, 0.97],
            "The best lr, 0.97, lies at the upper bound of",
        ),
        ("lr=interval(0,1)", FloatDistribution(0, 1), [0.5, 0.9], None),
        ("lr=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1, log=True), [0.5, 0.00013], "at the lower bound"),
        ("lr=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1, log=True), [0.5, 0.02], None),
        (
            "lr=range(1,6)",
            IntDistribution(1, 5),
            [3, 5],
            "bound of its interval, 1 to 5: a larger one may",
        ),
        ("lr=1,2,3", IntDistribution(1, 3), [3, 2, 1], "The best lr, 1, is the smallest of the values that were tried"),
        ("lr=1,2,3", IntDistribution(1, 3), [3, 1, 2], None),
        ("lr=1,2", IntDistribution(1, 2), [1, 2], None),  # of two one is always at an end
        ("lr=1e-3,1e-2,1e-1", FloatDistribution(1e-3, 0.1, log=True), [0.01, 0.001, 0.1], "is the largest"),
    ],
)
def test_a_best_value_at_the_bound_of_what_was_tried_is_told(
    tmp_path: Path, text: str, distribution: BaseDistribution, values: list[float], told: str | None
) -> None:
    found = bound_to(tmp_path, text, distribution, values)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_values_that_stand_in_the_command_lie_on_an_axis_by_themselves(tmp_path: Path) -> None:
    """The study of a grid knows the least and the largest alone, and 0.003 to 0.1 as linear."""
    linear = FloatDistribution(0.003, 0.1)
    folder = make_sweep(tmp_path / "listed", {"lr": linear}, command=["model=xor", "lr=0.003,0.01,0.1"])
    values = pd.Series([0.003, 0.01, 0.1])
    assert Position(SweepFolder(folder).space["lr"], values).log
    folder = make_sweep(tmp_path / "drawn", {"lr": linear}, command=["model=xor", "lr=interval(0.003,0.1)"])
    assert not Position(SweepFolder(folder).space["lr"], values).log
    beside = Position(CategoricalDistribution([0]).__dict__, pd.Series([0.0, 1e-4, 1e-2]))
    assert beside(pd.Series([0.0, 1e-4, 1e-2])).tolist() == [0, 1, 2]  # 0 is on no logarithmic axis


def test_what_repeats_a_setting_has_no_importance_and_few_jobs_are_said_to_be_few(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep", {"lr": LR, "units": IntDistribution(1, 8), "seed": SEEDS})
    for job in range(24):
        make_job(
            folder, job, [f"lr={10 ** (-3 + 2 * job / 23)}", f"units={job * 5 % 8 + 1}", f"seed={job % 3}"], 0.1 + job
        )
    assert set(report.importance(folder)["parameter"]) == {"lr", "units"}
    captions = {name: caption for name, caption, _ in figures(SweepFolder(folder), report.table(folder))}
    assert captions["importance"].endswith("explains, of 24 jobs")
    assert {name for name in captions if name.startswith("parameter")} == {"parameter_lr", "parameter_units"}
    for job in range(8, 24):
        (folder / f"{job}/summary.json").unlink()
    (caption,) = [text for name, text, _ in figures(SweepFolder(folder), report.table(folder)) if name == "importance"]
    assert caption.endswith("of 8 jobs, which are few: a hint at most")


def test_curves_have_the_colour_of_what_was_tried(sweep: Path) -> None:
    drawn = {name: figure for name, _, figure in figures(SweepFolder(sweep), report.table(sweep))}
    lines = [line for line in drawn["learning_curves"].axes[0].lines if line.get_color() != "black"]
    assert {line.get_label(): line.get_color() for line in lines} == {
        "optimizer sgd": "#0072B2",
        "optimizer adam": "#D55E00",
    }
    assert len(lines) == 5
    page = (report.write(sweep).sweep.folder / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    (chart,) = json.loads(data)["curves"]
    assert [(line["label"], line["colour"], line["width"]) for line in chart["lines"]][:2] == [
        ("job 3: best, optimizer adam, seed 0", "#D55E00", 3),
        ("job 4, optimizer adam, seed 1", "#D55E00", 1.2),
    ]


def test_the_page_says_when_and_with_what_the_jobs_ran(sweep: Path) -> None:
    for job, minute in enumerate([10, 5, 20]):
        file = sweep / f"{job}/summary.json"
        known = {
            "started": f"2026-01-02T03:{minute:02}:00+0000",
            "seconds": {"fit": 100},
            "device": "cpu",
            "versions": {"python": "3.11.7", "torch": "2.10.0" if job else "2.9.0"},
            "git": {"revision": "0123456789abcdef", "dirty": job == 1},
        }
        file.write_text(json.dumps({**json.loads(file.read_text()), **known}))
    assert report.write(sweep).about == [
        "From 2026-01-02 03:05 to 03:21; the jobs took 5 min 0 s together.",
        "On cpu, with python 3.11.7, torch 2.10.0 or 2.9.0.",
        "Code: revision 0123456789ab, with changes that were not committed.",
    ]
    assert "the jobs took 5 min 0 s" in (sweep / "report.html").read_text()
    assert "the jobs took 5 min 0 s" in (sweep / "table.md").read_text()
