"""What inputs and targets are called, and how the numbers that a model sees become their own."""

from collections.abc import Mapping

import numpy as np
import torch

from kindling.data.supervised import SupervisedDataModule
from kindling.data.tabular import TabularDataModule

Scale = tuple[np.ndarray, np.ndarray]  # mean and standard deviation of each feature, (F,)


def features(data: SupervisedDataModule) -> list[str]:
    """Of the numbers of a row, each with its unit where that is known."""
    if isinstance(data, TabularDataModule):
        return [with_unit(name, data.units) for name in data.encoder.names]
    return [f"x{place}" for place in range(1, data.in_features + 1)]


def targets(data: SupervisedDataModule) -> list[str]:
    if isinstance(data, TabularDataModule):
        return [with_unit(name, data.units) for name in data.target_names]
    return ["y"] if data.out_features == 1 else [f"y{place}" for place in range(1, data.out_features + 1)]


def with_unit(name: str, units: Mapping[str, str]) -> str:
    return f"{name} ({units[name]})" if name in units else name


def scale(data: SupervisedDataModule) -> Scale:
    """By which the features were standardised; 0 and 1 where they were not."""
    if isinstance(data, TabularDataModule):
        return np.array(data.encoder.mean), np.array(data.encoder.std)
    state = data.state_dict()
    mean, std = (0.0, 1.0) if state["mean"] is None else (state["mean"], state["std"])
    whole = [torch.as_tensor(part).double().expand(data.row_shape).flatten() for part in (mean, std)]
    return whole[0].numpy(), whole[1].numpy()
