"""Whole runs: every pair and part for a batch, real runs to the end, and every way to end badly."""

import itertools
import json
import math
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import Finished, Process, choices, compose_config, options
from kindling.errors import UserError
from kindling.running.build import build
from test_config import PAIRS, loss_for, tasks

Run = Callable[..., Finished]
Start = Callable[..., Process]
Cli = Callable[..., subprocess.CompletedProcess[str]]

FAST = ["debug=fast_dev_run", "trainer=cpu"]


def data_overrides(data: str, idx_dir: Path) -> list[str]:
    return {
        "mnist": ["data=mnist", "data.source=subset"],
        "fashion_mnist": ["data=fashion_mnist", f"data.data_dir={idx_dir}"],
    }.get(data, [f"data={data}"])


@pytest.mark.parametrize(("model", "data"), PAIRS)
def test_every_pair_runs_a_batch(model: str, data: str, run: Run, idx_dir: Path) -> None:
    done = run(f"model={model}", *data_overrides(data, idx_dir), f"loss={loss_for(model, data)}", *FAST)
    assert math.isfinite(done.score)
    assert done.summary["status"] == "completed"


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_a_csv_file_runs_a_batch(kind: str, run: Run, csv_file: Path) -> None:
    target = {"regression": "price", "binary": "sold", "multiclass": "kind"}[kind]
    loss = {"regression": "mse", "binary": "bce_with_logits", "multiclass": "cross_entropy"}[kind]
    done = run("data=csv", f"data.path={csv_file}", f"data.target={target}", f"data.task={kind}", f"loss={loss}", *FAST)
    assert done.summary["data"]["sizes"] == {"train": 48, "val": 6, "test": 6}
    assert done.summary["data"]["source"] == str(csv_file)


@pytest.mark.parametrize(
    ("optimizer", "scheduler"), list(itertools.product(choices("optimizer"), choices("scheduler")))
)
def test_every_optimizer_runs_with_every_scheduler(optimizer: str, scheduler: str, run: Run) -> None:
    assert math.isfinite(run("data=digits", f"optimizer={optimizer}", f"scheduler={scheduler}", *FAST).score)


@pytest.mark.parametrize("loss", choices("loss"))
def test_every_loss_runs(loss: str, run: Run) -> None:
    model, data = next(
        p for p in PAIRS if tasks("data", p[1]) & tasks("loss", loss) and p[1] in ("linear", "xor", "digits")
    )
    assert math.isfinite(run(f"model={model}", f"data={data}", f"loss={loss}", *FAST).score)


@pytest.mark.parametrize("part", ["loss", "optimizer", "scheduler"])
def test_a_part_that_the_model_needs_is_not_left_out(part: str, run: Run) -> None:
    text = error_of(run, "data=digits", "scheduler=constant", f"{part}=none")
    assert text == f"model.{part}: a value is required by kindling.models.mlp.MLP, and choose {part}=..."


@pytest.mark.parametrize("debug", sorted(set(options("debug")) - {"fast_dev_run"}))
def test_every_debug_preset_runs(debug: str, run: Run) -> None:
    done = run("data=digits", f"debug={debug}", "trainer.max_epochs=1", "callbacks=none", "logger=none")
    assert done.summary["status"] == "completed"


def test_overfitting_sees_the_same_batches_in_every_epoch() -> None:
    parts = build(compose_config("data=digits", "debug=overfit", "callbacks=none", "run_dir=unused"))
    parts.datamodule.trainer = parts.trainer
    parts.datamodule.setup()
    loader = parts.datamodule.train_dataloader()
    first = [y.tolist() for _, y in loader]
    loader.set_epoch(1)
    assert [y.tolist() for _, y in loader] == first


