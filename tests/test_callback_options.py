"""The options of the group `callbacks`: what each does to a run, of a model of Kindling's and of a plain one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from conftest import Finished, choices, compose_config
from kindling import Run, compose, train
from kindling.running.build import build
from test_callbacks import agrees, sentence
from test_steps import chosen

Train = Callable[..., Finished]

DIGITS = ["model=mlp", "data=digits", "trainer=cpu", "~callbacks.figures"]
ROUGH = [*DIGITS, "trainer.max_epochs=4", "scheduler=constant", "optimizer.lr=0.03", "seed=1"]
PLAIN = ["model={_target_:test_callback_options.Plain}", "data=digits", "trainer=cpu", "trainer.max_epochs=3"]
PLAIN += ["~callbacks.figures", "monitor=val_loss", "allowed_packages=[test_callback_options]"]


class Plain(L.LightningModule):
    """Logs a metric whose name tells nothing of what is best of it."""

    def __init__(self, optimize_head_alone: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 10)
        self.val_hits = MulticlassAccuracy(10)
        self.optimize_head_alone = optimize_head_alone

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
        part = self.head if self.optimize_head_alone else self
        parameters = [parameter for parameter in part.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Watching(Callback):
    """Notes the weights at the end of each epoch, and stops the run by an error at a step."""

    def __init__(self, stop_at: int = -1) -> None:
        self.stop_at = stop_at
        self.states: list[dict[str, Tensor]] = []

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.global_step == self.stop_at:
            raise RuntimeError("stopped")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.states.append({name: value.clone() for name, value in pl_module.state_dict().items()})


def table(done: Finished) -> pd.DataFrame:
    return pd.read_csv(done.folder / "metrics.csv")


# Several at once, and fewer


@pytest.mark.parametrize("option", choices("callbacks"))
def test_every_option_brings_the_default_ones_along(option: str) -> None:
    default = compose_config("model=xor").callbacks
    more = compose_config("model=xor", f"callbacks={option}", "++callbacks.freeze.modules=net").callbacks
    assert default.keys() <= more.keys()
    assert all(more[name] == node for name, node in default.items())
    several = f"callbacks=[default,{option},early_stopping]"
    both = compose_config(
        "model=xor", several, "++callbacks.freeze.modules=net", "~callbacks.figures", "callbacks.best=null"
    )
    assert both.callbacks.keys() == (more.keys() | {"early_stopping", "freeze"}) - {"figures"}
    assert both.callbacks.best is None


def test_a_second_checkpoint_lies_beside_the_first(run: Train) -> None:
    third = "+callbacks.third={_target_:lightning.pytorch.callbacks.ModelCheckpoint,monitor:val/acc,mode:auto}"
    more = ["callbacks=[early_stopping,ema]", "callbacks.best.save_top_k=3"]
    more += ["callbacks.best.filename={epoch:02d}-{val/loss:.3f}", "+callbacks.third.filename=acc-{val/acc:.2f}"]
    done = run(*ROUGH, third, "+callbacks.third.dirpath=${run_dir}/checkpoints", *more)
    names = sorted(path.stem for path in (done.folder / "checkpoints").iterdir())
    assert len([name for name in names if re.fullmatch(r"epoch=0\d-val_loss=0\.\d{3}", name)]) == 3
    accuracy = table(done)["val/acc"].max()
    assert [name for name in names if name.startswith("acc")] == [f"acc-val_acc={accuracy:.2f}"]
    assert {"best", "last"} <= set(names)
    assert len(names) == 6
    agrees(done)


@pytest.mark.parametrize("filename", ["{epoch}", "{epoch:02d}-{step}", "{val/loss}", "a-{val/loss:.3f}-{val/acc:.2f}"])
def test_places_in_the_names_of_files_need_no_quotes(filename: str) -> None:
    assert compose_config(f"callbacks.best.filename={filename}").callbacks.best.filename == filename
    assert compose_config(f"callbacks.best.filename='{filename}'").callbacks.best.filename == filename


# When a run ends


@pytest.mark.parametrize(
    ("learner", "monitor", "mode"),
    [
        (DIGITS, "val/loss", "min"),
        (DIGITS, "val/acc", "max"),
        (DIGITS, "train/acc", "max"),
        ([*DIGITS, "monitor=val/acc", "mode=max"], "${monitor}", "max"),
        (["model=linear_regression"], "val/r2", "max"),
        (PLAIN, "val_loss", "min"),
        (PLAIN, "val/hits", "max"),
        (PLAIN, "val_psnr", "max"),
        (PLAIN, "val_fid", "min"),
    ],
)
def test_the_mode_of_early_stopping_is_that_of_its_score(learner: list[str], monitor: str, mode: str) -> None:
    cfg = compose_config(
        *learner, "callbacks=early_stopping", f"callbacks.early_stopping.monitor={monitor}", "run_dir=x"
    )
    assert build(cfg).chosen["early_stopping"].mode == mode


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ["monitor=val_odd"],
            "callbacks.early_stopping.mode=auto: nothing tells what is best of val_odd; set it to min",
        ),
        (["monitor=null"], "callbacks.early_stopping.monitor=null: leaves it nothing to watch; name a score"),
        (["monitor=val/hits", "mode=min"], "callbacks.early_stopping.mode=min: for callbacks.early_stopping.monitor="),
        (["mode=most"], "callbacks.early_stopping.mode=most: `mode` can be min, max, got most"),
        (["monitor=val_los", "mode=min"], "callbacks.early_stopping.monitor=val_los: is not logged"),
    ],
)
def test_what_early_stopping_cannot_watch_is_told(settings: list[str], told: str, run: Train) -> None:
    assert told in sentence(
        run, *PLAIN, "callbacks=early_stopping", *(f"callbacks.early_stopping.{s}" for s in settings)
    )


@pytest.mark.parametrize("learner", [ROUGH, PLAIN], ids=["mlp", "plain"])
def test_early_stopping_ends_a_run_whose_score_stays_that_of_the_best_epoch(learner: list[str], run: Train) -> None:
    score = "val/acc" if learner is ROUGH else "val/hits"
    settings = [f"callbacks.early_stopping.monitor={score}", "callbacks.early_stopping.patience=1"]
    done = run(*learner, "callbacks=early_stopping", *settings, "trainer.max_epochs=40")
    assert done.summary["epochs"] < 40
    best = f"{table(done)[score].max():.4g}"
    assert (
        done.summary["ended"]["reason"] == f"{score} was not better than {best} in 1 check (callbacks.early_stopping)"
    )
    assert done.score == table(done)[done.summary["monitor"]["name"]].min()


# Averages


@pytest.mark.parametrize("learner", [ROUGH, PLAIN], ids=["mlp", "plain"])
def test_ema_is_what_is_validated_and_saved(learner: list[str], run: Train) -> None:
    done = run(*learner, "callbacks=ema", "callbacks.ema.decay=0.8", "callbacks.best.save_top_k=1")
    average, count = dict[str, Tensor](), 0

    class Average(Callback):
        def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
            nonlocal count
            for name, value in pl_module.named_parameters():
                average[name] = value.detach().clone() if not count else average[name].lerp(value.detach(), 0.2)
            count += 1

    train(compose([*learner, f"run_dir={done.folder}_plain"]), callbacks=[Average()])
    assert count == done.summary["steps"]
    last = torch.load(done.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close({name: last[name] for name in average}, average, rtol=1e-4, atol=1e-6)
    score = done.summary["monitor"]["name"]
    assert Run(done.folder).evaluate("val")[score] == pytest.approx(done.summary["monitor"]["best"], rel=1e-5)


@pytest.mark.parametrize(
    ("learner", "epochs"), [(ROUGH, 4), ([*ROUGH, "model.normalization=batch"], 5), (PLAIN, 4)], ids=str
)
def test_swa_ends_with_the_mean_of_the_last_epochs(learner: list[str], epochs: int, run: Train) -> None:
    """With BatchNorm it reads the data once more, in one more epoch, to measure the statistics for these weights."""
    settings = ["callbacks=swa", "callbacks.swa.swa_epoch_start=0.5", "trainer.max_epochs=4", "callbacks.best=null"]
    watching = Watching()
    folder = run(*learner, *settings).folder
    train(compose([*learner, *settings, f"run_dir={folder}_again"]), callbacks=[watching])
    done = Finished(folder)
    assert torch.equal(weights_of(done)["net.1.weight"], weights_of(Finished(Path(f"{folder}_again")))["net.1.weight"])


def weights_of(done: Finished) -> dict[str, Tensor]:
    return torch.load(done.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]


# What is measured


@pytest.mark.parametrize("learner", [ROUGH, PLAIN], ids=["mlp", "plain"])
def test_the_norm_of_the_gradients_is_that_before_clipping(learner: list[str], run: Train) -> None:
    norms = list[float]()

    class Norms(Callback):
        def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            flat = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            norms.append(float(torch.cat(flat).norm()))

    folder = run(*learner, "trainer.max_epochs=1").folder.parent / "clipped"
    settings = ["callbacks=grad_norm", "+trainer.gradient_clip_val=0.01", "trainer.max_epochs=2", f"run_dir={folder}"]
    train(compose([*learner, *settings]), callbacks=[Norms()])
    first, second = torch.tensor(norms).chunk(2)
    rows = table(Finished(folder))
    assert rows["grad_norm"].tolist() == pytest.approx([float(first.mean()), float(second.mean())], rel=1e-4)
    assert rows["grad_norm_max"].tolist() == pytest.approx([float(first.max()), float(second.max())], rel=1e-4)


@pytest.mark.parametrize(
    ("learner", "columns", "first"),
    [
        (DIGITS, ["lr-AdamW"], 0.004 / 25),
        (PLAIN, ["lr-AdamW"], 0.02 / 25),
        ([*DIGITS, "population=2"], ["lr-AdamW"], 0.004 / 25),
    ],
    ids=["mlp", "plain", "population"],
)
def test_learning_rates_and_speed_are_columns(learner: list[str], columns: list[str], first: float, run: Train) -> None:
    done = run(*learner, "callbacks=[lr_monitor,throughput]", "trainer.max_epochs=2")
    rows = table(done)
    assert rows[columns[0]][0] == pytest.approx(first)
    assert rows[columns[0]][1] > rows[columns[0]][0]
    seconds = (1439 * 2 * done.summary["population"] / rows["samples_per_second"]).mean()
    assert 0 < seconds < done.summary["seconds"]["fit"]


def test_the_layers_are_told(run: Train, capsys: pytest.CaptureFixture[str]) -> None:
    one = run(*DIGITS, "trainer.max_epochs=1")
    capsys.readouterr()
    done = run(*DIGITS, "trainer.max_epochs=1", "callbacks=[model_summary,freeze]", "callbacks.freeze.modules=net.1")
    told = capsys.readouterr().out
    assert re.search(r"net\.4 +\| Linear +\| 2\.6 K ", told)
    assert re.search(r"16\.6 K +Non-trainable params", told)
    assert max(map(len, told.splitlines()[:20])) <= 80
    assert "Accuracy" not in told
    assert one.summary["metrics"] != done.summary["metrics"]


@pytest.mark.parametrize(
    ("callbacks", "at_once"),
    [
        ("[default,early_stopping,lr_monitor,throughput,model_summary,swa]", 32),
        ("freeze", 32),
        ("ema", 1),
        ("grad_norm", 1),
    ],
)
def test_what_acts_once_an_epoch_leaves_steps_as_fast_as_they_are(callbacks: str, at_once: int) -> None:
    assert (
        chosen(f"callbacks={callbacks}", "++callbacks.freeze.modules=net.1" if callbacks == "freeze" else "seed=0")
        == at_once
    )


# A part that learns later


@pytest.mark.parametrize(
    ("learner", "part", "other"),
    [
        (["model=mlp", "data=digits", "model.normalization=batch", "optimizer.weight_decay=0.1"], "net.2", "net.1"),
        (["model=mlp", "data=digits", "optimizer=momentum"], "net.1", "net.4"),
        (["model=mlp", "data=digits", "optimizer=adam", "scheduler=cosine", "steps_per_call=1"], "net.1", "net.4"),
        (PLAIN, "body", "head"),
    ],
    ids=["batchnorm", "momentum", "one step a call", "plain"],
)
def test_a_frozen_part_does_not_move_until_its_epoch(learner: list[str], part: str, other: str, tmp_path: Path) -> None:
    settings = ["trainer=cpu", "~callbacks.figures", "trainer.max_epochs=4", f"run_dir={tmp_path}"]
    freeze = ["callbacks=freeze", f"callbacks.freeze.modules={part}", "callbacks.freeze.until_epoch=2"]
    watching, start = Watching(), dict[str, Tensor]()
    watching.on_fit_start = lambda trainer, model: start.update(  # type: ignore[method-assign]
        {name: value.clone() for name, value in model.state_dict().items()}
    )
    train(compose([*learner, *settings, *freeze]), callbacks=[watching])
    held = [name for name in start if name.startswith(f"{part}.")]
    assert held
    for name in held:
        first, second, third, fourth = (state[name] for state in watching.states)
        assert torch.equal(first, start[name])
        assert torch.equal(second, start[name])
        assert not torch.equal(third, start[name])
        assert not torch.equal(fourth, third)
    moving = [f"{other}.weight", *(["net.2.running_mean"] if part == "net.1" and "net.2.running_mean" in start else [])]
    assert all(not torch.equal(watching.states[0][name], start[name]) for name in moving)


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ("net.O", "callbacks.freeze.modules=net.O: the model has no such part; did you mean net.0? (it has task, loss"),
        ("nett", "callbacks.freeze.modules=nett: the model has no such part; did you mean net? (it has task, loss"),
        ("net.2", "callbacks.freeze.modules=net.2: has no parameters"),
        ("[net.1,backbone.*]", "callbacks.freeze.modules=backbone.*: the model has no such part"),
        ("net", "callbacks.freeze.modules=net: leaves nothing that learns"),
        ("['*']", "callbacks.freeze.modules=['*']: leaves nothing that learns"),
    ],
)
def test_a_part_that_is_not_there_is_refused(modules: str, told: str, run: Train) -> None:
    assert told in sentence(run, *DIGITS, "callbacks=freeze", f"callbacks.freeze.modules={modules}")


def test_what_no_optimizer_has_cannot_learn_later(run: Train) -> None:
    freeze = ["callbacks=freeze", "callbacks.freeze.modules=body", "callbacks.freeze.until_epoch=1"]
    text = sentence(run, *PLAIN, "+model.optimize_head_alone=true", *freeze)
    assert text.startswith(
        "callbacks.freeze.until_epoch=1: would not learn then, since no optimizer has them: body.1.w"
    )
    for setting in ("until_epoch=0", "until_epoch=soon"):
        assert f"callbacks.freeze.{setting}: should be" in sentence(run, *PLAIN, *freeze, f"callbacks.freeze.{setting}")


@pytest.mark.parametrize("stop_at", [50, 95, 145])  # in the second, the third and the fourth epoch
@pytest.mark.parametrize(
    "settings",
    [
        ["callbacks=freeze", "callbacks.freeze.modules={part}", "callbacks.freeze.until_epoch=2"],
        ["callbacks=[ema,lr_monitor,grad_norm]", "callbacks.ema.decay=0.9"],
        ["callbacks=early_stopping", "callbacks.early_stopping.patience=2", "callbacks.early_stopping.monitor={score}"],
    ],
    ids=["freeze", "ema", "early_stopping"],
)
@pytest.mark.parametrize("learner", [[*ROUGH, "model.normalization=batch"], PLAIN], ids=["mlp", "plain"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not(
    learner: list[str], settings: list[str], stop_at: int, tmp_path: Path
) -> None:
    part, score = ("net.1", "val/acc") if learner is not PLAIN else ("body", "val/hits")
    overrides = [*learner, *(text.format(part=part, score=score) for text in settings)]
    overrides += ["trainer.max_epochs=5", "callbacks.last.every_n_steps=7"]
    whole, part_of = tmp_path / "whole", tmp_path / "part"
    train(compose([*overrides, f"run_dir={whole}"]))
    with pytest.raises(RuntimeError, match="stopped"):
        train(compose([*overrides, f"run_dir={part_of}"]), callbacks=[Watching(stop_at)])
    train(compose([*overrides, f"resume={part_of}", f"run_dir={part_of}"]))
    assert (part_of / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    first, second = (
        torch.load(f / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for f in (whole, part_of)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    ended = [Finished(folder).summary["ended"] for folder in (whole, part_of)]
    assert ended[0] == ended[1]


# Populations


@pytest.mark.parametrize("option", ["ema", "swa", "grad_norm"])
def test_what_takes_a_population_for_one_model_is_refused(option: str, run: Train) -> None:
    text = sentence(run, "model=xor", "trainer=cpu", "population=2", f"callbacks={option}")
    assert re.fullmatch(rf"callbacks\.{option}: an? \w+ takes the members of a population for one model; .*", text)


def test_members_of_a_population_are_frozen_and_stopped_as_runs_of_their_own(run: Train) -> None:
    more = ["callbacks=[freeze,early_stopping,throughput,lr_monitor]", "callbacks.freeze.modules=net.0"]
    more += ["callbacks.freeze.until_epoch=2", "callbacks.early_stopping.patience=3"]
    settings = ["model=xor", "trainer=cpu", "trainer.max_epochs=6", "~callbacks.figures", *more]
    both, one = run(*settings, "population=2"), run(*settings)
    members = pd.read_csv(both.folder / "members.csv")
    assert members["val/loss"][0] == pytest.approx(one.summary["monitor"]["best"], rel=1e-4)
    assert "samples_per_second" in table(both)
