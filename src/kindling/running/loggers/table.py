"""What a run predicts, as a table to look through: the worst first."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from kindling.data.supervised import SupervisedDataModule
from kindling.data.tabular import TabularDataModule
from kindling.data.tasks import Binary, Multiclass, Multilabel
from kindling.models.base import SupervisedModule
from kindling.models.predictor import probabilities
from kindling.population.model import Population

ROWS = 200
FEATURES = 20  # columns


def worst_predictions(model: Any, data: Any, split: Any, num_rows: int = ROWS) -> pd.DataFrame | None:
    """`row` of the split, its input, `label`, `prediction` and `probability`: wrong ones first, of these and of the
    others the surest first; of values those with the largest `error` first.

    An input is a picture (C, H, W) as it is kept, a Tensor, in the column `image`, or its first features. None where
    the model or the data are not Kindling's own. Of a population they are those of its best member.
    """
    from kindling.pictures.seen import predict

    if not (isinstance(model, SupervisedModule) and isinstance(data, SupervisedDataModule)):
        return None
    if isinstance(model, Population):
        model = model.member(model.best_member)
    training = model.training
    predictions, y = predict(model.eval(), data.batches(split))  # without dropout
    model.train(training)
    answers = told(model.task, predictions, y).rename_axis("row").reset_index()
    order = ["wrong", "probability"] if "probability" in answers else ["error"]
    answers = answers.sort_values(order, ascending=False, kind="stable", key=abs)[:num_rows]
    rows = answers["row"].tolist()
    inputs = inputs_of(data, split, rows)
    inputs.index = answers.index
    return pd.concat([answers[["row"]], inputs, answers.drop(columns="row")], axis=1)


def told(task: Any, predictions: Tensor, y: Tensor) -> pd.DataFrame:
    """A row each, in their order."""
    if isinstance(task, Binary | Multiclass):
        probability, predicted = probabilities(task, predictions).max(dim=1)
        truth = y.long()
        label, prediction = ([task.classes[place] for place in column.tolist()] for column in (truth, predicted))
        wrong = (predicted != truth).numpy()
        columns = {"label": label, "prediction": prediction, "probability": probability.numpy(), "wrong": wrong}
        return pd.DataFrame(columns)
    if isinstance(task, Multilabel):
        predicted, true = predictions > 0.5, y.bool()
        label, prediction = ([named(task.labels, row) for row in table.tolist()] for table in (true, predicted))
        sure = torch.where(predicted, predictions, 1 - predictions).amin(dim=1)  # of the label it is least sure of
        wrong = (predicted != true).sum(dim=1).numpy()
        return pd.DataFrame({"label": label, "prediction": prediction, "probability": sure.numpy(), "wrong": wrong})
    several = y.shape[1] > 1
    ends = [f"_{place}" if several else "" for place in range(y.shape[1])]
    values = {"label": y, "prediction": predictions}
    columns = {f"{name}{end}": table[:, at].numpy() for name, table in values.items() for at, end in enumerate(ends)}
    difference = predictions - y
    return pd.DataFrame({**columns, "error": (difference.norm(dim=1) if several else difference[:, 0]).numpy()})


def named(labels: list[str], row: list[bool]) -> str:
    return ", ".join(label for label, has in zip(labels, row, strict=True) if has)


def inputs_of(data: SupervisedDataModule, split: Any, rows: list[int]) -> pd.DataFrame:
    if len(data.row_shape) == 3:
        return pd.DataFrame({"image": pd.Series([data.raw_row(split, row) for row in rows], dtype=object)})
    if isinstance(data, TabularDataModule):
        values, names = data.raw_inputs(split)[rows], list(data.encoder.names)
    else:
        values = torch.stack([torch.as_tensor(data.raw_row(split, row)).flatten() for row in rows])
        names = [f"x{place}" for place in range(1, values.shape[1] + 1)]
    return pd.DataFrame(values[:, :FEATURES].numpy(), columns=names[:FEATURES])