def test_a_run_leaves_everything_about_it_in_its_folder(run: Run) -> None:
    done = run("model=mlp", "data=digits", "trainer.max_epochs=3", "seed=7")
    assert {path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*") if path.is_file()} == {
        ".lock",  # held while a process trains there
        "config.yaml",
        "overrides.yaml",
        "summary.json",
        "metrics.csv",
        "train.log",
        "report.html",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "figures/learning_curves.png",
        "figures/data.npz",
        "figures/captions.json",
        "figures/confusion.png",
        "figures/examples.png",
        "figures/first_layer.png",
        "figures/reliability.png",
        "figures/worst_mistakes.png",
    }
    summary, metrics = done.summary, pd.read_csv(done.folder / "metrics.csv")
    assert summary["status"] == "completed"
    assert summary["parameters"] == 64 * 256 + 256 + 256 * 10 + 10
    assert (summary["epochs"], summary["steps"], summary["seed"]) == (3, 3 * 45, 7)
    best = metrics["val/loss"].idxmin()
    place = {name: int(metrics.loc[best, name]) for name in ("epoch", "step")}
    assert summary["monitor"] == {"name": "val/loss", "mode": "min", "best": done.score, **place}
    assert done.score == pytest.approx(metrics["val/loss"].min())
    assert summary["metrics"]["test/acc"] > 0.8
    assert metrics["epoch"].tolist() == [0, 1, 2]
    assert not metrics.isna().any().any()
    assert metrics["train/loss"].is_monotonic_decreasing


def test_without_callbacks_there_is_the_record_alone(run: Run) -> None:
    done = run("data=digits", "trainer.max_epochs=2", "callbacks=none")
    assert sorted(path.name for path in done.folder.iterdir()) == [
        *(".lock", "config.yaml", "metrics.csv", "overrides.yaml", "summary.json", "train.log")
    ]
    assert pd.read_csv(done.folder / "metrics.csv")["epoch"].tolist() == [0, 1]
    assert done.summary["metrics"]["test/acc"] > 0.8


