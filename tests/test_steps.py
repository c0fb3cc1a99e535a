"""Several steps in one call of Lightning change nothing but the speed."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from conftest import CONF, Finished, compose_config
from kindling.config.since import is_default
from kindling.running.build import build
from test_train import error_of, weights

Run = Callable[..., Finished]


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp", "data=digits", "model.dropout=0.2"],
        ["model=mlp", "data=digits", "model.normalization=batch", "optimizer=adagrad", "scheduler=step"],
        ["model=linear_regression", "data=diabetes"],
        ["model=xor", "data.num_repeats=50"],
    ],
    ids=["mlp", "step scheduler", "linear_regression", "xor"],
)
@pytest.mark.parametrize("at_once", ["7", "auto"])
def test_the_result_is_the_same_to_the_bit(overrides: list[str], at_once: str, run: Run) -> None:
    shared = [*overrides, "trainer=cpu", "trainer.max_epochs=3", "~callbacks.figures"]
    one, several = (run(*shared, f"steps_per_call={steps}") for steps in ("1", at_once))
    first, second = weights(one), weights(several)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (several.summary["epochs"], several.summary["steps"]) == (one.summary["epochs"], one.summary["steps"])
    tables = [pd.read_csv(done.folder / "metrics.csv") for done in (one, several)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)
    assert several.summary["metrics"] == one.summary["metrics"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.num_workers=2", "steps_per_call=1"],
        ["data.num_workers=2"],
        ["data.device_resident=true"],
        ["data.device_resident=false"],
        ["~callbacks.progress_bar"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_how_batches_are_read_and_shown_changes_nothing(overrides: list[str], run: Run) -> None:
    shared = ["data=digits", "model.dropout=0.2", "trainer=cpu", "trainer.max_epochs=2", "~callbacks.figures"]
    first, second = weights(run(*shared)), weights(run(*shared, *overrides))
    assert all(torch.equal(first[name], second[name]) for name in first)


def chosen(*overrides: str) -> int:
    parts = build(compose_config("data=digits", *overrides, "run_dir=unused"))
    assert parts.model.automatic_optimization is (parts.datamodule.steps_per_call == 1)
    return parts.datamodule.steps_per_call


def test_several_steps_are_the_default() -> None:
    assert chosen() == 32


def test_what_is_lightnings_own_value_keeps_several_steps() -> None:
    own = ["trainer.accumulate_grad_batches=1", "+trainer.min_steps=null", "trainer.max_steps=-1"]
    assert chosen(*own, "trainer.deterministic=true", "trainer.benchmark=false") == 32


def test_the_keys_of_the_trainer_have_lightnings_own_values() -> None:
    lines = (CONF / "trainer" / "default.yaml").read_text().partition("Lightning's own values from here on.")[2]
    keys = yaml.safe_load(lines)
    assert {"gradient_clip_val", "accumulate_grad_batches", "deterministic", "max_steps"} < keys.keys()
    assert [key for key, value in keys.items() if not is_default("lightning.Trainer", key, value)] == []


@pytest.mark.parametrize(
    "override",
    [
        "optimizer=lbfgs",
        "scheduler=plateau",
        "trainer=ddp_cpu",
        "trainer.precision=64-true",
        "trainer.gradient_clip_val=1",
        "trainer.accumulate_grad_batches=2",
        "trainer.max_steps=7",
        "debug=overfit",
        "debug=limit",
        "debug=profiler",
        "debug=anomaly",
        "debug=fast_dev_run",
        "+callbacks.timer={_target_:lightning.pytorch.callbacks.Timer}",
    ],
)
def test_what_looks_at_every_step_gets_every_step(override: str) -> None:
    assert chosen(override) == 1


def test_asking_for_several_steps_where_one_is_needed_is_refused(run: Run) -> None:
    text = error_of(run, "data=digits", "steps_per_call=8", "trainer.gradient_clip_val=1")
    assert text == "steps_per_call=8: not possible with trainer.gradient_clip_val=1; set it to 1 or auto"
    assert "should be auto or a whole number from 1" in error_of(run, "data=digits", "steps_per_call=0")


def test_a_loss_that_is_no_number_is_found_with_its_step(run: Run) -> None:
    overrides = ["data=digits", "optimizer=sgd", "optimizer.lr=1e20", "scheduler=constant"]
    assert error_of(run, *overrides) == error_of(run, *overrides, "steps_per_call=1")


@pytest.mark.parametrize("overrides", [[], ["population=3"], ["steps_per_call=1"]], ids=lambda o: " ".join(o) or "auto")
@pytest.mark.parametrize(
    "learner", [["model=mlp", "data=digits"], ["model=xor"], ["model=linear_regression"]], ids=lambda o: o[0]
)
def test_a_training_step_never_waits_for_the_device(learner: list[str], overrides: list[str], tmp_path: Path) -> None:
    """On the meta device nothing is computed: reading any value there, as `.item()` or a copy does, is an error."""
    shared = ["trainer=cpu", "trainer.max_epochs=1", "callbacks=none", "logger=none", f"run_dir={tmp_path}"]
    parts = build(compose_config(*learner, *overrides, *shared))
    trainer, datamodule, model = parts.trainer, parts.datamodule, parts.model
    trainer.fit(model, datamodule=datamodule)
    model.to("meta")
    datamodule.splits["train"] = datamodule.splits["train"].to(torch.device("meta"))
    datamodule.device_resident = False  # it is there already
    configured = model.configure_optimizers()
    trainer.strategy.optimizers = [configured["optimizer"]]
    trainer.lr_scheduler_configs[0].scheduler = configured["lr_scheduler"]["scheduler"]
    for batch in datamodule.train_dataloader():
        loss = model.training_step(batch, 0)["loss"]
    assert loss.is_meta
    with pytest.raises(RuntimeError, match="meta"):
        loss.sum().item()


def test_a_compiled_model_learns_the_same_under_the_same_names(run: Run) -> None:
    overrides = ["model=xor", "trainer=cpu", "trainer.max_epochs=2", "~callbacks.figures"]
    plain, compiled = weights(run(*overrides)), weights(run(*overrides, "compile=true"))
    assert compiled.keys() == plain.keys()
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("optimizer", "devices"), [("adamw", ["cpu", "cuda"]), ("adagrad", ["cpu"]), ("adadelta", [])])
def test_one_kernel_updates_all_where_every_version_of_torch_has_it(
    optimizer: str, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older ones end with an error at the first step of Adagrad on a GPU."""
    parts = build(compose_config("data=digits", f"optimizer={optimizer}", "run_dir=unused"))
    parts.model.trainer = parts.trainer
    fused = []
    for device in ("cpu", "cuda", "xla"):
        monkeypatch.setattr(type(parts.model), "device", torch.device(device))
        fused += [device] if parts.model._fused() else []
    assert fused == devices
