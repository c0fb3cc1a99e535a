"""What is said of the learning rate when training starts is what the optimizer gets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import LRSchedulerConfig
from omegaconf import DictConfig
from torch import nn
from torch.optim import SGD
from torch.optim import lr_scheduler as schedulers

from kindling import compose
from kindling.config.asked import take_asked
from kindling.process import quiet
from kindling.running.build import build
from kindling.running.facts import in_lines
from kindling.running.outlook import MOST_STEPS, Outlook, ahead, course, of_groups
from test_any_module import ByHand, Plain, config

Said = Callable[[], str]

SAVED = ["model=xor", "data.batch_size=1", "data.num_repeats=3", "trainer.max_epochs=3"]  # 12 steps an epoch
XOR = [*SAVED, "callbacks=none"]


class Used(Callback):
    """The rates of all groups at each step."""

    def __init__(self) -> None:
        self.steps: list[list[float]] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.steps.append([group["lr"] for group in optimizer.param_groups])


def fit(cfg: DictConfig, checkpoint: Path | None = None, *, name: str | None = "name") -> Used:
    quiet()
    used = Used()
    take_asked(cfg)
    parts = build(cfg, [used, Outlook(name)])
    parts.trainer.fit(parts.model, datamodule=parts.datamodule, ckpt_path=checkpoint)
    return used


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level("INFO", logger="kindling")
    return lambda: next(text for text in reversed(caplog.messages) if text.startswith("lr "))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["optimizer=sgd", "optimizer.lr=0.05"], "0.002 to 0.05 to 0"),
        (["scheduler=constant"], "0.1"),
        (["scheduler=constant", "scheduler.factor=0.1", "scheduler.total_iters=2"], "0.01 to 0.1"),
        (["scheduler=cosine"], "0.1 to 0.00019"),
        (["scheduler=cosine", "+scheduler.T_max=2"], "0.1 to 0"),
        (["scheduler=step", "scheduler.step_size=1"], "0.1 to 0.001"),
        (["scheduler=cosine", "trainer.max_epochs=-1", "trainer.max_steps=5"], "0.1 to 0.00955"),
        (["scheduler=cosine", "trainer.accumulate_grad_batches=4"], "0.1 to 0.00302"),
        (["scheduler=step", "scheduler.step_size=2", "trainer.max_epochs=-1", "trainer.max_steps=30"], "0.1 to 0.01"),
    ],
)
def test_the_rates_that_are_told_are_those_that_are_used(
    overrides: list[str], told: str, said: Said, tmp_path: Path
) -> None:
    used = fit(compose([*XOR, "trainer=cpu", "steps_per_call=1", *overrides, f"run_dir={tmp_path}"]))
    assert said().partition("; ")[0] == f"lr {told}, name"
    assert told == course([step[0] for step in used.steps])


def test_a_plateau_is_told_by_its_rule(said: Said, tmp_path: Path) -> None:
    fit(compose([*XOR, "trainer=cpu", "scheduler=plateau", "trainer.max_epochs=1", f"run_dir={tmp_path}"]))
    rule = "lr 0.1, times 0.5 after more than 3 epochs without a better val/loss, name;"
    assert said() == f"{rule}\n  1 epoch = 3 passes"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], "1 epoch = 3 passes"),
        (["steps_per_call=1", "trainer.limit_train_batches=0.5"], "1 epoch = 1.5 passes"),
        (["trainer.limit_train_batches=4"], ""),
        (["data.num_repeats=1"], ""),
    ],
)
def test_passes_are_told_where_an_epoch_is_not_one(overrides: list[str], told: str, said: Said, tmp_path: Path) -> None:
    fit(compose([*XOR, "trainer=cpu", *overrides, f"run_dir={tmp_path}"]))
    assert said().partition("; ")[2] == told


def test_a_run_that_goes_on_says_what_is_left(said: Said, tmp_path: Path) -> None:
    overrides = [*SAVED, "trainer=cpu", "steps_per_call=1", f"run_dir={tmp_path}"]
    fit(compose(overrides))
    used = fit(compose([*overrides, "trainer.max_epochs=5"]), tmp_path / "checkpoints" / "last.ckpt")
    assert said() == f"lr {course([step[0] for step in used.steps])}, name; 1 epoch = 3 passes"
    assert len(used.steps) == 24


class Groups(Plain):
    """Two groups that warm up for 10 of 30 steps, each with a function of the model's."""

    def configure_optimizers(self) -> Any:
        weights = [{"params": [p], "lr": lr} for p, lr in zip(self.parameters(), (0.1, 0.1, 0.02, 0.02), strict=True)]
        scheduler = schedulers.LambdaLR(SGD(weights, lr=0.1), self.warmed_up)
        return {"optimizer": scheduler.optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def warmed_up(self, step: int) -> float:
        return min(step + 1, 10) / 10


class Several(ByHand):
    """Two optimizers, which the model steps itself."""

    def configure_optimizers(self) -> Any:
        first, second = SGD(self.predictor[0].parameters(), lr=0.1), SGD(self.predictor[3].parameters(), lr=0.2)
        return [first, second], [schedulers.StepLR(first, 1)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.manual_backward(Plain.training_step(self, batch, batch_idx))
        for optimizer in self.optimizers():
            optimizer.step()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Plain, "lr 0.05"),
        (Groups, "lr 0.01 to 0.1 and 0.002 to 0.02, LambdaLR"),
        (Several, "lr 0.1, StepLR; lr 0.2"),  # what comes after is up to the model
    ],
)
def test_what_a_module_makes_itself_is_told_by_its_class(model: type, told: str, said: Said, tmp_path: Path) -> None:
    cfg = config(tmp_path, model)
    cfg.model._target_ = f"{model.__module__}.{model.__name__}"
    used = fit(cfg, name=None)
    assert said() == told
    if model is Groups:
        assert told == f"lr {of_groups(list(zip(*used.steps, strict=True)))}, LambdaLR"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda o: schedulers.OneCycleLR(o, 0.1, total_steps=50_000), "0.004 to 0.1 to 0"),
        (lambda o: schedulers.CosineAnnealingLR(o, 50_000), "0.1 to 0"),
        (lambda o: schedulers.MultiplicativeLR(o, lambda _: 0.99), "0.1"),  # too long to be gone through
        (lambda o: schedulers.LinearLR(o, 0.1, total_iters=10), "0.01 to 0.1"),
        (lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=100), "between 0.01 and 0.1"),
        (lambda o: schedulers.SequentialLR(o, [schedulers.LinearLR(o, 0.1), schedulers.LinearLR(o)], [9]), "0.01"),
    ],
)  # fmt: skip
def test_long_schedules_are_looked_at_here_and_there(make: Any, told: str) -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    before = scheduler.state_dict()
    num_steps = 2_000 if "Cyclic" in type(scheduler).__name__ else 50_000
    rates = [rate for (rate,) in ahead(LRSchedulerConfig(scheduler), num_steps)]
    assert len(rates) <= MOST_STEPS
    assert course(rates) == told
    assert (scheduler.state_dict(), optimizer.param_groups[0]["lr"]) == (before, rates[0])  # it was a copy


def test_many_groups_are_told_by_the_lowest_and_the_highest() -> None:
    groups = [(10.0**-i, 0.0) for i in range(1, 6)]
    assert of_groups(groups) == "1e-05 to 0 ... 0.1 to 0 (5 groups)"


def test_long_lines_break_after_a_comma() -> None:
    text = f"lr {'1' * 70}, {'2' * 20}; {'3' * 20}"
    assert in_lines(text) == f"lr {'1' * 70},\n  {'2' * 20}; {'3' * 20}"
