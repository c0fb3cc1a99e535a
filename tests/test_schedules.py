"""Schedules with a warm-up and schedules in sequence: each rate, by the step, is that of the formula."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import open_dict
from torch import nn
from torch.optim import SGD
from torch.optim import lr_scheduler as schedulers

from conftest import Finished
from kindling import compose
from kindling.config.since import is_default
from kindling.errors import UserError
from kindling.models.schedule import remember_start, start_again
from kindling.models.schedulers import sequence, warmup_cosine, warmup_linear
from test_any_module import Plain, config
from test_outlook import XOR, fit
from test_train import error_of

SHORT = [*XOR, "trainer=cpu", "steps_per_call=1", "optimizer.lr=0.2"]  # 36 steps


def rates(*overrides: str, folder: Path) -> list[float]:
    return [rate for (rate,) in fit(compose([*SHORT, *overrides, f"run_dir={folder}"])).steps]


def cosine(left: float) -> float:
    return (1 - math.cos(math.pi * left)) / 2


@pytest.mark.parametrize(
    ("name", "overrides", "warmup", "total"),
    [
        ("warmup_cosine", [], 4, 36),  # a tenth of 36
        ("warmup_linear", ["scheduler.warmup=9", "trainer.max_epochs=-1", "trainer.max_steps=20"], 9, 20),
        ("warmup_cosine", ["scheduler.warmup=3", "trainer.accumulate_grad_batches=4"], 3, 9),
    ],
)
def test_a_warm_up_follows_its_formula(
    name: str, overrides: list[str], warmup: int, total: int, tmp_path: Path
) -> None:
    expected = by_formula(name, warmup, total)
    assert rates(f"scheduler={name}", *overrides, folder=tmp_path) == pytest.approx(expected)


def by_formula(name: str, warmup: int, total: int, end: float = 0.0) -> list[float]:
    decay = cosine if name == "warmup_cosine" else float
    rising = [0.2 * step / warmup for step in range(warmup)]
    return rising + [0.2 * (end + (1 - end) * decay((total - s) / (total - warmup))) for s in range(warmup, total)]


@pytest.mark.parametrize("name", ["warmup_cosine", "warmup_linear"])
@pytest.mark.parametrize(("warmup", "steps"), [(0, 0), (0.0, 0), (1, 1), (0.25, 5), (20, 20), (1.0, 20)])
def test_a_warm_up_is_a_share_or_a_number_of_steps(name: str, warmup: float, steps: int) -> None:
    make = {"warmup_cosine": warmup_cosine, "warmup_linear": warmup_linear}[name]
    found = alone(lambda o: make(o, 20, warmup, end_factor=0.1), 20)
    assert found == pytest.approx(by_formula(name, steps, 20, 0.1))


def alone(make: Callable[[SGD], Any], num_steps: int, lr: float = 0.2) -> list[float]:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler, found = make(optimizer), []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_parts_follow_each_other_as_if_each_were_alone(tmp_path: Path) -> None:
    """Of the run, the second gets a half, the third a number of steps, and the last what is left."""
    one_cycle = "{_target_:torch.optim.lr_scheduler.OneCycleLR,_partial_:true,max_lr:0.4,cycle_momentum:false}"
    step = "{_target_:torch.optim.lr_scheduler.StepLR,_partial_:true,step_size:2}"
    overrides = [
        "scheduler.lengths.decay=0.5",
        f"+scheduler.schedulers.cycle={one_cycle}",
        "+scheduler.lengths.cycle=8",
    ]
    overrides += [f"+scheduler.schedulers.steps={step}", "+scheduler.lengths.steps=null"]
    assert rates("scheduler=sequence", *overrides, folder=tmp_path) == pytest.approx(
        [
            *alone(lambda o: schedulers.LinearLR(o, 0.01, total_iters=4), 4),
            *alone(lambda o: schedulers.CosineAnnealingLR(o, 18), 18),
            *alone(lambda o: schedulers.OneCycleLR(o, 0.4, 8, cycle_momentum=False), 8),
            *alone(lambda o: schedulers.StepLR(o, 2), 6),
        ]
    )


def test_each_group_of_a_sequence_keeps_its_own_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.01, 0.0)]
    optimizer = SGD(groups, lr=0.1)

    parts = {"a": lambda o: schedulers.ConstantLR(o, 1.0), "b": lambda o: schedulers.ExponentialLR(o, 0.5)}
    scheduler = sequence(optimizer, 6, parts, {"a": 3, "b": None})
    for step, factor in enumerate([1, 1, 1, 1, 0.5, 0.25]):
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1 * factor, 0.01 * factor, 0.0]), (
            step
        )
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["warmup_linear", "scheduler.warmup=1.5"], "scheduler.warmup=1.5: should be"),
        (["warmup_linear", "scheduler.end_factor=2"], "scheduler.end_factor=2: should be"),
        (["sequence", "scheduler.schedulers.warmup.start_factor=3"], "scheduler.schedulers.warmup: Starting"),
        (["sequence", "+scheduler.schedulers.warmup.gama=3"], "scheduler.schedulers.warmup.gama: LinearLR has no such"),
        (["warmup_cosine", "scheduler.warmup=37"], "scheduler.warmup=37: is longer than the run, which has 36 steps"),
    ],
)
def test_what_makes_no_schedule_is_said(overrides: list[str], sentence: str, run: Callable[..., Finished]) -> None:
    assert sentence in error_of(run, *SHORT, f"scheduler={overrides[0]}", *overrides[1:])


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ({"a": 11, "b": None}, "scheduler.lengths.a=11: is longer than the run, which has 10 steps"),
        ({"a": 6, "b": None, "c": 0.5}, "scheduler.lengths: are 11 steps together, and the run has 10"),
        ({"a": 0.1, "b": 0.9, "c": 0}, "scheduler.lengths: one of them is to be null"),
        ({"a": None, "b": None, "c": 0}, "scheduler.lengths: one of them is to be null"),
        ({"a": 0.1, "c": 2}, "scheduler.lengths.b: is needed"),
        ({"a": 0.1, "b": None, "aa": 2}, "scheduler.lengths.aa: there is no such scheduler; did you mean a?"),
        ({"a": 1, "b": 1, "plateau": None}, "scheduler.schedulers.plateau: waits for validation"),
    ],
)
def test_lengths_that_make_no_run_are_said(lengths: dict[str, Any], sentence: str) -> None:
    parts: dict[str, Any] = {"a": schedulers.ConstantLR, "b": schedulers.ConstantLR}
    parts |= {"c": schedulers.ConstantLR} if "c" in lengths else {}
    parts |= {"plateau": schedulers.ReduceLROnPlateau} if "plateau" in lengths else {}
    with pytest.raises(UserError) as error:
        sequence(SGD([nn.Parameter(torch.zeros(1))], lr=0.1), 10, parts, lengths)
    assert str(error.value).startswith(sentence)


class Takes(Plain):
    """A user's own, which knows nothing of the length of the run."""

    def __init__(self, optimizer: Callable[..., Any], scheduler: Callable[..., Any]) -> None:
        super().__init__()
        self.optimizer, self.scheduler = optimizer, scheduler

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        return [optimizer], [self.scheduler(optimizer)]


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "warmup_linear", "sequence"])
def test_any_module_goes_on_with_the_schedule_of_a_longer_run(name: str, tmp_path: Path) -> None:
    """10 steps an epoch."""

    def used(folder: str, epochs: int, checkpoint: Path | None = None) -> list[float]:
        cfg = config(tmp_path / folder, Plain, max_epochs=epochs)
        with open_dict(cfg):
            own = compose(["optimizer=sgd", f"scheduler={name}"])
            cfg.optimizer, cfg.scheduler = own.optimizer, own.scheduler
            cfg.model = {"_target_": f"{__name__}.Takes"}
        return [rate for (rate,) in fit(cfg, checkpoint).steps]

    whole = used("whole", 4)
    assert used("short", 2) != whole[:20]
    longer = used("short", 4, tmp_path / "short" / "checkpoints" / "last.ckpt")
    assert longer == pytest.approx(whole[20:])


def test_where_a_schedule_begins_says_nothing_of_kernels() -> None:
    """A callback may have switched them off since: see callbacks/freeze.py."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    remember_start(scheduler)
    optimizer.param_groups[0]["fused"] = False
    start_again(scheduler)
    assert optimizer.param_groups[0]["fused"] is False


def test_what_a_base_takes_by_default_is_no_change() -> None:
    assert is_default("kindling.data.images.Digits", "num_folds", 5)
    assert not is_default("kindling.data.images.Digits", "num_folds", 6)
    assert not is_default("kindling.data.images.Digits", "seed", False)
    assert is_default("kindling.running.figures.Figures", "format", ["png"])  # a tuple in its signature
