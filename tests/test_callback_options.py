"""The options of the group `callbacks`: what each does to a run, of a model of Kindling's and of a plain one."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, open_dict
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from conftest import Finished, choices, compose_config
from kindling import compose, train
from kindling.config.asked import take_asked
from kindling.config.overrides import parse
from kindling.errors import UserError
from kindling.running.build import build
from test_callbacks import agrees
from test_steps import chosen

DIGITS = ["model=mlp", "data=digits", "trainer=cpu", "~callbacks.figures"]
ROUGH = [*DIGITS, "trainer.max_epochs=4", "scheduler=constant", "optimizer.lr=0.03", "seed=1"]
PLAIN = [
    *DIGITS,
    "trainer.max_epochs=4",
    "seed=1",
    "monitor=val_loss",
]  # the model of this file in the place of the other
LEARNERS = pytest.mark.parametrize("learner", [ROUGH, PLAIN], ids=["mlp", "plain"])


class Plain(L.LightningModule):
    """Logs a metric whose name tells nothing of what is best of it."""

    def __init__(self, head_alone: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 10)
        self.val_hits = MulticlassAccuracy(10)
        self.head_alone = head_alone

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.head(self.body(x)), y)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        logits = self.head(self.body(x))
        self.val_hits(logits, y)
        self.log("val_loss", nn.functional.cross_entropy(logits, y))
        self.log("val/hits", self.val_hits)
        self.log("val_odd", 0.5)

    def configure_optimizers(self) -> Any:
        part = self.head if self.head_alone else self
        parameters = [parameter for parameter in part.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Watching(Callback):
    """Notes what the model holds at the start and at the end of each epoch."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.states:
            self.on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.states.append({name: value.clone() for name, value in pl_module.state_dict().items()})


def config(learner: list[str], *overrides: str, folder: Path | str = "unused", **model: Any) -> DictConfig:
    cfg = compose([*learner, *overrides, f"run_dir={folder}"])
    if learner is PLAIN:
        with open_dict(cfg):
            cfg.model = {"_target_": f"{__name__}.Plain", **model}
            cfg.allowed_packages = [__name__]
    return cfg


def trained(
    folder: Path, learner: list[str], *overrides: str, callbacks: Sequence[Callback] = (), **model: Any
) -> Finished:
    return Finished(folder, train(config(learner, *overrides, folder=folder, **model), callbacks=callbacks).score)


def refused(folder: Path, learner: list[str], *overrides: str, **model: Any) -> str:
    with pytest.raises(UserError) as error:
        trained(folder, learner, *overrides, **model)
    return str(error.value)


def table(done: Finished) -> pd.DataFrame:
    return pd.read_csv(done.folder / "metrics.csv")


