"""Sweeps: what is run, what is left after a kill, what is refused; with real processes."""

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from optuna.trial import TrialState

from conftest import CONF, Process
from kindling.config.sweep_record import Record, read_record
from kindling.errors import UserError
from kindling.sweep.checks import job_configs
from kindling.sweep.loader import SweepConfigLoader
from kindling.sweep.processes import take_gpu
from kindling.sweep.space import Space, read_space
from kindling.sweep.startup import notes
from kindling.sweep.storage import open_storage
from kindling.sweep.study import Queue, SeededByTrial, latest, open_study
from kindling.sweep.sweeper import claim, texts_of

Start = Callable[..., Process]

XOR = ["-m", "model=xor", "trainer=cpu", "trainer.max_epochs=2", "data.num_repeats=4"]
DIGITS = ["-m", "data=digits", "trainer=cpu", "trainer.max_epochs=3"]
SEARCH = [
    "sweep=tpe",
    "sweep.n_trials=9",
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    "model.hidden_features=[8],[16]",
]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def outcomes(folder: Path) -> list[dict[str, str]]:
    """All that must not depend on how often a sweep was killed."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table(folder)]


def status(folder: Path, job: int) -> str:
    return json.loads((folder / str(job) / "summary.json").read_text())["status"]


def load_study(folder: Path) -> optuna.Study:
    """As any other client of it."""
    return optuna.load_study(study_name=None, storage=open_storage(folder, None))


def test_a_grid_runs_every_combination_once(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    command = [*XOR, "optimizer.lr=0.05,0.1", "seed=range(2)", f"hydra.sweep.dir={folder}"]
    first = start(*command).wait()
    assert first.code == 0, first.text
    rows = table(folder)
    assert [(row["job"], row["status"], row["optimizer.lr"], row["seed"]) for row in rows] == [
        ("0", "completed", "0.05", "0"),
        ("1", "completed", "0.05", "1"),
        ("2", "completed", "0.1", "0"),
        ("3", "completed", "0.1", "1"),
    ]
    best = min(rows, key=lambda row: float(row["val/loss"]))
    assert (folder / best["job"] / "figures" / "learning_curves.png").exists()
    assert "report.html" in first.text
    assert (folder / "report.html").exists()
    config = OmegaConf.load(folder / "2" / "config.yaml")
    assert "sweep" not in config
    assert OmegaConf.load(folder / "2" / "overrides.yaml") == [*XOR[1:], "optimizer.lr=0.1", "seed=0"]
    repeats = json.loads((folder / "2" / "summary.json").read_text())["command"]
    assert repeats == f"python train.py {' '.join(XOR[1:])} optimizer.lr=0.1 seed=0"

    times = {path: path.stat().st_mtime for path in folder.glob("*/summary.json")}
    again = start(*command).wait()
    assert again.code == 0, again.text
    assert "4 jobs, 4 of them done" in again.text
    assert "job 0:" not in again.text
    assert {path: path.stat().st_mtime for path in folder.glob("*/summary.json")} == times

    other = start(*command, "optimizer.momentum=0.5").wait()
    assert other.code == 1
    assert "holds another sweep: optimizer.momentum is 0.5, was not set; choose another sweep.name" in other.text
    assert len(list(folder.glob("*/summary.json"))) == 4


def test_failures_are_recorded_and_the_sweep_goes_on(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    command = [*XOR, "optimizer.lr=1e38,0.1,1e37", f"hydra.sweep.dir={folder}"]
    done = start(*command).wait()
    assert done.code == 1
    assert "error: 2 of 3 jobs failed (0, 2); to try again: python train.py -m sweep.resume=" in done.text
    assert [row["status"] for row in table(folder)] == ["failed", "completed", "failed"]
    assert "the training loss became nan" in table(folder)[0]["error"]
    assert "nan" in json.loads((folder / "2" / "summary.json").read_text())["error"]["message"]

    study = load_study(folder)
    assert study.metric_names == ["val/loss"]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]
    assert [trial.params["optimizer.lr"] for trial in study.trials] == [1e38, 0.1, 1e37]
    assert study.trials[0].distributions["optimizer.lr"] == FloatDistribution(0.1, 1e38, log=True)
    assert "became nan" in study.trials[0].user_attrs["error"]
    told, summary = study.trials[1], json.loads((folder / "1" / "summary.json").read_text())
    assert told.user_attrs["folder"] == str(folder / "1")
    assert told.user_attrs["test/loss"] == summary["metrics"]["test/loss"]
    with (folder / "1" / "metrics.csv").open(newline="") as file:
        losses = [float(row["val/loss"]) for row in csv.DictReader(file)]
    assert told.intermediate_values == pytest.approx(dict(enumerate(losses)))
    assert told.user_attrs["best_epoch"] == losses.index(min(losses))

    again = start("-m", f"sweep.resume={folder}", "sweep.max_failures=1").wait()
    assert again.code == 1
    assert "3 jobs, 1 of them done" in again.text
    assert "error: 1 of 3 jobs failed (0)" in again.text
    assert "job 1:" not in again.text
    tries = [(trial.user_attrs["job"], trial.state) for trial in load_study(folder).trials[3:]]
    assert tries == [(0, TrialState.FAIL), (2, TrialState.WAITING)]


def test_what_a_folder_lacks_is_done_again(start: Start, csv_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    table = ["model=linear_regression", "data=csv", f"data.path={csv_file}", "data.target=price"]
    first = start("-m", *table, "trainer=cpu", "trainer.max_epochs=1", "seed=range(5)", f"hydra.sweep.dir={folder}")
    assert first.wait().code == 0, first.text
    assert first.text.splitlines()[-1] == f"report: {folder / 'report.html'}"
    whole = outcomes(folder)
    shutil.rmtree(folder / "0")
    (folder / "1" / "summary.json").unlink()
    (folder / "2" / "summary.json").write_text('{"metrics": {"te')
    (folder / "3" / "checkpoints" / "best.ckpt").unlink()
    (folder / "table.csv").unlink()
    again = start("-m", f"sweep.resume={folder}").wait()
    assert again.code == 0, again.text
    assert "5 jobs, 1 of them done" in again.text
    lacks = ["summary.json", "summary.json", "summary.json that can be read", "checkpoints/best.ckpt"]
    for job, lack in enumerate(lacks):
        assert f"job {job} is done again: {folder / str(job)} has no {lack}\n" in again.text
    assert outcomes(folder) == whole
    (folder / "journal.log").unlink()  # what is done is read from the folders
    times = [path.stat().st_mtime for path in sorted(folder.glob("*/summary.json"))]
    assert start("-m", f"sweep.resume={folder}").wait().code == 0
    assert [path.stat().st_mtime for path in sorted(folder.glob("*/summary.json"))] == times
    assert [trial.params["seed"] for trial in load_study(folder).trials] == list(range(5))


@pytest.mark.slow
def test_a_bug_in_a_job_leaves_its_traceback(start: Start, tmp_path: Path, victim: list[str]) -> None:
    folder = tmp_path / "sweep"
    done = start(*XOR, "seed=0,1", *victim, "+callbacks.victim.bug=true", f"hydra.sweep.dir={folder}").wait()
    assert done.code == 1, done.text
    assert "2 of 2 jobs failed" in done.text
    error = json.loads((folder / "1" / "summary.json").read_text())["error"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "division by zero")
    assert "self.seed / 0" in "".join(error["traceback"])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["optimizer.lr=0.1,-1"], "optimizer.lr=-1: Invalid learning rate: -1"),
        (
            ["optimizer=adam,sgd", "+optimizer.amsgrad=true"],
            "optimizer.amsgrad: SGD has no such argument",
        ),
        (["loss=bce_with_logits,mse", "seed=0,1"], "loss=mse does not go with data=xor"),
        (["optimizer.lr=interval(0.1,1)"], "a grid cannot go through an interval; list values, or draw them"),
        (["sweep=random", "optimizer.lr=interval(-1,1)"], "optimizer.lr=-1.0: Invalid learning rate"),
        (["sweep=tpe", "optimizer.lr=interval(1,0.1)"], "interval(1,0.1): the first number should be the smaller one"),
        (
            ["sweep=tpe", "optimizer.lr=tag(log,interval(0,1))"],
            "on a logarithmic scale the first number should be above",
        ),
        (["sweep=tpe", "optimizer.lr=tag(lgo,interval(1,2))"], "there is no tag lgo; the only one is log"),
        (["sweep=tpe"], "nothing is swept; give a key a list of values or a range"),
        (["sweep=tpe", "seed=range(5)"], "a search would pick the luckiest seed"),
        (["sweep=tpe,random", "optimizer.lr=0.1,1"], "a sweep has one value of each of its settings"),
        (["sweep.pruner=medium", "seed=0,1"], "sweep.pruner=medium: should be one of none, median, hyperband"),
        (["sweep.objectives={val/loss:low}", "seed=0,1"], "should give min or max for each name"),
        (["sweep=nsga2", "sweep.pruner=median", "optimizer.lr=0.1,1"], "judges by one objective, and there are 2"),
        (["sweep.n_trials=0", "seed=0,1"], "sweep.n_trials=0: should be a whole number from 1, or null"),
        (["sweep.max_failures=0", "seed=0,1"], "sweep.max_failures=0: should be a whole number from 1"),
        (["hydra/launcher=processes", "hydra.launcher.n_jobs=0", "seed=0,1"], "hydra.launcher.n_jobs=0: should be"),
    ],
)
def test_mistakes_in_any_combination_are_told_before_the_first_job(
    overrides: list[str], sentence: str, start: Start, tmp_path: Path
) -> None:
    done = start(*XOR, *overrides, f"hydra.sweep.dir={tmp_path / 'sweep'}").wait()
    assert done.code == 1
    assert sentence in done.text
    assert "Traceback" not in done.text
    assert not (tmp_path / "sweep" / "0").exists()


def test_a_search_that_is_killed_ends_as_one_that_is_not(start: Start, tmp_path: Path) -> None:
    in_peace, killed = tmp_path / "peace", tmp_path / "killed"
    command = [*DIGITS, *SEARCH, "sweep.pruner=median", "~callbacks.progress_bar"]
    assert start(*command, f"hydra.sweep.dir={in_peace}").wait().code == 0
    assert {row["status"] for row in table(in_peace)} == {"completed", "pruned"}
    for words in ("job 4: completed", "job 6:"):
        process = start(*command, f"hydra.sweep.dir={killed}").until(words)
        assert process.kill().code == -signal.SIGKILL
    resumed = start("-m", f"sweep.resume={killed}").wait()
    assert resumed.code == 0, resumed.text
    assert outcomes(killed) == outcomes(in_peace)


def has_begun(process: Process, run_dir: Path, before: str = "") -> None:
    """Wait for a job to say more of an epoch in its train.log, since the screen has a line for its end alone."""
    deadline = time.monotonic() + 60
    while not ((log := run_dir / "train.log").exists() and "epoch " in log.read_text()[len(before) :]):
        assert time.monotonic() < deadline, process.text
        time.sleep(0.005)


def test_ctrl_c_stops_the_sweep_and_says_how_to_go_on(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    command = [*DIGITS, "trainer.max_epochs=300", "seed=0,1", f"hydra.sweep.dir={folder}"]
    process = start(*command)
    has_begun(process, folder / "0")
    process.kill(signal.SIGINT)
    assert process.code == 130
    assert f"stopped, 0 of 2 jobs done; to go on: python train.py -m sweep.resume={folder}" in process.text
    assert status(folder, 0) == "interrupted"
    assert not (folder / "1").exists()
    (folder / "0" / "overrides.yaml").read_text()
    before = (folder / "0" / "train.log").read_text()
    process = start("-m", f"sweep.resume={folder}").until("(goes on)")
    has_begun(process, folder / "0", before)
    assert process.kill(signal.SIGTERM).code == 143
    assert (folder / "0" / "train.log").read_text().count("epoch 0 ") == 1


def test_two_processes_share_a_sweep_and_no_job_is_done_twice(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    command = [*XOR, "seed=range(12)", f"hydra.sweep.dir={folder}", "sweep.name=shared"]
    processes = [start(*command) for _ in range(2)]
    assert [process.wait().code for process in processes] == [0, 0]
    done = [line for process in processes for line in process.text.splitlines() if ": completed" in line]
    assert sorted(int(line.split()[1].rstrip(":")) for line in done) == list(range(12))
    assert [row["job"] for row in table(folder)] == [str(job) for job in range(12)]
    assert all(not json.loads(path.read_text())["resumed"] for path in folder.glob("*/summary.json"))
    assert not list((folder / ".workers").iterdir())


def test_options_are_swept_with_their_values(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    command = [*XOR, "optimizer=sgd,adamw", "optimizer.lr=0.01,0.1", "~callbacks.best", f"hydra.sweep.dir={folder}"]
    done = start(*command, "sweep.objectives={val/acc:max,epochs:min}").wait()
    assert done.code == 0, done.text
    for job, (name, lr) in enumerate([("SGD", 0.01), ("SGD", 0.1), ("AdamW", 0.01), ("AdamW", 0.1)]):
        optimizer = OmegaConf.load(folder / str(job) / "config.yaml").optimizer
        assert (optimizer._target_, optimizer.lr) == (f"torch.optim.{name}", lr)


def test_what_another_loss_does_not_take_is_taken_away(start: Start, tmp_path: Path) -> None:
    folder, loss = tmp_path / "sweep", ["loss._target_=torch.nn.MultiMarginLoss", "~loss.class_weights"]
    command = ["-m", "data=digits", *loss, "~loss.label_smoothing", "trainer=cpu", "trainer.max_epochs=1"]
    done = start(*command, "seed=0,1", "~callbacks.figures", f"hydra.sweep.dir={folder}").wait()
    assert done.code == 0, done.text
    for job in ("0", "1"):
        assert OmegaConf.load(folder / job / "config.yaml").loss == {"_target_": "torch.nn.MultiMarginLoss"}


def test_an_objective_that_no_run_measures_is_named(start: Start, tmp_path: Path) -> None:
    done = start(*XOR, "seed=0,1", "sweep.objectives={val/los:min}", f"hydra.sweep.dir={tmp_path / 'sweep'}").wait()
    assert done.code == 1
    assert "no run measures val/los, only " in done.text
    assert "did you mean val/loss?" in done.text


def test_the_record_of_a_sweep_does_not_depend_on_the_process(loader: ConfigLoader) -> None:
    """Python orders sets of texts anew in each process."""
    master = loader.load_configuration("train", ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN)
    space = read_space(["seed=range(3,20)", "optimizer=sgd,adam"], loader, grid=True)
    configs = job_configs(master, space, SweepConfigLoader(loader, ["seed", "optimizer"]))
    assert [(name, config["seed"]) for name, config in configs.items()] == [("optimizer=sgd", 3), ("optimizer=adam", 3)]
    assert configs["optimizer=adam"]["optimizer"]["_target_"] == "torch.optim.Adam"


def test_processes_that_start_a_sweep_at_once_share_its_name(tmp_path: Path) -> None:
    fields = {"command": ["seed=0,1"], "hydra": [], "sweep": "grid", "objectives": {"val/loss": "min"}, "space": {}}
    first = claim(tmp_path, Record(name="a", n_trials=2, **fields), {"all": {"seed": 0}})
    second = claim(tmp_path, Record(name="b", n_trials=2, **fields), {"all": {"seed": 0}})
    assert (first.name, second.name, read_record(tmp_path).name) == ("a", "a", "a")
    with pytest.raises(UserError, match=r"holds another sweep: all\.seed is 1, was 0; choose another sweep\.name"):
        claim(tmp_path, Record(name="a", n_trials=2, **fields), {"all": {"seed": 1}})


@pytest.mark.slow
def test_more_trials_can_be_asked_for(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    search = [*XOR, "sweep=random", "optimizer.lr=tag(log,interval(1e-3,1))", f"hydra.sweep.dir={folder}"]
    assert start(*search, "sweep.n_trials=5").wait().code == 0
    whole = outcomes(folder)
    other = [*search[:-1], f"hydra.sweep.dir={tmp_path / 'other'}"]
    assert start(*other, "sweep.n_trials=3").wait().code == 0
    more = start("-m", f"sweep.resume={tmp_path / 'other'}", "sweep.n_trials=5").wait()
    assert more.code == 0, more.text
    assert "5 jobs, 3 of them done" in more.text
    assert outcomes(tmp_path / "other") == whole
    fewer = start("-m", f"sweep.resume={folder}", "sweep.n_trials=4").wait()
    assert (fewer.code, "sweep.n_trials=4: the sweep has 5 jobs; it can only grow" in fewer.text) == (1, True)


@pytest.mark.slow
def test_several_objectives_give_a_front(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    search = ["sweep=nsga2", "sweep.n_trials=5", "model.hidden_features=choice([4],[8],[16])", "trainer.max_epochs=1"]
    done = start(*DIGITS, *search, f"hydra.sweep.dir={folder}").wait()
    assert done.code == 0, done.text
    study = open_study(folder, OmegaConf.load(folder / "sweep.yaml").name, None, modes=["min", "min"])
    assert {trial.values[1] for trial in study.trials} <= {64 * n + n + 10 * n + 10 for n in (4, 8, 16)}
    assert "Pareto front" in (folder / "table.md").read_text()


@pytest.mark.slow
def test_a_pruned_run_can_be_gone_on_with_by_hand(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    # The second job is worse than the first after its first epoch, and one job is enough to compare with.
    prune = ["sweep.pruner=median", "sweep.pruners.median.n_startup_trials=1", "sweep.pruners.median.n_warmup_steps=0"]
    done = start(*DIGITS, "optimizer.lr=1e-2,1e-5", *prune, f"hydra.sweep.dir={folder}").wait()
    assert done.code == 0, done.text
    summary = json.loads((folder / "1" / "summary.json").read_text())
    assert (summary["status"], summary["epochs"]) == ("pruned", 1)
    with (folder / "1" / "metrics.csv").open(newline="") as file:
        (epoch,) = csv.DictReader(file)
    assert float(table(folder)[1]["val/loss"]) == summary["monitor"]["best"] == pytest.approx(float(epoch["val/loss"]))
    assert start(f"resume={folder / '1'}").wait().code == 0
    assert status(folder, 1) == "completed"


def test_processes_run_jobs_side_by_side(start: Start, tmp_path: Path, victim: list[str]) -> None:
    folder = tmp_path / "sweep"
    processes = ["hydra/launcher=processes", "hydra.launcher.n_jobs=2"]
    done = start(*XOR, "seed=range(4)", *victim, *processes, f"hydra.sweep.dir={folder}").wait()
    assert done.code == 1, done.text
    assert "error: 1 of 4 jobs failed (2)" in done.text
    rows = {row["job"]: row for row in table(folder)}
    assert [rows[job]["status"] for job in "0123"] == ["completed", "completed", "failed", "completed"]
    assert rows["2"]["error"].startswith("Killed: the process ended with SIGKILL")
    for job in "013":
        assert "epoch 1 " in (folder / job / "output.log").read_text()
    assert "epoch 1 " not in done.text
    pids = {(folder / job / "pid").read_text() for job in "013"}
    assert len(pids) == 3
    assert str(done.pid) not in pids


VICTIM = """
import os, signal
from pathlib import Path
from lightning.pytorch.callbacks import Callback

