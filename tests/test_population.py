"""A population: as if each of its members had been trained alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from conftest import Finished, choices, compose_config
from kindling.data.tasks import Binary, Multiclass, Regression, Task
from kindling.models.linear_regression import LinearRegression
from kindling.population.build import elementwise
from kindling.population.metrics import MemberMetrics
from kindling.running.build import build
from test_models import build as build_model
from test_train import error_of

Run = Callable[..., Finished]
QUICK = ["trainer=cpu", "~callbacks.figures"]
DIGITS = ["data=digits", "model.dropout=0", "model.hidden_features=[32]", "trainer.max_epochs=3"]
CASES = {
    "linear_regression": ["model=linear_regression", "data=diabetes", "trainer.max_epochs=3"],
    "xor": ["model=xor", "trainer.max_epochs=5"],
    "mlp": DIGITS,
    "batch norm": [*DIGITS, "model.normalization=batch", "optimizer=nesterov"],
    "one step a call": [*DIGITS, "steps_per_call=1", "scheduler=step"],
    "best accuracy": [*DIGITS, "loss=brier", "monitor=val/acc", "mode=max"],
}


def saved(done: Finished, name: str) -> dict:
    return torch.load(done.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def last_weights(done: Finished, member: int | None = None) -> dict[str, Tensor]:
    """Of the net, or of a member's."""
    state = saved(done, "last")["state_dict"]
    if member is None:
        return {name: value for name, value in state.items() if name.startswith("net.")}
    return {n.removeprefix("members."): v[member] for n, v in state.items() if n.startswith("members.net.")}


assert_close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES.keys())
def test_a_member_is_the_run_of_its_seed(overrides: list[str], run: Run) -> None:
    population = run(*overrides, *QUICK, "population=2", "seed=5")
    table = pd.read_csv(population.folder / "members.csv").set_index("seed")
    for member, seed in enumerate((5, 6)):
        alone = run(*overrides, *QUICK, f"seed={seed}")
        assert_close(last_weights(population, member), last_weights(alone))
        expected = {**alone.summary["metrics"], alone.summary["monitor"]["name"]: alone.score}
        assert table.loc[seed, list(expected)].to_dict() == pytest.approx(expected, rel=1e-3)
        assert table.loc[seed, "epoch"] == saved(alone, "best")["epoch"]
    assert population.score == pytest.approx(table[population.summary["monitor"]["name"]].mean())


def test_a_shared_order_is_that_of_the_first_seed(run: Run) -> None:
    population = run(*DIGITS, *QUICK, "population=2", "population_order=shared")
    alone = run(*DIGITS, *QUICK, "seed=1", "data.seed=0")
    assert_close(last_weights(population, 1), last_weights(alone))


def test_the_best_member_leaves_an_ordinary_checkpoint(run: Run) -> None:
    population = run(*DIGITS, *QUICK, "population=3")
    best = saved(population, "best")
    seed = population.summary["monitor"]["best_seed"]
    assert (best["config"]["seed"], best["config"]["data"]["seed"], best["config"]["population"]) == (seed, seed, 1)
    alone = run(*DIGITS, *QUICK, f"seed={seed}")
    expected = saved(alone, "best")
    assert_close(best["state_dict"], expected["state_dict"])
    assert_close(best["optimizer_states"], expected["optimizer_states"])
    assert best["lr_schedulers"] == expected["lr_schedulers"]
    assert (best["epoch"], best["global_step"]) == (expected["epoch"], expected["global_step"])
    parts = build(compose_config(*DIGITS, *QUICK, f"seed={seed}", "run_dir=unused"))
    parts.model.load_state_dict(best["state_dict"])
    (tested,) = parts.trainer.test(parts.model, datamodule=parts.datamodule, verbose=False)
    assert tested == pytest.approx(alone.summary["metrics"], rel=1e-3)


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path: Path) -> None:
    populations = []
    for poison in (1.0, torch.nan):
        overrides = [*DIGITS, "trainer=cpu", "callbacks=none", "logger=none", "population=3", f"run_dir={tmp_path}"]
        parts = build(compose_config(*overrides))
        trainer, datamodule, model = parts.trainer, parts.datamodule, parts.model
        with torch.no_grad():
            model.weights["net.1.weight"][1] *= poison
        trainer.fit(model, datamodule=datamodule)
        populations.append(model)
        assert trainer.callback_metrics["val/loss"].isfinite()
    sound, poisoned = populations
    for name, tensor in poisoned.weights.items():
        assert torch.equal(tensor[[0, 2]], sound.weights[name][[0, 2]])
    assert poisoned.best_scores.isfinite().tolist() == [True, False, True]
    assert poisoned.best_member != 1