def state_of(done: Finished, name: str = "last") -> dict[str, Tensor]:
    return torch.load(done.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


# Several at once, and fewer


def test_every_option_brings_the_default_ones_along() -> None:
    default = compose_config("model=xor").callbacks
    one = compose_config("model=xor", "callbacks=early_stopping").callbacks
    assert one.keys() == {*default, "early_stopping"}
    options = [option for option in choices("callbacks") if option != "default"]
    every = [f"callbacks=[default,{','.join(options)}]", "callbacks.freeze.modules=net"]
    several = compose_config("model=xor", *every, "~callbacks.figures", "callbacks.best=null").callbacks
    assert several.keys() == {*default, *options} - {"figures"}
    assert several.best is None
    assert several.last.keys() == default.last.keys()


def test_a_second_checkpoint_lies_beside_the_first(tmp_path: Path) -> None:
    third = "+callbacks.third={_target_:lightning.pytorch.callbacks.ModelCheckpoint,monitor:val/acc,mode:auto}"
    more = ["callbacks=[early_stopping,ema]", "callbacks.best.save_top_k=3"]
    more += ["callbacks.best.filename={epoch:02d}-{val/loss:.3f}", "+callbacks.third.filename=acc-{val/acc:.2f}"]
    done = trained(tmp_path, ROUGH, third, "+callbacks.third.dirpath=${run_dir}/checkpoints", *more)
    names = sorted(path.stem for path in (done.folder / "checkpoints").iterdir())
    assert len([name for name in names if re.fullmatch(r"epoch=0\d-val_loss=\d\.\d{3}", name)]) == 3
    accuracy = table(done)["val/acc"].max()
    assert [name for name in names if name.startswith("acc")] == [f"acc-val_acc={accuracy:.2f}"]
    assert {"best", "last"} <= set(names)
    assert len(names) == 6
    agrees(done)


@pytest.mark.parametrize("filename", ["{epoch}", "{epoch:02d}-{step}", "{val/loss}", "a-{val/loss:.3f}-{val/acc:.2f}"])
def test_places_in_the_names_of_files_need_no_quotes(filename: str) -> None:
    for text in (filename, f"'{filename}'"):
        (override,) = parse([f"callbacks.best.filename={text}"], [])
        assert override.value() == filename


# When a run ends


@pytest.mark.parametrize(
    ("learner", "monitor", "mode"),
    [
        (ROUGH, "val/acc", "max"),
        ([*ROUGH, "monitor=val/acc", "mode=max"], "${monitor}", "max"),
        (["model=linear_regression"], "val/mae", "min"),
        (PLAIN, "val/hits", "max"),
        (PLAIN, "val_psnr", "max"),
        (PLAIN, "val_fid", "min"),
    ],
)
def test_the_mode_of_early_stopping_is_that_of_its_score(learner: list[str], monitor: str, mode: str) -> None:
    cfg = config(learner, "callbacks=early_stopping", f"callbacks.early_stopping.monitor={monitor}")
    take_asked(cfg)
    assert build(cfg).chosen["early_stopping"].mode == mode


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["monitor=val_odd"], "mode=auto: nothing tells what is best of val_odd; set it to min or max"),
        (["monitor=${monitor}"], "monitor=null: leaves it nothing to watch; name a score that is logged"),
        (
            ["monitor=val/hits", "mode=min"],
            "mode=min: for callbacks.early_stopping.monitor=val/hits the best is the max",
        ),
        (["mode=most"], "mode=most: `mode` can be min, max, got most"),
    ],
)
def test_what_early_stopping_cannot_watch_is_told(settings: list[str], told: str, tmp_path: Path) -> None:
    overrides = [f"callbacks.early_stopping.{setting}" for setting in settings]
    overrides += ["monitor=null"] if "monitor=null" in told else []
    assert f"callbacks.early_stopping.{told}" in refused(tmp_path, PLAIN, "callbacks=early_stopping", *overrides)


@LEARNERS
def test_a_run_that_stopped_early_has_the_score_of_its_best_epoch(learner: list[str], tmp_path: Path) -> None:
    score = "val/hits" if learner is PLAIN else "val/acc"
    stop = ["callbacks=early_stopping", f"callbacks.early_stopping.monitor={score}"]
    done = trained(tmp_path, learner, *stop, "callbacks.early_stopping.patience=1", "trainer.max_epochs=40")
    rows = table(done)
    assert len(rows) == done.summary["epochs"] < 40
    told = f"{score} was not better than {rows[score].max():.4g} in 1 check (callbacks.early_stopping)"
    assert done.summary["ended"] == {"early": True, "reason": told}
    assert done.score == pytest.approx(rows[done.summary["monitor"]["name"]].min())


# Averages


class Weights(Callback):
    """Those after each step, and those at the start of each epoch."""

    def __init__(self) -> None:
        self.of_steps: list[dict[str, Tensor]] = []
        self.of_epochs: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        self.of_steps.append({name: value.detach().clone() for name, value in pl_module.named_parameters()})

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.of_epochs.append({name: value.detach().clone() for name, value in pl_module.named_parameters()})


@LEARNERS
def test_ema_is_what_is_validated_and_saved(learner: list[str], tmp_path: Path) -> None:
    weights = Weights()
    done = trained(tmp_path, learner, "callbacks=ema", "callbacks.ema.decay=0.8", callbacks=[weights])
    average, *others = weights.of_steps
    for step in others:
        average = {name: value.lerp(step[name], 0.2) for name, value in average.items()}
    last = state_of(done)
    torch.testing.assert_close({name: last[name] for name in average}, average, rtol=1e-4, atol=1e-6)
    if learner is not PLAIN:
        agrees(done)


@pytest.mark.parametrize("learner", [ROUGH, [*ROUGH, "model.normalization=batch"], PLAIN], ids=["mlp", "norm", "plain"])
def test_swa_ends_with_the_mean_of_the_last_epochs(learner: list[str], tmp_path: Path) -> None:
    """Of a model with BatchNorm, one epoch more measures its statistics with these weights."""
    swa = ["callbacks=swa", "callbacks.swa.swa_epoch_start=0.5", "monitor=null", "callbacks.best=null"]
    weights = Weights()
    weights.on_train_batch_end = Callback.on_train_batch_end.__get__(weights)  # type: ignore[method-assign]
    done = trained(tmp_path, learner, *swa, callbacks=[weights])
    taken = weights.of_epochs[1:4]
    mean = {name: sum(state[name] for state in taken) / 3 for name in taken[0]}
    saved = state_of(done, "best")
    torch.testing.assert_close({name: saved[name] for name in mean}, mean, rtol=1e-4, atol=1e-6)
    assert done.summary["epochs"] == 4 + any("running_mean" in name for name in saved)


