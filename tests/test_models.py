"""Models: their size, their gradients, and what they can and cannot learn."""

import re
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import nn, tensor

from conftest import choices, compose_config
from kindling import Run, compose, train
from kindling.data.tabular import Housing
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression, Task
from kindling.errors import UserError
from kindling.models.base import SupervisedModule
from kindling.models.layers import initialize
from kindling.models.linear_regression import LinearRegression
from kindling.models.losses import MSELoss
from kindling.models.metrics import MeanLoss
from kindling.models.mlp import MLP
from kindling.models.xor import XOR
from solve_xor import rows_right


def build(
    cls: type[SupervisedModule], task: Task, loss: nn.Module | None = None, **options: object
) -> SupervisedModule:
    return cls(task=task, loss=loss or MSELoss(), optimizer=None, scheduler=None, **options)


def units(out_features: int = 1) -> Regression:
    return Regression(torch.zeros(out_features), torch.ones(out_features))


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts() -> None:
    assert size(build(XOR, Binary(["0", "1"]), in_features=2, out_features=1)) == 17
    assert size(build(MLP, Multiclass(list("0123456789")), in_features=784, out_features=10)) == 203_530
    assert size(build(LinearRegression, units(2), in_features=4, out_features=2)) == 10


def housing(weights: list[float], bias: float) -> tuple[LinearRegression, torch.Tensor, torch.Tensor]:
    datamodule = Housing(standardize=False)
    datamodule.setup()
    model = build(LinearRegression, datamodule.task, in_features=3, out_features=1)
    with torch.no_grad():
        model.net.weight.copy_(tensor([weights]))
        model.net.bias.fill_(bias)
    rows = datamodule.splits["train"]
    return model, *rows[torch.arange(3)]


def test_the_housing_prices_by_hand() -> None:
    model, x, _ = housing([0.1, 0.3, 4], bias=0)
    torch.testing.assert_close(model(x)[:, 0], tensor([5.3, 6.2, 6.8]))


@pytest.mark.parametrize(("weights", "mae"), [([0.1, 0.3, 3], 1.0), ([0.1, 0.3, 4], 0.5667), ([0.1, 0.2, 2], 1.7667)])
def test_the_housing_errors_by_hand(weights: list[float], mae: float) -> None:
    model, x, y = housing(weights, bias=0.5)
    model.step((x, y), model.val_metrics)
    assert model.val_metrics.compute()["val/mae"].item() == pytest.approx(mae, abs=1e-4)


def test_the_gradient_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(50, 4, dtype=torch.double), torch.randn(50, 1, dtype=torch.double)
    model = build(LinearRegression, units(), in_features=4, out_features=1).double()
    model.step((x, y), model.train_metrics).backward()
    error = x @ model.net.weight.T + model.net.bias - y
    torch.testing.assert_close(model.net.weight.grad, 2 / 50 * (x.T @ error).T, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.net.bias.grad, 2 / 50 * error.sum(dim=0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "identity"])
def test_every_activation_builds(name: str) -> None:
    model = build(MLP, units(), in_features=6, out_features=1, hidden_features=[5, 4], activation=name)
    assert model(torch.randn(3, 2, 3)).shape == (3, 1)


def test_an_mlp_has_the_layers_asked_for() -> None:
    task = Multiclass(["a", "b", "c"])
    model = build(
        MLP,
        task,
        in_features=6,
        out_features=3,
        hidden_features=[5, 4],
        normalization="batch",
        dropout=0.5,
        init="orthogonal",
    )
    kinds = [type(layer).__name__ for layer in model.net]
    assert kinds == ["Flatten"] + ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    torch.testing.assert_close(model.net[-1].weight @ model.net[-1].weight.T, torch.eye(3), atol=1e-5, rtol=0)
    assert size(build(MLP, task, in_features=6, out_features=3, hidden_features=[])) == 6 * 3 + 3


def test_predictions_are_in_the_units_of_the_target() -> None:
    task = Regression(tensor([100.0]), tensor([20.0]))
    model = build(LinearRegression, task, in_features=1, out_features=1)
    nn.init.zeros_(model.net.weight)
    nn.init.ones_(model.net.bias)
    model.step((torch.zeros(2, 1), tensor([[120.0], [130.0]])), model.val_metrics)
    metrics = model.val_metrics.compute()
    assert metrics["val/mae"].item() == pytest.approx(5.0)
    assert metrics["val/loss"].item() == pytest.approx(0.125)  # (0^2 + 0.5^2) / 2, standardised