def test_metrics_and_spread_are_logged(run: Run) -> None:
    done = run(*DIGITS, "trainer=cpu", "population=3")
    metrics, table = pd.read_csv(done.folder / "metrics.csv"), pd.read_csv(done.folder / "members.csv")
    for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert (metrics[f"{name}_min"] <= metrics[name]).all()
        assert (metrics[name] <= metrics[f"{name}_max"]).all()
    for name in ("test/loss", "test/acc"):
        spread = {
            name: table[name].mean(),
            f"{name}_std": table[name].std(),
            f"{name}_min": table[name].min(),
            f"{name}_max": table[name].max(),
        }
        assert {key: done.summary["metrics"][key] for key in spread} == pytest.approx(spread, rel=1e-4)
    figures = {file.stem for file in (done.folder / "figures").iterdir()}
    of_the_best = {"confusion", "worst_mistakes", "reliability", "first_layer", "examples"}
    assert figures == {"learning_curves", "members", "data", "captions", *of_the_best}
    assert done.summary["parameters"] == 64 * 32 + 32 + 32 * 10 + 10


def test_members_have_their_scores_where_the_test_is_left_alone(run: Run) -> None:
    done = run("model=xor", "population=3", "trainer.max_epochs=2", "test=false")
    table = pd.read_csv(done.folder / "members.csv")
    assert list(table) == ["seed", "epoch", "val/acc", "val/loss"]
    assert table["val/loss"].mean() == pytest.approx(done.summary["monitor"]["best"])


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optimizer=lbfgs", "torch.optim.LBFGS, which does not work element by element"),
        ("scheduler=plateau", "a scheduler that waits for validation"),
        ("trainer=ddp_cpu", "several processes"),
        ("trainer.gradient_clip_val=1", "trainer.gradient_clip_val=1, which looks at all gradients together"),
        ("monitor=train/loss", "monitor=train/loss, which is no metric of the validation"),
    ],
)
def test_what_would_couple_the_members_is_refused(override: str, reason: str, run: Run) -> None:
    text = error_of(run, *DIGITS, "population=2", override)
    assert text == f"population=2: not possible with {reason}; set it to 1, or change that"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", "a whole number from 1"), ("1.5", "a whole number from 1"), ("true", "a number, like 1")],
)
def test_a_population_is_a_count(value: str, expected: str, run: Run) -> None:
    assert error_of(run, *DIGITS, f"population={value}") == f"population={value}: should be {expected}"


@pytest.mark.parametrize("name", choices("optimizer"))
def test_all_optimizers_but_lbfgs_work_element_by_element(name: str) -> None:
    assert elementwise(instantiate(compose_config(f"optimizer={name}").optimizer)) is (name != "lbfgs")


@pytest.mark.parametrize("name", ["Muon", "Adafactor", "SparseAdam"])
def test_optimizers_that_look_at_whole_matrices_are_found_out(name: str) -> None:
    if not hasattr(torch.optim, name):
        pytest.skip(f"this torch has no {name}")
    assert not elementwise(partial(getattr(torch.optim, name), lr=0.1))


def linear(task: Task) -> LinearRegression:
    return build_model(LinearRegression, task, in_features=1, out_features=task.out_features)


@pytest.mark.parametrize(
    ("task", "y"),
    [
        (Regression(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])), torch.randn(5, 6, 2)),
        (Binary(["a", "b"]), torch.randint(0, 2, (5, 6))),
        (Multiclass(["a", "b", "c"]), torch.randint(0, 3, (5, 6))),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_metrics_of_members_are_those_of_each(task: Task, y: Tensor) -> None:
    single = [linear(task).val_metrics for _ in range(5)]
    together = MemberMetrics(linear(task).val_metrics, 5)
    for _ in range(2):
        preds, loss = task.prediction(torch.randn(5, 6, task.out_features)), torch.rand(5)
        together.update(value=loss, weight=6, preds=preds, target=y)
        for member, metrics in enumerate(single):
            metrics.update(value=loss[member], weight=6, preds=preds[member], target=y[member])
    expected = [metrics.compute() for metrics in single]
    for name, values in together.compute().items():
        torch.testing.assert_close(values, torch.stack([metrics[name] for metrics in expected]))