# What is measured


@LEARNERS
def test_the_norm_of_the_gradients_is_that_before_clipping(learner: list[str], tmp_path: Path) -> None:
    norms = list[float]()

    class Norms(Callback):
        def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            norms.append(float(torch.cat(gradients).norm()))

    clip = ["callbacks=grad_norm", "+trainer.gradient_clip_val=0.01", "trainer.max_epochs=2"]
    rows = table(trained(tmp_path, learner, *clip, callbacks=[Norms()]))
    epochs = torch.tensor(norms).chunk(2)
    assert rows["grad_norm"].tolist() == pytest.approx([float(norm.mean()) for norm in epochs], rel=1e-4)
    assert rows["grad_norm_max"].tolist() == pytest.approx([float(norm.max()) for norm in epochs], rel=1e-4)


@pytest.mark.parametrize("more", [[], ["population=2"], None], ids=["mlp", "population", "plain"])
def test_learning_rates_and_speed_are_columns(more: list[str] | None, tmp_path: Path) -> None:
    learner = PLAIN if more is None else [*DIGITS, *more]
    done = trained(tmp_path, learner, "callbacks=[lr_monitor,throughput]", "trainer.max_epochs=2")
    rows = table(done)
    first = 0.02 if more is None else 0.004
    assert rows["lr-AdamW"][0] == pytest.approx(first / 25)
    assert rows["lr-AdamW"][1] > rows["lr-AdamW"][0]
    seconds = (1439 * done.summary["population"] / rows["samples_per_second"]).sum()
    assert 0 < seconds < done.summary["seconds"]["fit"]


def test_the_layers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    freeze = ["callbacks=[model_summary,freeze]", "callbacks.freeze.modules=net.1"]
    trained(tmp_path, DIGITS, *freeze, "trainer.max_epochs=1")
    told = capsys.readouterr().out
    assert re.search(r"net\.4 +Linear +2,570", told)
    assert "19,210 parameters, 2,570 of them learn" in told
    assert "Accuracy" not in told  # a metric is no layer


@pytest.mark.parametrize(
    ("overrides", "at_once"),
    [
        (["callbacks=[early_stopping,lr_monitor,throughput,model_summary,swa]"], 32),
        (["callbacks=freeze", "callbacks.freeze.modules=net.1"], 32),
        (["callbacks=swa", "model.normalization=batch"], 1),
        (["callbacks=lr_monitor", "callbacks.lr_monitor.logging_interval=step"], 1),
        (["callbacks=ema"], 1),
        (["callbacks=grad_norm"], 1),
    ],
)
def test_what_acts_once_an_epoch_leaves_steps_as_fast_as_they_are(overrides: list[str], at_once: int) -> None:
    assert chosen(*overrides) == at_once


# A part that learns later


@pytest.mark.parametrize(
    ("learner", "part", "held", "moves"),
    [
        (
            [*DIGITS, "model.normalization=batch", "optimizer.weight_decay=0.1"],
            "net.2",
            ["net.2.weight", "net.2.bias", "net.2.running_mean", "net.2.running_var"],
            "net.1.weight",
        ),
        ([*DIGITS, "optimizer=momentum"], "net.1", ["net.1.weight", "net.1.bias"], "net.4.weight"),
        ([*DIGITS, "optimizer=adam", "steps_per_call=1"], "'*.bias'", ["net.1.bias", "net.4.bias"], "net.1.weight"),
        (PLAIN, "[body,head.bias]", ["body.1.weight", "body.2.running_mean", "head.bias"], "head.weight"),
    ],
    ids=["batchnorm", "momentum", "one step a call", "plain"],
)
def test_a_frozen_part_does_not_move_until_its_epoch(
    learner: list[str], part: str, held: list[str], moves: str, tmp_path: Path
) -> None:
    freeze = ["callbacks=freeze", f"callbacks.freeze.modules={part}", "callbacks.freeze.until_epoch=2"]
    watching = Watching()
    trained(tmp_path, learner, *freeze, "trainer.max_epochs=4", callbacks=[watching])
    start, first, second, third, fourth = watching.states
    for name in held:
        assert torch.equal(first[name], start[name])
        assert torch.equal(second[name], start[name])
        assert not torch.equal(third[name], start[name])
        assert not torch.equal(fourth[name], third[name])
    assert not torch.equal(first[moves], start[moves])


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ("net.11", "net.11: the model has no such part; did you mean net.1? (it has task, loss, train_metrics"),
        ("nett", "nett: the model has no such part; did you mean net? (it has task, loss, train_metrics"),
        ("net.2", "net.2: has no parameters (it has"),
        ("[net.1,backbone.*]", "backbone.*: the model has no such part (it has task"),
        ("net", "net: leaves nothing that learns"),
    ],
)
def test_a_part_that_is_not_there_is_refused(modules: str, told: str, tmp_path: Path) -> None:
    text = refused(tmp_path, DIGITS, "callbacks=freeze", f"callbacks.freeze.modules={modules}")
    assert text.startswith(f"callbacks.freeze.modules={told}")