def test_r2_keeps_its_digits_where_targets_are_large() -> None:
    torch.manual_seed(0)
    y = 1e6 + 100 * torch.randn(1000, 1, dtype=torch.double)
    predictions = y + 30 * torch.randn(1000, 1, dtype=torch.double)
    r2 = Regression(tensor([1e6]), tensor([100.0])).metrics()["r2"]
    r2.update(predictions.float(), y.float())
    expected = 1 - ((predictions - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert r2.compute().item() == pytest.approx(expected.item(), abs=1e-3)


@pytest.mark.parametrize("loss", choices("loss"))
def test_every_loss_accepts_the_target_of_its_tasks(loss: str) -> None:
    module = instantiate(compose_config(f"loss={loss}").loss)
    targets = {
        "regression": (units(2), torch.randn(5, 2)),
        "binary": (Binary(["0", "1"]), torch.randint(0, 2, (5,))),
        "multiclass": (Multiclass(["a", "b", "c"]), torch.randint(0, 3, (5,))),
        "multilabel": (Multilabel(["a", "b", "c"]), torch.randint(0, 2, (5, 3))),
    }
    for name in module.tasks:
        task, y = targets[name]
        output = torch.randn(5, task.out_features, requires_grad=True)
        value = module(output, task.target(y))
        value.backward()
        assert value.shape == ()
        assert torch.isfinite(output.grad).all()


def test_the_default_xor_net_solves_xor_on_every_seed() -> None:
    assert rows_right(["model=xor"], num_seeds=100).tolist() == [4] * 100


def test_the_xor_net_of_courses_fails_on_some_seeds_and_less_so_with_mirrored_units() -> None:
    plain = rows_right(["experiment=xor_relu", "model.init=default"], num_seeds=100)
    mirrored = rows_right(["experiment=xor_relu"], num_seeds=100)
    assert 50 <= (plain == 4).sum() <= 80
    assert (mirrored == 4).sum() >= 88


def test_without_a_hidden_layer_that_bends_xor_cannot_be_learned() -> None:
    assert rows_right(["model=xor", "model.activation=identity"], num_seeds=20).max() <= 3


def test_a_mean_loss_weighs_batches_by_their_rows() -> None:
    metric = MeanLoss()
    metric.update(tensor(1.0), weight=400)
    metric.update(tensor(2.0), weight=100)
    assert metric.compute() == 1.2
    metric.update(tensor([4.0, 4.0]), weight=tensor([250, 250]))
    assert metric.compute() == 2.6
    metric.update(tensor(float("nan")), weight=1)
    assert metric.compute().isnan()


def test_a_loss_is_the_same_in_batches_of_any_size(tmp_path: Path) -> None:
    overrides = ["data=digits", "trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures"]
    done = train(compose([*overrides, f"run_dir={tmp_path}"]))
    losses = [Run(tmp_path, [f"data.batch_size={size}"]).evaluate("val")["val/loss"] for size in (7, 32, 100, 1000)]
    assert losses == pytest.approx([done.score] * 4, rel=1e-5)


@pytest.mark.parametrize(
    ("init", "scale", "mean", "std"),
    [("zeros", None, 0, 0), ("constant", 0.5, 0.5, 0), ("uniform", 0.5, 0, 0.5 / 3**0.5), ("normal", 0.1, 0, 0.1)],
)
def test_weights_start_as_asked(init: str, scale: float | None, mean: float, std: float) -> None:
    layer = nn.Linear(200, 200)
    initialize(layer, init, scale)
    assert layer.weight.mean().item() == pytest.approx(mean, abs=0.01)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert not layer.bias.any()


@pytest.mark.parametrize(
    ("init", "scale", "sentence"),
    [
        ("normal", None, "model.init_scale: model.init=normal needs one, the standard deviation, such as 0.5"),
        ("default", 0.5, "model.init_scale: does nothing with model.init=default, only with constant, uniform, normal"),
    ],
)
def test_a_scale_of_weights_is_given_where_it_counts(init: str, scale: float | None, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        initialize(nn.Linear(2, 2), init, scale)
