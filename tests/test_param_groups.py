"""Rules on names and dimensions give parameters settings of their own, whoever makes the optimizer."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule
from omegaconf import open_dict
from torch import nn
from torch.optim import SGD

from conftest import Finished, compose_config
from kindling import compose
from kindling.config.checks import problems
from kindling.errors import UserError
from kindling.models.param_groups import describe, grouped
from test_any_module import Plain, config
from test_outlook import XOR, Said, fit, said  # noqa: F401
from test_resume import DIGITS, assert_same, checkpoint, resume
from test_train import error_of

Run = Callable[..., Finished]


class Net(LightningModule):
    """3 groups of parameters by dimensions: 0, 1 and 2; the last two weights are one."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.body = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        self.head = nn.Linear(2, 2)
        self.tied = nn.Linear(2, 2, bias=False)
        self.tied.weight = self.head.weight


def groups(rules: dict[str, Any], hand_over: Callable[[Net], Any] = Net.parameters, **settings: Any) -> dict[str, Any]:
    """By the names of the parameters in a group, what it has set."""
    net = Net()
    make = grouped(partial(SGD, lr=0.1), rules)
    make.describe = lambda: describe(net)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    keys = ("name", "lr", "weight_decay", "momentum")
    return {
        " ".join(names[id(parameter)] for parameter in group["params"]): tuple(group.get(key) for key in keys)
        for group in make(hand_over(net), **settings).param_groups
    }


ALL_OTHERS = "body.0.weight head.weight"
FLAT = "scale body.0.bias body.1.weight body.1.bias head.bias"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"a": {"dims": [0, 1], "weight_decay": 0.5}}, {ALL_OTHERS: (None, 0.1, 0, 0), FLAT: ("a", 0.1, 0.5, 0)}),
        (
            {"a": {"dims": 0, "lr": 3.0}},
            {
                "body.0.weight body.0.bias body.1.weight body.1.bias head.weight head.bias": (None, 0.1, 0, 0),
                "scale": ("a", 3.0, 0, 0),
            },
        ),
        (
            {"a": {"names": "tied", "lr_factor": 10}},  # the other name of what is tied
            {FLAT.replace("scale ", "scale body.0.weight "): (None, 0.1, 0, 0), "head.weight": ("a", 1.0, 0, 0)},
        ),
        (  # both rules, and of what both set, the last
            {
                "a": {"dims": [0, 1], "momentum": 0.5, "weight_decay": 0.5},
                "b": {"names": "head", "lr_factor": 2, "momentum": 0.9},
            },
            {
                "body.0.weight": (None, 0.1, 0, 0),
                "scale body.0.bias body.1.weight body.1.bias": ("a", 0.1, 0.5, 0.5),
                "head.weight": ("b", 0.2, 0, 0.9),
                "head.bias": ("a+b", 0.2, 0.5, 0.9),
            },
        ),
        (
            {"a": {"names": ["*.bias", "scale"], "dims": 1, "lr": 0.3, "lr_factor": 5}, "off": None},
            {
                "scale body.0.weight body.1.weight head.weight": (None, 0.1, 0, 0),
                "body.0.bias body.1.bias head.bias": ("a", 0.3, 0, 0),
            },
        ),
    ],
)
@pytest.mark.parametrize("hand_over", [Net.parameters, Net.named_parameters, lambda net: list(net.parameters())])
def test_rules_divide_the_parameters(rules: dict[str, Any], expected: dict[str, Any], hand_over: Any) -> None:
    assert groups(rules, hand_over) == expected


def test_groups_of_the_model_are_divided_further() -> None:
    def own(net: Net) -> list[dict[str, Any]]:
        return [{"params": net.body.parameters(), "lr": 1.0}, {"params": [net.head.weight], "momentum": 0.5}]

    assert groups({"a": {"names": "*.bias", "lr_factor": 2}}, own) == {
        "body.0.weight body.1.weight": (None, 1.0, 0, 0),
        "body.0.bias body.1.bias": ("a", 2.0, 0, 0),
        "head.weight": (None, 0.1, 0, 0.5),
    }


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"names": "haed"}, "param_groups.a.names=haed: no parameter is called so; did you mean head?"),
        ({"names": ["head", "*.gamma"]}, "param_groups.a.names=*.gamma: no parameter is called so"),
        ({"dims": 4}, "param_groups.a: matches no parameter; they have 0, 1, 2 dimensions"),
        ({"names": "head", "dims": 0}, "param_groups.a: matches no parameter"),
    ],
)
def test_a_rule_about_no_parameter_is_refused(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        groups({"a": {**rule, "lr": 1.0}})
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["param_groups.no_decay.dims=null"], "param_groups.no_decay: names no parameters; param_groups.no_decay"),
        (["param_groups.no_decay.dims=[a]"], "param_groups.no_decay.dims=['a']: should be a valid integer"),
        (["~param_groups.no_decay.weight_decay"], "param_groups.no_decay: sets nothing"),
        (["param_groups.no_decay.weight_decay=-1"], "param_groups.no_decay.weight_decay=-1: Invalid weight_decay"),
        (["+param_groups.no_decay.momentun=1", "optimizer=sgd"], "no such setting for a group; did you mean momentum?"),
        (["+param_groups.no_decay.fused=true"], "param_groups.no_decay.fused: torch.optim.AdamW has no such setting"),
        (["+param_groups.no_decay.lr_factor=-1"], "param_groups.no_decay.lr_factor=-1: should be at least 0"),
        (["optimizer=lbfgs"], "param_groups: torch.optim.LBFGS takes all parameters in one group"),
        (["trainer=fsdp"], "param_groups: not possible with fsdp"),
    ],
)
def test_rules_are_checked_before_anything_is_built(overrides: list[str], sentence: str) -> None:
    found = problems(compose_config("param_groups=no_decay", *overrides))
    assert any(sentence in problem for problem in found), found