def test_checkpoints_hold_plain_data_and_the_config(run: Run) -> None:
    done = run("model=xor", "trainer.max_epochs=2", "logger=none", "seed=5")
    for name in ("best", "last"):
        checkpoint = torch.load(done.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["config"]["model"]["_target_"] == "kindling.models.xor.XOR"
        assert checkpoint["config"]["seed"] == 5
    assert checkpoint["epoch"] == 1  # the last one, whether or not it was the best


def weights(done: Finished) -> dict[str, torch.Tensor]:
    return torch.load(done.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_the_same_seed_gives_the_same_weights_to_the_bit(run: Run) -> None:
    overrides = ["data=digits", "model.dropout=0.3", "trainer=cpu", "trainer.max_epochs=2"]
    first, second, other = (weights(run(*overrides, f"seed={seed}")) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["net.1.weight"], other["net.1.weight"])


@pytest.mark.parametrize("data", ["linear", "diabetes"])
@pytest.mark.parametrize(
    ("overrides", "tolerance"), [([], 1e-3), (["optimizer=lbfgs", "trainer.precision=64-true"], 1e-6)]
)
def test_linear_regression_finds_the_closed_form(
    data: str, overrides: list[str], tolerance: float, tmp_path: Path
) -> None:
    cfg = compose_config(
        "model=linear_regression",
        f"data={data}",
        *overrides,
        "trainer=cpu",
        "logger=none",
        "callbacks=none",
        f"run_dir={tmp_path}",
    )
    parts = build(cfg)
    datamodule, model = parts.datamodule, parts.model
    parts.trainer.fit(model, datamodule=datamodule)
    rows = datamodule.splits["train"]
    x = torch.cat([rows.x, torch.ones(len(rows), 1)], dim=1).double()
    solution = torch.linalg.lstsq(x, datamodule.task.to("cpu").target(rows.y).double()).solution
    learned = torch.cat([model.net.weight, model.net.bias[:, None]], dim=1).T.double()
    assert ((learned - solution).norm() / solution.norm()).item() < tolerance


def test_batch_norm_and_every_initialisation_train(run: Run) -> None:
    for init in ("xavier_uniform", "kaiming_normal", "orthogonal"):
        done = run("data=digits", "model.normalization=batch", f"model.init={init}", "trainer.max_epochs=2")
        assert done.summary["metrics"]["test/acc"] > 0.85


def error_of(run: Run, *overrides: str, folder: Path | None = None) -> str:
    with pytest.raises(UserError) as error:
        run(*overrides, folder=folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loss_that_is_no_number_ends_the_run(run: Run, tmp_path: Path) -> None:
    overrides = ["data=digits", "optimizer=sgd", "optimizer.lr=1e20", "scheduler=constant"]
    text = error_of(run, *overrides, folder=tmp_path / "nan")
    assert text.startswith("the training loss became ")
    assert "in epoch 0 at step " in text
    summary = json.loads((tmp_path / "nan" / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert summary["error"]["type"] == "UserError"


def test_an_unknown_monitor_is_refused_before_training(run: Run) -> None:
    text = error_of(run, "data=digits", "monitor=val/accuracy")
    assert text.endswith("did you mean val/acc?")


def test_a_folder_that_holds_a_run_is_not_used_again(run: Run, tmp_path: Path) -> None:
    run("model=xor", *FAST, folder=tmp_path / "taken")
    before = (tmp_path / "taken" / "summary.json").read_bytes()
    assert "already holds a run" in error_of(run, "model=xor", *FAST, folder=tmp_path / "taken")
    assert (tmp_path / "taken" / "summary.json").read_bytes() == before


def test_a_mistake_in_the_config_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    assert "optimizer.lr=-1" in error_of(run, "optimizer.lr=-1", folder=tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_a_run_that_cannot_write_says_where(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = error_of(run, "model=xor", *FAST, folder=tmp_path / "file" / "run")
    assert text == f"the run folder {tmp_path / 'file' / 'run'} cannot be written to: Not a directory"


def test_a_run_that_failed_before_it_began_leaves_its_folder_free(run: Run, csv_file: Path, tmp_path: Path) -> None:
    overrides = ["model=linear_regression", "data=csv", f"data.path={csv_file}", *FAST]
    assert "has no such column" in error_of(run, *overrides, "data.target=prize", folder=tmp_path / "again")
    done = run(*overrides, "data.target=price", folder=tmp_path / "again")
    assert done.summary["status"] == "completed"


@pytest.mark.parametrize("limit", ["trainer.max_steps=5", "trainer.check_val_every_n_epoch=5", "trainer.max_epochs=1"])
def test_training_may_end_before_the_first_validation(limit: str, run: Run) -> None:
    done = run("data=digits", "trainer.max_epochs=2", limit)
    assert math.isfinite(done.score)
    assert done.summary["metrics"].keys() == {"test/loss", "test/acc"}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (
            "trainer.limit_val_batches=0",
            "trainer.limit_val_batches=0: monitor=val/loss is never measured; monitor=null takes the last",
        ),
        ("trainer.max_epochs=-1", "the scheduler is as long as the run"),
    ],
)
def test_a_limit_that_leaves_nothing_is_told(limit: str, expected: str, run: Run) -> None:
    assert expected in error_of(run, "data=digits", limit)


def test_a_monitor_is_not_optimised_the_wrong_way(run: Run) -> None:
    text = error_of(run, "data=digits", "monitor=val/acc")
    assert text == "mode=min: for monitor=val/acc the best is the maximum; set mode=max"
    assert run("data=digits", "monitor=val/acc", "mode=max", "trainer.max_epochs=1").score > 0.8


def test_the_profiler_leaves_its_table(run: Run) -> None:
    done = run("model=xor", "debug=profiler")
    assert "optimizer_step" in (done.folder / "fit-profile.txt").read_text()


def test_callbacks_can_be_added_from_the_command_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noting.py").write_text(
        "from lightning.pytorch.callbacks import Callback\n"
        "class Noting(Callback):\n"
        "    def on_train_epoch_end(self, trainer, pl_module):\n"
        "        pl_module.log('noted', trainer.current_epoch / 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    stopping = "+callbacks.stop={_target_:lightning.pytorch.callbacks.EarlyStopping,monitor:val/loss,patience:1}"
    noting = "+callbacks.noting={_target_:noting.Noting}"
    done = run("data=digits", "trainer.max_epochs=50", "optimizer.lr=0.02", stopping, noting)
    epochs = done.summary["epochs"]
    assert epochs < 50
    assert pd.read_csv(done.folder / "metrics.csv")["noted"].tolist() == [epoch / 2 for epoch in range(epochs)]


def test_speed_counts_every_row_trained_on(run: Run) -> None:
    summary = run("model=xor", "trainer.max_epochs=2").summary
    assert summary["samples_per_second"] == pytest.approx(4 * 100 * 2 / summary["seconds"]["fit"], rel=0.01)


def test_a_bug_in_a_model_keeps_its_traceback(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buggy.py").write_text(
        "from kindling.models.base import SupervisedModule\n"
        "class Buggy(SupervisedModule):\n"
        "    tasks = ('regression',)\n"
        "    def __init__(self, in_features, out_features, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "        self.net = in_features + 'x'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    overrides = [
        "model=linear_regression",
        "model._target_=buggy.Buggy",
    ]
    with pytest.raises(TypeError, match="unsupported operand"):
        run(*overrides, folder=tmp_path / "bug")
    assert json.loads((tmp_path / "bug" / "summary.json").read_text())["error"]["type"] == "TypeError"


def test_an_accelerator_that_is_not_there_is_told_with_what_is(cli: Cli, tmp_path: Path) -> None:
    done = cli("trainer.accelerator=tpu", "model=xor")
    assert done.returncode == 1
    assert done.stderr.startswith("error: trainer.accelerator=tpu: there is none on this machine; available: cpu")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_pair_that_makes_no_sense_is_refused_with_what_would_fit(cli: Cli, tmp_path: Path) -> None:
    done = cli("model=xor", "data=mnist")
    assert done.returncode == 1
    assert done.stderr == (
        "error: model=xor does not go with data=mnist: the model is made for binary, the data are multiclass; "
        "fitting data: csv, image_folder, xor; fitting model: mlp\n"
    )
    assert not (tmp_path / "run").exists()


def test_the_command_line_prints_no_noise(cli: Cli, tmp_path: Path) -> None:
    done = cli("model=xor", "trainer.max_epochs=2", "trainer=cpu")
    assert done.returncode == 0
    assert done.stderr == ""
    headline, place, outlook, scores, *epochs, remark, result, length, folder, evaluate, go_on = (
        done.stdout.splitlines()
    )
    assert headline == "xor on xor (in memory: 4 / 4 / 4, the same rows), 17 parameters, cpu"
    assert place == f"in {tmp_path / 'run'}"
    assert outlook == "lr 0.004 to 0.1 to 0, one_cycle; 1 epoch = 100 passes"
    assert scores.split() == ["val/loss", "train/loss", "val/acc", "train/acc"]
    assert [line.split("  ")[0] for line in epochs] == ["epoch 0", "epoch 1"]
    assert remark == "tested on the same rows as it was trained on:"
    assert result.startswith("test/acc ")
    assert re.fullmatch(r"2 epochs, 200 steps in [\d.]+ s, [\d,]+ samples a second", length)
    assert folder == f"files:    {tmp_path / 'run'}"
    assert evaluate == f"evaluate: python scripts/evaluate.py {tmp_path / 'run'}"
    assert go_on == f"train on: python train.py resume={tmp_path / 'run'} trainer.max_epochs=4"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so(sent: signal.Signals, code: int, start: Start, tmp_path: Path) -> None:
    process = start("data=digits", "trainer.max_epochs=10000", f"hydra.run.dir={tmp_path / 'run'}")
    assert process.until("epoch 0").kill(sent).code == code
    assert process.text.endswith(f"saved; to go on:\n  python train.py resume={tmp_path / 'run'}\n")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert summary["error"]["type"] == sent.name
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_two_runs_started_at_once_do_not_share_a_folder(start: Start, tmp_path: Path) -> None:
    command = ["model=xor", *FAST, f"hydra.run.dir={tmp_path}/${{now:%Y-%m-%d_%H}}-${{unique:}}"]
    processes = [start(*command) for _ in range(2)]
    assert [process.wait().code for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("*/summary.json"))) == 2


def test_two_processes_learn_what_one_does(cli: Cli, run: Run, tmp_path: Path) -> None:
    """The same rows in every step, all on one process or half on each of two; only the order of the sums differs."""
    overrides = ["model=linear_regression", "data=linear", "trainer.max_epochs=3"]
    one = run(*overrides, "trainer=cpu")
    done = cli(*overrides, "trainer=ddp_cpu", OMP_NUM_THREADS="1")
    two = Finished(tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("linear_regression on linear") == 1
    torch.testing.assert_close(weights(one), weights(two), atol=1e-5, rtol=1e-5)
    assert two.summary["num_devices"] == 2
    assert two.summary["metrics"]["test/mae"] == pytest.approx(one.summary["metrics"]["test/mae"], rel=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains(run: Run) -> None:
    done = run("data=digits", "trainer=gpu", "trainer.max_epochs=2")
    assert done.summary["device"] == torch.cuda.get_device_name()
    assert done.summary["metrics"]["test/acc"] > 0.8
