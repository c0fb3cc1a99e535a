"""Every shipped config composes, names things that exist, and wins or loses against the others as promised."""

import itertools
import re
from functools import cache
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from conftest import CONF, choices, compose_config, compose_unchecked, options
from kindling.config.asked import Asked
from kindling.config.checks import problems as problems_of
from kindling.config.signatures import signature

GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "study")
FILES = [(group, name) for group in GROUPS for name in options(group)]
NEEDED = {  # by data set of the user's own
    "csv": ["data.path=table.csv", "data.target=price"],
    "image_folder": ["data.path=photos", "data.size=28"],
}

OF_PARTS = {  # which only the user knows
    ("augmentation", "distillation"): ["augmentation.distillation.run=RUN"],
    ("callbacks", "freeze"): ["callbacks.freeze.modules=net.1"],
    ("param_groups", "head"): ["param_groups.head.names=net"],
}


def tasks(group: str, name: str) -> set[str]:
    node = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    part = node.get(group, node)
    return set(get_object(part["_target_"]).tasks) if part else set()


@cache
def loss_for(model: str, data: str) -> str:
    """The model's own loss where it fits the data, else one that does."""
    fitting = [loss for loss in choices("loss") if tasks("loss", loss) & tasks("data", data)]
    own = compose_unchecked(f"model={model}").loss._target_
    for loss in fitting:
        if compose_unchecked(f"loss={loss}").loss._target_ == own:
            return loss
    return fitting[0]


PAIRS = [
    (model, data)
    for model, data in itertools.product(options("model"), options("data"))
    if data not in NEEDED and tasks("model", model) & tasks("data", data)
]
OWN = [("linear_regression", "csv"), ("mlp", "image_folder")]


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_file_composes_and_has_no_problems_on_this_machine(group: str, name: str) -> None:
    overrides = [f"{group}={name}"]
    if (group, name) == ("optimizer", "none"):
        overrides += ["scheduler=none"]  # the default one takes its rate from there
    if group == "loss" and name != "none":
        data = next(
            data for data in options("data") if data not in NEEDED and tasks("data", data) & tasks("loss", name)
        )
        model = next(model for model in options("model") if tasks("model", model) & tasks("data", data))
        overrides += [f"model={model}", f"data={data}"]
    elif group == "data":
        model = next(model for model, data in [*PAIRS, *OWN] if data == name)
        overrides += [f"model={model}", f"loss={loss_for(model, name)}"]
    overrides += NEEDED.get(name, []) if group == "data" else []
    overrides += OF_PARTS.get((group, name), [])
    compose = compose_unchecked if group == "sweep" else compose_config  # which takes the overrides of a run alone
    problems = problems_of(compose(*overrides, "run_dir=unused"))
    elsewhere = [p for p in problems if p.startswith("trainer.accelerator=") and "none on this machine" in p]
    assert problems == elsewhere


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_target_exists(group: str, name: str) -> None:
    def targets(node: object) -> list[str]:
        if not isinstance(node, dict):
            return []
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for value in node.values() for target in targets(value)]

    for target in targets(OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))):
        assert callable(get_object(target))


@pytest.mark.parametrize("name", options("experiment"))
def test_experiments_are_short_deltas_that_give_command_time_and_score(name: str) -> None:
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert len(lines) <= 20
    assert lines[1] == f"# python train.py experiment={name}"
    assert re.match(r"# .* (second|minute)s?.*; .*\d", lines[2])


def test_a_model_brings_its_data_and_loss() -> None:
    cfg = compose_config("model=xor")
    assert cfg.data._target_ == "kindling.data.xor.XOR"
    assert cfg.loss._target_ == "kindling.models.losses.BCEWithLogitsLoss"
    assert compose_config().data._target_ == "kindling.data.mnist.MNIST"


def test_the_command_line_wins_over_experiment_over_pairing_over_defaults() -> None:
    pairing = compose_config("model=linear_regression")
    experiment = compose_config("experiment=linear_diabetes")
    command_line = compose_config("experiment=linear_diabetes", "data=linear", "optimizer=adam", "optimizer.lr=0.5")
    assert pairing.data._target_ == "kindling.data.linear.Linear"
    assert experiment.data._target_ == "kindling.data.tabular.Diabetes"
    assert command_line.data._target_ == "kindling.data.linear.Linear"
    assert command_line.optimizer._target_ == "torch.optim.Adam"
    assert command_line.optimizer.lr == 0.5
    assert compose_config("experiment=xor_relu", "model.activation=tanh").model.activation == "tanh"


