"""The features of a table, and what a model loses when one of them is shuffled among the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tabular import TabularDataModule
from kindling.models.base import SupervisedModule
from kindling.pictures import columns

MOST_ROWS = 1_000  # of the test
FEWEST_ROWS = 2  # that can be shuffled
MOST_FEATURES = 1_000
CLOSELY = 20  # features that are shuffled several times
SHUFFLES = 5
FIRST_LOOK = 200  # rows, where there are more features than that


@dataclass(frozen=True)
class Feature:
    """One column of a table, which may be several of x: one for each of its `categories`.

    Args:
        mean: of what x holds, before it was standardised.
        std: likewise.
    """

    name: str
    columns: slice
    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    std: float = 1.0

    def values(self, x: Tensor) -> np.ndarray:
        """Of rows (N, ...), in its own units, (N,); or the places of categories, -1 where it is none of them."""
        own = x[:, self.columns].double().cpu().numpy()
        if self.categories is None:
            return own[:, 0] * self.std + self.mean
        return np.where(own.any(axis=1), own.argmax(axis=1), -1)


@dataclass
class Features:
    """Args:
    x: (N, ...) some rows of the test, as the model takes them, and their `y`.
    """

    model: SupervisedModule
    every: list[Feature]
    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, model: SupervisedModule, data: SupervisedDataModule, split: SplitName = "test") -> "Features | None":
        if len(data.row_shape) != 1 or data.state_dict()["tokens"]:
            return None
        every = features_of(data)
        if len(every) > MOST_FEATURES:
            return None
        parts: list[Any] = []
        for x, y, *_ in data.batches(split):
            parts.append((placed(x, model), y.to(next(model.parameters()).device)))
            if sum(len(x) for x, _ in parts) >= MOST_ROWS:
                break
        x, y = (torch.cat(of_all)[:MOST_ROWS] for of_all in zip(*parts, strict=True))
        return cls(model, every, x, y) if len(x) >= FEWEST_ROWS else None

    @torch.no_grad()
    def loss(self, x: Tensor, y: Tensor) -> float:
        return self.model.loss_of(self.model(x), y).item()

    @cached_property
    def base(self) -> float:
        """The loss of the rows as they are."""
        return self.loss(self.x, self.y)

    @cached_property
    def importance(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in `every`, the most important first; and for each of these by how much the loss rises (F, SHUFFLES)
        when it is shuffled (Breiman, 'Random Forests', 2001).
        """
        places = np.arange(len(self.every))
        if len(places) > CLOSELY:  # which of them to look at, by one shuffle of fewer rows
            rows = slice(FIRST_LOOK)
            base = self.loss(self.x[rows], self.y[rows])
            first = self.rises(places, 1, self.x[rows], self.y[rows], base)[:, 0]
            places = np.argsort(-first, kind="stable")[:CLOSELY]
        rises = self.rises(places, SHUFFLES, self.x, self.y, self.base)
        order = np.argsort(-rises.mean(axis=1), kind="stable")
        return places[order], rises[order]

    def rises(self, places: Sequence[int] | np.ndarray, shuffles: int, x: Tensor, y: Tensor, base: float) -> np.ndarray:
        """The same orders of rows for each of the features."""
        random = np.random.default_rng(0)
        orders = [torch.from_numpy(random.permutation(len(x))).to(x.device) for _ in range(shuffles)]
        rises = np.empty((len(places), shuffles))
        for row, place in enumerate(places):
            columns = self.every[place].columns
            for column, order in enumerate(orders):
                shuffled = x.clone()
                shuffled[:, columns] = x[order, columns]
                rises[row, column] = self.loss(shuffled, y) - base
        return rises


def features_of(data: SupervisedDataModule) -> list[Feature]:
    """With the names of their columns, where these are known."""
    if isinstance(data, TabularDataModule):
        return list(of_encoder(data))
    parts = enumerate(zip(columns.features(data), *columns.scale(data), strict=True))
    return [Feature(name, slice(place, place + 1), None, float(mean), float(std)) for place, (name, mean, std) in parts]


def of_encoder(data: TabularDataModule) -> list[Feature]:
    encoder, dates = data.encoder, data.reading.dates
    start, found = 0, []
    for name, categories in encoder.columns.items():
        stop = start + (1 if categories is None else len(categories))
        if stop > start:
            named = f"{name} (days since {dates[name][1]})" if name in dates else name
            kinds = None if categories is None else tuple(text or "(none)" for text in categories)
            found.append(Feature(named, slice(start, stop), kinds, encoder.mean[start], encoder.std[start]))
        start = stop
    return found


def placed(x: Tensor, model: SupervisedModule) -> Tensor:
    """On the device of the model and in its precision; tokens stay whole numbers."""
    parameter = next(model.parameters())
    return x.to(parameter if x.is_floating_point() else parameter.device)