def test_what_no_optimizer_has_cannot_learn_later(tmp_path: Path) -> None:
    freeze = ["callbacks=freeze", "callbacks.freeze.modules=body", "callbacks.freeze.until_epoch=1"]
    text = refused(tmp_path, PLAIN, *freeze, head_alone=True)
    told = (
        "callbacks.freeze.until_epoch=1: would not learn then, since no optimizer has them: body.1.weight, body.1.bias"
    )
    assert text.startswith(told)
    assert "until_epoch=0: should be greater than 0" in refused(
        tmp_path, PLAIN, *freeze, "callbacks.freeze.until_epoch=0"
    )


# Gone on with


class Stop(Callback):
    """By an error, within an epoch where it is told to look at steps; else when its validation begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("stopped")


class StopWithin(Callback):
    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.global_step == 115:
            raise RuntimeError("stopped")


@pytest.mark.parametrize(
    ("learner", "callbacks", "stop"),
    [
        ([*ROUGH, "model.normalization=batch"], "[freeze,early_stopping]", Stop(1)),  # before the part learns
        ([*ROUGH, "model.normalization=batch"], "[freeze,early_stopping]", Stop(3)),
        ([*ROUGH, "scheduler=one_cycle"], "[freeze,ema,early_stopping,grad_norm,lr_monitor]", StopWithin()),
        (PLAIN, "[freeze,ema,early_stopping,grad_norm,lr_monitor]", StopWithin()),
    ],
    ids=["frozen", "thawed", "within an epoch", "plain"],
)
def test_a_run_that_was_stopped_ends_as_if_it_had_not(
    learner: list[str], callbacks: str, stop: Callback, tmp_path: Path
) -> None:
    part, score = ("body", "val/hits") if learner is PLAIN else ("net.1", "val/acc")
    settings = [f"callbacks={callbacks}", f"callbacks.freeze.modules={part}", "callbacks.freeze.until_epoch=2"]
    settings += [f"callbacks.early_stopping.monitor={score}", "callbacks.early_stopping.patience=2"]
    settings += ["trainer.max_epochs=5", "callbacks.last.every_n_steps=7"]
    settings += ["callbacks.ema.decay=0.9"] if "ema" in callbacks else []
    whole = trained(tmp_path / "whole", learner, *settings)
    with pytest.raises(RuntimeError, match="stopped"):
        trained(tmp_path / "part", learner, *settings, callbacks=[stop])
    cfg = config(learner, *settings, folder=tmp_path / "part")
    cfg.resume = str(tmp_path / "part")
    part_of = Finished(tmp_path / "part", train(cfg).score)
    assert (part_of.folder / "metrics.csv").read_text() == (whole.folder / "metrics.csv").read_text()
    first, second = state_of(whole), state_of(part_of)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for key in ("ended", "metrics", "monitor"):
        assert part_of.summary[key] == whole.summary[key]


# Populations


@pytest.mark.parametrize("option", ["ema", "swa", "grad_norm"])
def test_what_takes_a_population_for_one_model_is_refused(option: str, tmp_path: Path) -> None:
    text = refused(tmp_path, ["model=xor", "trainer=cpu", "population=2"], f"callbacks={option}")
    assert re.match(rf"callbacks\.{option}: \w+ takes the members of a population for one model; leave it out", text)


def test_a_member_of_a_population_is_frozen_as_a_run_of_its_own(tmp_path: Path) -> None:
    settings = ["callbacks=[freeze,early_stopping]", "callbacks.freeze.modules=net.0", "callbacks.freeze.until_epoch=2"]
    xor = ["model=xor", "trainer=cpu", "trainer.max_epochs=4", "~callbacks.figures"]
    both = trained(tmp_path / "both", xor, *settings, "population=2")
    one = trained(tmp_path / "one", xor, *settings)
    members = pd.read_csv(both.folder / "members.csv")
    assert members["val/loss"][0] == pytest.approx(one.summary["monitor"]["best"], rel=1e-4)