class Victim(Callback):
    def __init__(self, seed: int, bug: bool = False):
        self.seed = seed
        self.bug = bug

    def on_train_start(self, trainer, pl_module):
        Path(trainer.default_root_dir, "pid").write_text(str(os.getpid()))
        if self.bug:
            self.seed / 0
        if self.seed == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides for a run whose process says which it is, and dies where the seed is 2."""
    (tmp_path / "victim.py").write_text(VICTIM)
    monkeypatch.syspath_prepend(str(tmp_path))
    return ["+callbacks.victim._target_=victim.Victim", "+callbacks.victim.seed=${seed}"]


def test_each_place_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for slot in range(3):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
        take_gpu(slot)
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["4", "6", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    take_gpu(0)
    assert ("CUDA_VISIBLE_DEVICES" in os.environ) == (torch.cuda.device_count() > 1)


@pytest.fixture
def loader() -> ConfigLoader:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def test_hydras_syntax_makes_a_space(loader: ConfigLoader) -> None:
    overrides = [
        "model=mlp",
        "optimizer.lr=tag(log,interval(1e-4,1e-1))",
        "model.dropout=interval(0,0.5)",
        "data.batch_size=tag(log,int(interval(8,512)))",
        "trainer.max_epochs=range(2,11,2)",
        "model.hidden_features=[128],[64,64]",
        "optimizer=glob(ada*)",
    ]
    space = read_space(overrides, loader, grid=False)
    assert space.fixed == ["model=mlp"]
    assert space.swept == {
        "optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "model.dropout": FloatDistribution(0.0, 0.5),
        "data.batch_size": IntDistribution(8, 512, log=True),
        "trainer.max_epochs": IntDistribution(2, 10, step=2),
        "model.hidden_features": CategoricalDistribution(["[128]", "[64,64]"]),
        "optimizer": CategoricalDistribution(["adadelta", "adagrad", "adam", "adamw"]),
    }


def test_a_grid_takes_values_as_they_were_typed(loader: ConfigLoader) -> None:
    space = read_space(["seed=1,2", "+trainer.x='a b','c,d'", "seed=range(2)", "model=xor"], loader, grid=True)
    assert [space.overrides(values) for values in space.grid()] == [
        ["model=xor", f"seed={seed}", f"+trainer.x={text}"] for seed in (0, 1) for text in ("'a b'", "'c,d'")
    ]


def test_numbers_of_a_list_are_numbers(loader: ConfigLoader) -> None:
    """And their overrides stay what they were: one batch is not all of them."""
    texts = ["optimizer.lr=1e-3,0.1", "trainer.max_epochs=2,3,4", "trainer.limit_train_batches=1,0.5", "model.x=1,1.0"]
    space = read_space([*texts, "model.init=null,1", "data.n=1e400,1"], loader, grid=True)
    assert space.swept == {
        "optimizer.lr": FloatDistribution(1e-3, 0.1, log=True),
        "trainer.max_epochs": IntDistribution(2, 4),
        "trainer.limit_train_batches": FloatDistribution(0.5, 1),
        "model.x": CategoricalDistribution(["1", "1.0"]),
        "model.init": CategoricalDistribution(["null", "1"]),
        "data.n": CategoricalDistribution(["inf", "1"]),
    }
    values = {"optimizer.lr": 0.1, "trainer.max_epochs": 3, "trainer.limit_train_batches": 1.0}
    values |= {"model.x": "1.0", "model.init": "1", "data.n": "1"}
    drawn = ["optimizer.lr=0.1", "trainer.max_epochs=3", "trainer.limit_train_batches=1"]
    assert space.drawn(values) == [*drawn, "model.x=1.0", "model.init=1", "data.n=1"]
    assert space.values(["model=xor", *space.drawn(values)]) == values
    assert space.values(["optimizer.lr=0.2"]) == {}
    search = read_space(["data.batch_size=8,16,64"], loader, grid=False)
    assert search.swept == {"data.batch_size": CategoricalDistribution([8, 16, 64])}
    assert len(read_space(["seed=1,1"], loader, grid=True).grid()) == 2


def test_a_study_that_holds_texts_goes_on_with_texts(loader: ConfigLoader, tmp_path: Path) -> None:
    then = {"optimizer.lr": CategoricalDistribution(["0.1", "1.0"]), "seed": IntDistribution(0, 1)}
    fields = {"command": ["x"], "hydra": [], "sweep": "grid", "objectives": {"val/loss": "min"}, "n_trials": 1}
    Record(name="a", space={key: distribution_to_json(d) for key, d in then.items()}, **fields).write(tmp_path)
    assert texts_of(tmp_path) == ["optimizer.lr"]
    space = read_space(["optimizer.lr=0.1,1.0", "seed=0,1"], loader, True, texts_of(tmp_path))
    assert space.swept == then
    assert space.overrides({"optimizer.lr": "1.0", "seed": 1}) == ["optimizer.lr=1.0", "seed=1"]
    (tmp_path / "sweep.yaml").write_text((tmp_path / "sweep.yaml").read_text().replace("attributes", "nothing"))
    with pytest.raises(UserError, match=r"sweep\.yaml: is damaged"):
        texts_of(tmp_path)


LR, WIDTH = "optimizer.lr=interval(0.1,1)", "model.hidden_features=[8],[16]"


@pytest.mark.parametrize(
    ("sampler", "n_trials", "swept", "expected"),
    [
        ({"_target_": "x.TPESampler", "n_startup_trials": 10}, 20, [LR], []),
        (
            {"_target_": "x.TPESampler", "n_startup_trials": 10},
            8,
            [LR],
            ["all 8 jobs are drawn at random; sweep.sampler.n_startup_trials=2 has it learn earlier"],
        ),
        (
            {"_target_": "x.NSGAIISampler", "population_size": 20},
            30,
            [LR],
            ["the first 20 of 30 jobs are drawn at random; sweep.sampler.population_size=7 has it learn earlier"],
        ),
        ({"_target_": "x.CmaEsSampler"}, 50, [LR], ["moves several numbers at once, and here are not two; every job"]),
        (
            {"_target_": "x.CmaEsSampler", "popsize": None},
            8,
            [LR, WIDTH, "model.dropout=interval(0,0.5)"],
            ["moves numbers alone; drawn at random: model.hidden_features", "the first 6 of 8 jobs are drawn at"],
        ),
        ({"_target_": "x.RandomSampler"}, 1, [LR], []),
    ],
)
def test_a_search_says_what_it_draws_at_random(
    sampler: dict, n_trials: int, swept: list[str], expected: list[str], loader: ConfigLoader
) -> None:
    space = read_space(swept, loader, grid=False)
    found = list(notes("s", OmegaConf.create(sampler), n_trials, space))
    assert len(found) == len(expected)
    assert all(note.startswith(f"sweep=s: {start}") for note, start in zip(found, expected, strict=True))


def test_jobs_are_composed_as_hydra_composes_them(loader: ConfigLoader) -> None:
    master = loader.load_configuration("train", ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN)
    ours = SweepConfigLoader(loader, ["optimizer", "seed", "optimizer.lr", "+trainer.x", "hydra.sweep.subdir"])
    for seed, lr, optimizer in ((0, "0.1", "sgd"), (1, "1e-2", "adam"), (2, "${seed}", "sgd")):
        values = [f"seed={seed}", f"optimizer.lr={lr}", f"+trainer.x=[{seed}]", f"hydra.sweep.subdir={seed}"]
        overrides = ["model=xor", f"optimizer={optimizer}", *values]
        expected = loader.load_sweep_config(master, overrides)
        assert OmegaConf.to_container(ours.load_sweep_config(master, overrides)) == OmegaConf.to_container(expected)
    assert len(ours.composed) == 2


def open_queue(folder: Path) -> Queue:
    study = open_study(folder, "sweep", None, optuna.samplers.RandomSampler())
    return Queue(study, folder, Space([], {"x": IntDistribution(0, 9)}, {}))


def test_what_a_dead_process_left_is_taken_up_by_the_next(tmp_path: Path) -> None:
    first, second = open_queue(tmp_path), open_queue(tmp_path)
    first.add([{"x": 4}, {"x": 5}, {}])
    second.add([{"x": 4}, {"x": 5}, {}])
    with first.working():
        assert first.take(3).params == {"x": 4}
        with second.working():
            assert second.take(3).number == 1
            assert first.take(2) is None
            assert second.take(3).number == 2
            assert second.take(3) is None
    third = open_queue(tmp_path)
    with third.working():
        trial = third.take(3)
        assert (trial.number, trial.params) == (0, {"x": 4})
        third.study.tell(trial, 1.0)
        assert [third.take(3).number, third.take(3).number, third.take(3)] == [1, 2, None]
    assert [trial.state for trial in third.study.trials] == [
        TrialState.COMPLETE,
        TrialState.RUNNING,
        TrialState.RUNNING,
    ]


def test_what_others_tell_the_study_is_no_end_of_a_job(tmp_path: Path) -> None:
    """Told that a job failed, it is tried again; what its own process says of it counts."""
    queue = open_queue(tmp_path)
    queue.add([{"x": 4}, {"x": 5}])
    with queue.working():
        first, second = queue.take(2), queue.take(2)
        client = load_study(tmp_path)
        client.tell(0, state=TrialState.FAIL)
        client.tell(1, state=TrialState.FAIL)
        queue.tell(second, TrialState.COMPLETE, [0.5], {"test/acc": 0.25})
        assert (queue.failed(), queue.count_done()) == ([0], 1)
    assert latest(queue.study)[1].user_attrs["test/acc"] == 0.25
    assert latest(queue.study)[1].params == {"x": 5}
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "summary.json").write_text('{"status": "completed"}')
    next_one = open_queue(tmp_path)
    assert next_one.add([{"x": 4}, {"x": 5}]) == {}
    with next_one.working():
        again = next_one.take(2)
        assert (again.number, again.user_attrs["job"], again.params) == (3, 0, first.params)
        assert next_one.take(2) is None


def test_jobs_of_a_lost_study_are_those_in_the_folders(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    OmegaConf.save(OmegaConf.create(["model=xor", "x=7"]), tmp_path / "1" / "overrides.yaml")
    queue = open_queue(tmp_path)
    queue.add([{}, {}])
    assert [trial.system_attrs["fixed_params"] for trial in queue.study.trials] == [{}, {"x": 7}]


def test_wherever_bytes_are_lost_the_study_is_whole_or_called_damaged(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    queue.add([{"x": 1}, {"x": 2}])
    with queue.working():
        queue.tell(queue.take(2), TrialState.COMPLETE, [0.5], {"test/acc": 0.5})
    journal = tmp_path / "journal.log"
    written, sentences = journal.read_bytes(), []
    for at in range(0, len(written) - 20, 13):
        journal.write_bytes(written[:at] + written[at + 20 :])
        try:
            open_queue(tmp_path).add([{"x": 1}, {"x": 2}])
        except UserError as error:
            sentences.append(str(error))
    assert len(sentences) > 50
    assert all(text.startswith(f"{journal}: is damaged; delete it, and what the jobs have done") for text in sentences)


def test_a_storage_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    for url in ("nothing", f"sqlite:///{tmp_path}/none/x.db"):
        with pytest.raises(UserError, match=r"^sweep\.storage: cannot be opened \("):
            open_study(tmp_path, "sweep", url)


def test_a_line_cut_short_costs_itself_alone(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    queue.add([{"x": 1}])
    with (tmp_path / "journal.log").open("a") as file:
        file.write('{"op_code": 4, "trial')
    again = open_queue(tmp_path)
    again.add([{"x": 1}, {"x": 2}])
    assert [trial.system_attrs["fixed_params"] for trial in again.study.trials] == [{"x": 1}, {"x": 2}]


def test_draws_depend_on_the_seed_and_the_trial_alone() -> None:
    def draws(seed: int, skipped: int) -> list[float]:
        study = optuna.create_study(sampler=SeededByTrial(lambda s: optuna.samplers.RandomSampler(seed=s), seed))
        for _ in range(skipped):
            study.ask()
        return [study.ask().suggest_float("x", 0, 1) for _ in range(3)]

    assert draws(0, 2)[0] == draws(0, 0)[2]
    assert len({*draws(0, 0), *draws(1, 0)}) == 6


def test_a_folder_cannot_say_what_hydra_does(tmp_path: Path, start: Start) -> None:
    fields = {"name": "x", "command": ["seed=0,1"], "hydra": [], "sweep": "grid", "objectives": {"val/loss": "min"}}
    fields |= {"n_trials": 2, "space": {}}
    for hostile in (
        {"hydra": ["+hydra.callbacks.x={_target_:os.system,command:id}"]},
        {"command": ["hydra.callbacks=x", "seed=0,1"]},
        {"command": ["sweep.sampler._target_=os.system", "seed=0,1"]},
        {"command": ["+sweep.sampler={_target_:os.system}", "seed=0,1"]},
        {"command": ["sweep.storage=sqlite:////tmp/x", "seed=0,1"]},
        {"command": ["seed=0,1", "+callbacks.x={_target_:os.system,command:id}"]},
    ):
        OmegaConf.save(OmegaConf.create({**fields, **hostile}), tmp_path / "sweep.yaml")
        done = start("-m", f"sweep.resume={tmp_path}").wait()
        assert done.code == 1
        assert any(words in done.text for words in ("may not hold", "give that again", "may not name this")), done.text
        assert not (tmp_path / "0").exists()


def test_what_is_no_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not the folder of a sweep"):
        read_record(tmp_path)
    (tmp_path / "sweep.yaml").write_text("name: [")
    with pytest.raises(UserError, match=r"sweep.yaml: is damaged"):
        read_record(tmp_path)
