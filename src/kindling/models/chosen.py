"""Metrics that are chosen in the config: any of torchmetrics, told what the data are, and tried before training."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any, get_args

import torch
from hydra.utils import get_object
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from kindling.config.construct import construct
from kindling.config.signatures import OF_DATA, signature
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression, Task
from kindling.errors import UserError, shown


def make_metrics(nodes: Mapping[str, Any], task: Any) -> MetricCollection:
    """By the names in the config; `task` is that of the data, where it is one of Kindling's. For other data, they have
    to be given what they ask for.

    Raises:
        UserError: where one does not go with the data, or its value is not one number.
    """
    found: dict[str, Metric] = {}
    for name, node in nodes.items():
        if node is None:
            continue
        if hasattr(MetricCollection, name) or (isinstance(task, Task) and name in {"loss", *task.metrics()}):
            raise UserError(f"metrics.{name}: there is something of this name already; choose another")
        given = of_data(name, node, task)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric .* will save all targets")  # of an epoch, as it has to
            found[name] = construct(f"metrics.{name}", node, **given)
        if isinstance(task, Task):
            check(name, node, found[name], task)
    return MetricCollection(found, compute_groups=False)  # type: ignore[arg-type]


def of_data(name: str, node: Mapping[str, Any], task: Any) -> dict[str, Any]:
    """What the class asks for and the config does not say: the kind of task, the numbers of classes and labels."""
    parameters = signature(get_object(node["_target_"]))
    if not isinstance(task, Task):
        for key in OF_DATA & parameters.keys() - node.keys():
            if parameters[key].default is inspect.Parameter.empty:
                raise UserError(
                    f"metrics.{name}.{key}: a value is required by {node['_target_']}, for data without a task"
                )
        return {}
    known: dict[str, Any] = {"task": task.name}
    if isinstance(task, Multiclass):
        known["num_classes"] = task.out_features
    if isinstance(task, Multilabel):
        known["num_labels"] = task.out_features
    given = {key: value for key, value in known.items() if key in parameters and key not in node}
    kinds = get_args(parameters["task"].annotation) if "task" in parameters else ()
    of_one_kind = {"num_classes", "num_labels"} & parameters.keys() if "task" not in parameters else set()
    if of_one_kind - {*node, *given} or (kinds and given.get("task", kinds[0]) not in kinds):
        raise unfit(name, node, task)
    return given


def check(name: str, node: Mapping[str, Any], metric: Metric, task: Task) -> None:
    """Try it on a few rows.

    Raises:
        UserError: where it takes no such predictions, or gives several numbers.
    """
    of_regression = type(metric).__module__.startswith("torchmetrics.regression")
    if of_regression and not isinstance(task, Regression):  # of probabilities it may make a number all the same
        raise unfit(name, node, task)
    preds, target = few_rows(task)
    attempt = metric.clone()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt.update(
                **attempt._filter_kwargs(value=torch.tensor(1.0), weight=len(target), preds=preds, target=target)
            )
            value = attempt.compute()
    except Exception as error:  # whatever a metric says of what it is not made for
        raise unfit(name, node, task, f" ({shown(' '.join(str(error).split()))})") from None
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = f"{value.numel()} numbers" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise UserError(f"metrics.{name}: {node['_target_']} gives {what}, and one is needed")


def few_rows(task: Task) -> tuple[Tensor, Tensor]:
    """Predictions and targets as the task has them, of every class."""
    rows = max(8, task.out_features)
    generator = torch.Generator().manual_seed(0)
    preds = task.prediction(torch.randn(rows, task.out_features, generator=generator))
    if isinstance(task, Binary | Multiclass):
        return preds, torch.arange(rows) % len(task.classes)
    if isinstance(task, Multilabel):
        return preds, torch.arange(rows)[:, None] // (1 + torch.arange(task.out_features)) % 2
    return preds, task.prediction(torch.randn(rows, task.out_features, generator=generator))


def unfit(name: str, node: Mapping[str, Any], task: Task, why: str = "") -> UserError:
    return UserError(f"metrics.{name}: {node['_target_']} does not go with data whose task is {task.name}{why}")