def test_biases_are_left_to_themselves_by_a_decay_of_all_else() -> None:
    net = Net()
    start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    make = grouped(partial(SGD, lr=0.1, weight_decay=1.0), {"no_decay": {"dims": [0, 1], "weight_decay": 0.0}})
    make.describe = lambda: describe(net)
    optimizer = make(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(3):
        optimizer.step()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.data, start[name] * (0.9**3 if parameter.dim() > 1 else 1.0))


@pytest.mark.parametrize("scheduler", ["one_cycle", "warmup_linear", "sequence"])
def test_a_part_learns_ten_times_as_fast_at_every_step(scheduler: str, said: Said, tmp_path: Path) -> None:  # noqa: F811
    overrides = ["param_groups=head", "param_groups.head.names=net.2", f"scheduler={scheduler}", "steps_per_call=1"]
    used = fit(compose([*XOR, "trainer=cpu", *overrides, "optimizer=sgd", f"run_dir={tmp_path}"]))
    assert len(used.steps) == 36
    for slow, fast in used.steps:
        assert math.isclose(fast, 10 * slow, rel_tol=1e-6)
    assert " and " in said()
    assert "head: 5 parameters" in said()


class Takes(Plain):
    def __init__(self, optimizer: Callable[..., Any]) -> None:
        super().__init__()
        self.make = optimizer

    def configure_optimizers(self) -> Any:
        return self.make(self.predictor.parameters())


def test_any_module_that_takes_an_optimizer_has_groups(tmp_path: Path) -> None:
    cfg = config(tmp_path, Plain, max_epochs=1)
    with open_dict(cfg):
        cfg.optimizer = compose(["optimizer=sgd"]).optimizer
        cfg.param_groups = {"last": {"names": "predictor.3", "lr": 0.5}}
        cfg.model = {"_target_": f"{__name__}.Takes"}
    assert fit(cfg).steps == [[0.1, 0.5]] * 10


def test_groups_where_no_optimizer_is_taken_are_refused(run: Run) -> None:
    text = error_of(run, "model=xor", "optimizer=none", "scheduler=none", "param_groups=no_decay")
    assert "param_groups=no_decay: would do nothing" in text


def test_a_run_with_groups_goes_on_and_keeps_them(run: Run) -> None:
    grouped = [*DIGITS, "param_groups=[no_decay,head]", "param_groups.head.names=net.4"]
    whole = run(*grouped, "trainer.max_epochs=2", "scheduler=step")
    done = run(*grouped, "trainer.max_epochs=1", "scheduler=step")
    with pytest.raises(UserError, match=r"param_groups.head.lr_factor=3.0: a run that goes on keeps what it has, 10.0"):
        resume(run, done, "param_groups.head.lr_factor=3.0")
    longer = resume(run, done, "trainer.max_epochs=2")
    assert_same(longer, whole)
    names = [group.get("name") for group in checkpoint(longer, "last")["optimizer_states"][0]["param_groups"]]
    assert names == [None, "no_decay", "head", "no_decay+head"]


def test_the_members_of_a_population_have_the_groups_of_one(run: Run) -> None:
    shared = [
        *DIGITS,
        "model.dropout=0",
        "trainer.max_epochs=1",
        "param_groups=[no_decay,head]",
        "param_groups.head.names=net.3",
    ]
    one, several = run(*shared), run(*shared, "population=2")
    groups = [checkpoint(done, "last")["optimizer_states"][0]["param_groups"] for done in (one, several)]
    assert groups[0] == groups[1]
    assert len(groups[0]) == 4
    stacked = checkpoint(several, "last")["state_dict"]
    for name, tensor in checkpoint(one, "last")["state_dict"].items():
        torch.testing.assert_close(stacked[f"members.{name}"][0], tensor, rtol=1e-3, atol=1e-5)
