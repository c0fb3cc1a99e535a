from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt

from kindling.data.base import InMemoryDataModule
from kindling.data.splits import SPLIT_SEED, Split, split_rows
from kindling.data.tasks import Regression
from kindling.errors import UserError

MAX_NUMBERS = 2**27  # in x, y and W: half a gigabyte


class Linear(InMemoryDataModule):
    """y = xW + b + noise, with x, W and b standard normal; `weight` (out_features, in_features) and `bias` are kept.

    Four fifths of the samples are for training, a tenth each for validation and test.
    """

    tasks = ("regression",)
    source = "synthetic"

    def __init__(
        self,
        in_features: PositiveInt = 4,
        out_features: PositiveInt = 2,
        num_samples: Annotated[int, Field(ge=20)] = 1000,
        noise_std: NonNegativeFloat = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        numbers = num_samples * (in_features + out_features) + in_features * out_features
        if numbers > MAX_NUMBERS:
            raise UserError(f"data.num_samples={num_samples}: {numbers:,} numbers, and {MAX_NUMBERS:,} are the most")
        self.shape = (num_samples, in_features, out_features)
        self.noise_std = noise_std

    def contents(self) -> Iterator[Any]:
        """What they are made from: another processor makes other last digits."""
        yield str((self.shape, self.noise_std, self.fold, self.num_folds))

    def load(self) -> None:
        num_samples, in_features, out_features = self.shape
        generator = torch.Generator().manual_seed(SPLIT_SEED)
        self.weight = torch.randn(out_features, in_features, generator=generator)
        self.bias = torch.randn(out_features, generator=generator)
        x = torch.randn(num_samples, in_features, generator=generator)
        noise = torch.randn(num_samples, out_features, generator=generator)
        y = x @ self.weight.T + self.bias + self.noise_std * noise
        self.splits = {name: Split(x[rows], y[rows]) for name, rows in split_rows(num_samples).items()}
        self.task = Regression(torch.zeros(out_features), torch.ones(out_features))