def test_lbfgs_sees_the_whole_split_unless_told_otherwise() -> None:
    assert compose_config("data=digits", "optimizer=lbfgs").data.batch_size is None
    assert compose_config("data=digits", "optimizer=lbfgs", "data.batch_size=7").data.batch_size == 7


def test_loggers_and_callbacks_combine() -> None:
    assert set(compose_config("logger=[tensorboard,wandb]").logger) == {"tensorboard", "wandb"}
    assert set(compose_config("logger=wandb").logger) == {"wandb"}
    assert not compose_config("callbacks=none").callbacks


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("+trainer.max_epoch=3", "trainer.max_epoch: Trainer has no such argument; did you mean max_epochs?"),
        ("+optimizer.lrr=3", "optimizer.lrr: AdamW has no such argument; did you mean lr?"),
        ("+model.in_features=3", None),  # else the data say it
        ("+trainer.callbacks=[]", "trainer.callbacks: is filled in by the run and cannot be set"),
        ("~data.batch_size", None),
        ("model.activation=rellu", "did you mean relu?"),
        ("model.dropout=1.0", "model.dropout=1.0: should be less than 1"),
        ("model.hidden_features=[3,0]", "model.hidden_features=[3, 0]: should be greater than 0"),
        ("data.batch_size=0", "data.batch_size=0: should be greater than 0"),
        ("data.batch_size=2.5", "data.batch_size=2.5: should be a valid integer"),
        ("optimizer.lr=-1", "optimizer.lr=-1: Invalid learning rate: -1"),
        ("optimizer.lr=abc", "optimizer.lr=abc: should be a valid number"),
        ("optimizer.betas=[0.9,2]", "optimizer"),
        ("optimizer.betas=[0.9]", "optimizer.betas=[0.9]: should be longer"),
        ("loss.label_smoothing=2", "loss.label_smoothing=2: should be less than or equal to 1"),
        ("trainer.max_epochs=-5", "trainer.max_epochs=-5: "),
        ("trainer.precision=33", "trainer.precision=33: should be one of"),
        ("seed=-1", "seed=-1: should be a whole number from 0 to 4294967295"),
        ("mode=minimum", "mode=minimum: should be min or max"),
        ("on_save_error=ask", "on_save_error=ask: should be stop or continue"),
        ("model._target_=kindling.models.mpl.MLP", "model._target_=kindling.models.mpl.MLP: cannot be imported"),
        ("++extra=1", "extra: no such section"),
    ],
)
def test_signatures_find_the_mistake(override: str, problem: str | None) -> None:
    problems = problems_of(compose_unchecked(override, "run_dir=unused"))
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]


def test_every_mistake_is_found_at_once() -> None:
    overrides = ["optimizer.lr=-1", "data.batch_size=0", "trainer.max_epochs=-5", "+model.x=1", "seed=-3"]
    problems = problems_of(compose_config(*overrides, "run_dir=unused"))
    assert sorted(problem.split("=")[0].split(":")[0] for problem in problems) == [
        "data.batch_size",
        "model.x",
        "optimizer.lr",
        "seed",
        "trainer.max_epochs",
    ]


def test_settings_that_would_do_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes_no_loss.py").write_text(
        "import lightning as L\n"
        "class Net(L.LightningModule):\n"
        "    def __init__(self, scheduler, monitor: str = 'x') -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose_config("run_dir=unused")
    cfg.model = {"_target_": "takes_no_loss.Net"}
    overrides = ["loss=none", "optimizer=adam", "optimizer.lr=1", "loss=mse", "+loss.reduction=sum", "scheduler=step"]
    told = "would do nothing, since takes_no_loss.Net takes no loss; leave it out"
    assert problems_of(cfg, Asked(overrides)) == [f"loss=mse: {told}", f"+loss.reduction=sum: {told}"]
    cfg.scheduler.max_lr = 0.1  # else it uses that of the optimizer
    assert [problem.partition(":")[0] for problem in problems_of(cfg, Asked(overrides))] == [
        *("loss=mse", "+loss.reduction=sum", "optimizer=adam", "optimizer.lr=1")
    ]


def test_kwargs_of_a_class_stand_for_the_arguments_of_its_base() -> None:
    parameters = signature(get_object("kindling.data.csv.CSV"))
    assert {"path", "target", "standardize", "batch_size", "num_repeats"} <= parameters.keys()
    assert "kwargs" not in parameters
