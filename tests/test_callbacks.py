"""Callbacks with a say in which weights count, when a run ends, and what is recorded of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import Finished
from kindling import Run
from kindling.errors import UserError
from kindling.folders import read_course

Train = Callable[..., Finished]

QUICK = ["trainer=cpu", "~callbacks.figures"]
DIGITS = ["model=mlp", "data=digits", *QUICK]
ROUGH = [*DIGITS, "trainer.max_epochs=6", "scheduler=constant", "optimizer.lr=0.03", "seed=1"]  # best in epoch 2
LIGHTNING = "_target_=lightning.pytorch.callbacks"
OWN = "_target_=own_callbacks"
SAVE = [f"+callbacks.more.{LIGHTNING}.ModelCheckpoint"]
STOP = [f"+callbacks.stop.{LIGHTNING}.EarlyStopping"]
OTHER = [f"+callbacks.other.{LIGHTNING}.EarlyStopping", "+callbacks.other.monitor=val/loss"]
OTHER += ["+callbacks.other.stopping_threshold=0.2"]
SWA = [f"+callbacks.swa.{LIGHTNING}.StochasticWeightAveraging", "+callbacks.swa.swa_lrs=0.01"]
SWA += ["+callbacks.swa.swa_epoch_start=1"]


def sentence(run: Train, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        run(*overrides)
    return str(error.value)


def agrees(done: Finished) -> None:
    """The summary, its row, the checkpoint, and what is measured of it again, to the digit."""
    summary, opened = done.summary, Run(done.folder)
    monitor = summary["monitor"]
    assert opened.evaluate() == summary["metrics"]
    row = opened.metrics.query("epoch == @monitor['epoch'] and step == @monitor['step']")
    assert row[monitor["name"]].dropna().tolist() == pytest.approx([monitor["best"]], abs=0, rel=1e-12)
    best = torch.load(done.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert (best["epoch"], best["global_step"]) == (monitor["epoch"], monitor["step"])
    assert opened.evaluate("val")[monitor["name"]] == pytest.approx(monitor["best"], rel=1e-5)


# Which checkpoint is the best


@pytest.mark.parametrize(
    "overrides",
    [
        ["callbacks.best.save_top_k=3"],
        ["callbacks.best.save_top_k=-1"],
        ["callbacks.best.filename='{epoch:02d}'"],
        ["callbacks.best.filename='{epoch}-{val/loss:.3f}'", "+callbacks.best.auto_insert_metric_name=false"],
        [*SAVE, "+callbacks.more.monitor=val/loss", "+callbacks.more.save_top_k=2"],
        ["+callbacks.best.save_last=true"],
        ["+callbacks.best.every_n_epochs=2"],
    ],
)
def test_best_ckpt_is_the_best(overrides: list[str], run: Train) -> None:
    done = run(*ROUGH, *overrides)
    agrees(done)
    if "+callbacks.best.every_n_epochs=2" not in overrides:
        assert done.summary["monitor"]["epoch"] == 2
        assert round(done.summary["monitor"]["best"], 3) == 0.136


def test_checkpoints_elsewhere_leave_the_best_here(run: Train, tmp_path: Path) -> None:
    done = run(*ROUGH, f"callbacks.best.dirpath={tmp_path / 'elsewhere'}")
    assert (tmp_path / "elsewhere" / "best.ckpt").exists()
    agrees(done)


def test_what_a_killed_run_has_not_called_the_best_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in ("last", "epoch=1", "epoch=2"):
        (tmp_path / "checkpoints" / f"{name}.ckpt").touch()
    with pytest.raises(UserError, match=r"has no checkpoints/best.ckpt; name one of epoch=1.ckpt, epoch=2.ckpt"):
        Run(tmp_path).checkpoint  # noqa: B018


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["+callbacks.best.every_n_train_steps=10"], "callbacks.best.every_n_train_steps=10: the weights would not be"),
        (
            ["+callbacks.best.save_on_train_epoch_end=true", "trainer.check_val_every_n_epoch=2"],
            "callbacks.best.save_on_train_epoch_end=true: the weights would not be those that val/loss",
        ),
        (["+callbacks.best.save_weights_only=true"], "callbacks.best.save_weights_only=true: what a run is opened"),
        (["callbacks.best.monitor=val/acc", "callbacks.best.mode=max"], "best.ckpt is the best by monitor=val/loss"),
        (["callbacks.best.save_top_k=0"], "callbacks.best.save_top_k=0: saves nothing; callbacks.best=null"),
        (["callbacks.last.filename=best"], "callbacks.last saves to the same file"),
        (["callbacks.best.monitor=null"], "callbacks.best.monitor=null: best.ckpt is the best by monitor=val/loss"),
        (["callbacks.best=5"], "callbacks.best=5: should be a section with a _target_, or null"),
        (["scheduler=plateau", "monitor=null"], "monitor=null: leaves the scheduler nothing to watch"),
        (["callbacks.best.filename={val/los:.2f}"], "val/los is not measured, only train/acc, train/loss, val/acc"),
        ([*SAVE, "+callbacks.more.filename=best"], "callbacks.best saves to the same file"),
        (["callbacks.best.filename=../../evil"], "callbacks.best.filename=../../evil: leads out of its folder"),
        (["callbacks=[swa,ema]"], "callbacks.swa: its average would be lost to that of callbacks.ema"),
        (
            ["callbacks=swa", "callbacks.swa.swa_epoch_start=3", "trainer.max_epochs=3"],
            "callbacks.swa.swa_epoch_start=3: the run has trainer.max_epochs=3; begin earlier",
        ),
        (["population=2", "callbacks.best.save_top_k=2"], "of a population the best member alone is kept"),
        (["population=2", "callbacks.best.filename={epoch}"], "the best member alone is kept, under one name"),
        ([f"+callbacks.find.{LIGHTNING}.LearningRateFinder"], "callbacks.find: a LearningRateFinder would change"),
        ([f"+callbacks.find.{LIGHTNING}.BatchSizeFinder"], "callbacks.find: a BatchSizeFinder would change"),
    ],
)
def test_what_would_save_other_weights_is_refused(overrides: list[str], told: str, run: Train) -> None:
    assert told in sentence(run, *DIGITS, *overrides)


# One set of weights


@pytest.mark.filterwarnings("ignore:SWA is currently only supported every epoch")  # it swaps the schedule for its own
@pytest.mark.parametrize(
    "overrides",
    [
        [f"+callbacks.ema.{LIGHTNING}.EMAWeightAveraging", "+callbacks.ema.decay=0.9"],
        [f"+callbacks.ema.{LIGHTNING}.EMAWeightAveraging", *STOP, "+callbacks.stop.monitor=val/loss"],
        SWA,
        [f"+callbacks.own.{OWN}.Average"],
        [f"+callbacks.own.{OWN}.Average", *STOP, "+callbacks.stop.monitor=val/loss", "+callbacks.stop.patience=1"],
        [f"+callbacks.own.{OWN}.Halved"],
    ],
)
def test_run_and_evaluate_agree_whatever_changes_weights(overrides: list[str], run: Train) -> None:
    agrees(run(*ROUGH, "allowed_packages=[own_callbacks]", *overrides))


def test_weights_that_were_validated_and_are_not_saved_are_told(run: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run(*ROUGH, f"+callbacks.own.{OWN}.Average", "+callbacks.own.saves=false", "allowed_packages=[own_callbacks]")
    assert capsys.readouterr().out.count("the score of best.ckpt is not that of its weights") == 1


def test_without_a_best_checkpoint_the_last_weights_are_measured(run: Train) -> None:
    done = run(*ROUGH, "callbacks.best=null", "trainer.check_val_every_n_epoch=4")
    assert done.summary["monitor"]["step"] == done.summary["steps"] == 270
    assert Run(done.folder).metrics["epoch"].tolist() == [0, 1, 2, 3, 4, 5]
    assert Run(done.folder).evaluate() == done.summary["metrics"]
    assert Run(done.folder).metrics["val/loss"].iloc[-1] == pytest.approx(done.summary["monitor"]["best"])


# Scores that are watched


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            [*STOP, "+callbacks.stop.monitor=val/acc"],
            "callbacks.stop.mode=min: for callbacks.stop.monitor=val/acc the best is the maximum; "
            "set +callbacks.stop.mode=max",
        ),
        (
            [*SAVE, "+callbacks.more.monitor=val/acc", "+callbacks.more.mode=min"],
            "callbacks.more.mode=min: for callbacks.more.monitor=val/acc the best is the maximum; "
            "set callbacks.more.mode=max",
        ),
        (
            [*STOP, "+callbacks.stop.monitor=val_loss"],
            "callbacks.stop.monitor=val_loss: kindling.models.mlp.MLP measures no such thing, only train/acc, "
            "train/loss, val/acc, val/loss; did you mean val/loss?",
        ),
        (
            [*STOP, "+callbacks.stop.monitor=val/acc", "+callbacks.stop.mode=max", "trainer.limit_val_batches=0"],
            "trainer.limit_val_batches=0: callbacks.stop.monitor=val/acc is never measured; leave it out",
        ),
    ],
)
def test_every_monitor_is_held_against_what_is_logged(overrides: list[str], told: str, run: Train) -> None:
    assert told in sentence(run, *DIGITS, *overrides)


def test_why_a_run_ended_is_said(run: Train, capsys: pytest.CaptureFixture[str]) -> None:
    stop = [*STOP, "+callbacks.stop.monitor=val/loss", "+callbacks.stop.patience=2"]
    early = run(*ROUGH, *stop)
    assert early.summary["ended"] == {
        "early": True,
        "reason": "val/loss was not better than 0.136 in 2 checks (callbacks.stop)",
    }
    assert "ended early: val/loss was not better than 0.136 in 2 checks (callbacks.stop)" in capsys.readouterr().out
    threshold = run(*ROUGH, *STOP, "+callbacks.stop.monitor=val/loss", "+callbacks.stop.stopping_threshold=0.3")
    assert threshold.summary["ended"]["reason"] == "val/loss has reached 0.3 (callbacks.stop)"
    late = run(*DIGITS, "trainer.max_epochs=2")
    assert late.summary["ended"] == {"early": False, "reason": "max_epochs=2 is reached"}
    steps = run(*DIGITS, "trainer.max_steps=7")
    assert steps.summary["ended"] == {"early": False, "reason": "max_steps=7 is reached"}
    time = run(*DIGITS, "trainer.max_epochs=900", "trainer.max_time='00:00:00:01'")
    assert time.summary["ended"] == {"early": True, "reason": "its time is over (max_time)"}


# Settings that a checkpoint overrules


def test_a_resumed_run_takes_a_new_patience(run: Train) -> None:
    stop = [*STOP, "+callbacks.stop.monitor=val/loss", "+callbacks.stop.patience=1"]
    stopped = run(*ROUGH, *stop)
    assert stopped.summary["epochs"] == 4
    again = run(f"resume={stopped.folder}", folder=stopped.folder)
    assert again.summary["epochs"] == 4
    longer = run("callbacks.stop.patience=3", f"resume={stopped.folder}", folder=stopped.folder)
    assert longer.summary["epochs"] == 6
    assert "in 3 checks" in longer.summary["ended"]["reason"]


def test_a_stopped_run_that_was_moved_stays_as_it_is(run: Train, tmp_path: Path) -> None:
    stop = [*STOP, "+callbacks.stop.monitor=val/loss", "+callbacks.stop.stopping_threshold=0.3"]
    stopped = run(*ROUGH, *stop)
    before = stopped.summary["metrics"]
    assert stopped.summary["epochs"] == 1
    moved = stopped.folder.rename(tmp_path / "elsewhere")
    again = run(f"resume={moved}", "callbacks.last.every_n_epochs=2", folder=moved)
    assert (again.summary["epochs"], again.summary["metrics"]) == (1, before)
    further = run(f"resume={moved}", "callbacks.stop.stopping_threshold=0.2", folder=moved)
    assert further.summary["epochs"] == 2


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.lr=0.01", "optimizer.lr=0.01: a run that goes on keeps what it has, 0.03; init_from="),
        ("seed=7", "seed=7: a run that goes on keeps what it has, 1; init_from="),
        ("model.dropout=0.5", "model.dropout=0.5: a run that goes on keeps what it has, 0.1; init_from="),
        ("monitor=train/loss", "monitor=train/loss: a run that goes on keeps what it has, val/loss; init_from="),
        ("callbacks.best.save_top_k=2", "callbacks.best.save_top_k=2: the callback goes on with 1"),
        ("trainer.max_steps=9", "trainer.max_steps=9: the run has done 45 steps, and can only go on"),
    ],
)
def test_what_the_checkpoint_overrules_is_refused(override: str, told: str, run: Train) -> None:
    done = run(*ROUGH, "trainer.max_epochs=1")
    before = (done.folder / "config.yaml").read_text()
    with pytest.raises(UserError) as error:
        run("trainer.max_epochs=2", override, f"resume={done.folder}", folder=done.folder)
    assert told in str(error.value)
    if not override.startswith("callbacks"):
        assert (done.folder / "config.yaml").read_text() == before


# The record


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: nothing would be trained"),
        (["trainer.max_steps=0"], "trainer.max_steps=0: nothing would be trained"),
        (["trainer.limit_train_batches=0"], "trainer.limit_train_batches=0: nothing would be trained"),
        (["trainer.limit_train_batches=0.0"], "trainer.limit_train_batches=0: nothing would be trained"),
        (["trainer.check_val_every_n_epoch=0"], "trainer.check_val_every_n_epoch=0: should be more"),
        (["trainer.max_epochs=2", "trainer.min_epochs=5"], "trainer.min_epochs=5: is more than trainer.max_epochs=2"),
        (["trainer.val_check_interval=1000"], "`val_check_interval` (1000) must be less than or equal"),
        (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0: should be at least 1"),
        (["trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val=-1: should be at least 0"),
        (["trainer.gradient_clip_algorithm=value"], "=value: would do nothing without trainer.gradient_clip_val"),
        (["trainer.val_check_interval=0"], "trainer.val_check_interval=0: should be more"),
        (
            ["trainer.limit_val_batches=0"],
            "trainer.limit_val_batches=0: monitor=val/loss is never measured; monitor=null",
        ),
        (["trainer.limit_val_batches=0.001"], "You requested to check 0.001 of the `val_dataloader`"),
    ],
)
def test_limits_that_leave_nothing_are_refused(overrides: list[str], told: str, run: Train) -> None:
    assert told in sentence(run, *DIGITS, *overrides)


def test_a_split_that_is_switched_off_is_absent(run: Train) -> None:
    without_test = run(*DIGITS, "trainer.max_epochs=1", "trainer.limit_test_batches=0")
    assert without_test.summary["metrics"] == {}
    for monitor in ("null", "train/loss"):
        done = run(*DIGITS, "trainer.max_epochs=2", "trainer.limit_val_batches=0", f"monitor={monitor}")
        assert list(Run(done.folder).metrics) == ["epoch", "step", "lr", "train/acc", "train/loss"]


@pytest.mark.parametrize(
    "overrides",
    [["trainer.val_check_interval=0.25"], ["trainer.val_check_interval=5"], ["trainer.check_val_every_n_epoch=2"]],
)
def test_the_best_value_its_epoch_and_its_row_agree(overrides: list[str], run: Train) -> None:
    agrees(run(*ROUGH, *overrides))


def test_epochs_that_were_not_validated_are_printed_without_it(run: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run(*DIGITS, "trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2", "scheduler=plateau")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(lines) == 5
    assert [len(line.split()) - 2 for line in lines] == [2, 4, 2, 4, 2]  # of training alone; of both


@pytest.mark.parametrize("torn", ["0,2", "xx,2\n", "3,4,0.5", "3,4,0.5,\n", "3,4,word\n", "\0\0\n"])
def test_rows_that_are_incomplete_are_dropped(torn: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,fid\n0,1,0.25\n" + torn)
    assert read_course(tmp_path) == "epoch,step,fid\n0,1,0.25\n"
    pd.testing.assert_frame_equal(Run(tmp_path).metrics, pd.DataFrame({"epoch": [0], "step": [1], "fid": [0.25]}))


def test_a_torn_row_does_not_stay_when_a_run_goes_on(run: Train) -> None:
    done = run(*DIGITS, "trainer.max_epochs=2")
    rows = (done.folder / "metrics.csv").read_text()
    (done.folder / "metrics.csv").write_text(rows + "2,9")
    longer = run("trainer.max_epochs=3", f"resume={done.folder}", folder=done.folder)
    assert (longer.folder / "metrics.csv").read_text().startswith(rows)
    assert Run(longer.folder).metrics["epoch"].tolist() == [0, 1, 2]


# Lightning's own callbacks


@pytest.mark.parametrize(
    "overrides",
    [
        ["callbacks.best=null"],
        ["callbacks.last=null"],
        [*STOP, "+callbacks.stop.monitor=val/loss", *OTHER],
        [f"+callbacks.lr.{LIGHTNING}.LearningRateMonitor"],
        [f"+callbacks.x.{LIGHTNING}.GradientAccumulationScheduler", "+callbacks.x.scheduling={0:2,1:4}"],
        [f"+callbacks.x.{LIGHTNING}.ModelSummary"],
        [f"+callbacks.x.{LIGHTNING}.Timer", "+callbacks.x.duration='00:01:00:00'"],
    ],
)
def test_lightnings_callbacks_work(overrides: list[str], run: Train) -> None:
    done = run(*DIGITS, "trainer.max_epochs=2", *overrides)
    assert done.summary["status"] == "completed"
    assert Run(done.folder).evaluate() == done.summary["metrics"]
    json.dumps(done.summary)


def test_a_population_that_was_killed_before_its_first_last_checkpoint_begins_again(run: Train) -> None:
    settings = ["model=xor", "population=2", "trainer.max_epochs=2", *QUICK]
    whole, part = run(*settings), run(*settings, "trainer.max_epochs=1")
    (part.folder / "checkpoints" / "last.ckpt").unlink()
    again = run(f"resume={part.folder}", "trainer.max_epochs=2", folder=part.folder)
    assert again.summary["metrics"] == whole.summary["metrics"]
    assert (again.folder / "metrics.csv").read_text() == (whole.folder / "metrics.csv").read_text()


@pytest.mark.filterwarnings("ignore:SWA is currently only supported every epoch")
def test_a_run_that_had_ended_measures_its_average_again_and_adds_no_row(run: Train) -> None:
    done = run(*ROUGH, *SWA)
    rows, summary = (done.folder / "metrics.csv").read_text(), done.summary
    again = run(f"resume={done.folder}", folder=done.folder)
    assert (again.folder / "metrics.csv").read_text() == rows
    assert (again.summary["monitor"], again.summary["metrics"]) == (summary["monitor"], summary["metrics"])
