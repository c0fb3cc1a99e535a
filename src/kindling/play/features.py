"""The features of a row, with the ranges that a page offers: from what a checkpoint carries."""

from dataclasses import asdict, dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from kindling.data.encoder import Encoder
from kindling.data.tabular import TabularDataModule
from kindling.errors import UserError, shown

SPREADS = 2  # standard deviations on each side of the mean: 19 of 20 values of a normal distribution
POINTS = 25  # of a curve
MOST = 60  # features that fit a form


@dataclass
class Feature:
    """Args:
    low, high: of the slider; other values are allowed.
    value: to begin with.
    note: what the range is.
    categories: of texts, instead of a range.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    value: float | str = 0.0
    note: str = ""
    categories: list[str] | None = None

    @property
    def choices(self) -> list[Any]:
        """Values over which its effect is shown."""
        return self.categories or np.linspace(self.low, self.high, POINTS).tolist()


class Features:
    """Those of a data module whose rows are short, as a list and from values to what the model takes."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.encoder = data.encoder if isinstance(data, TabularDataModule) and hasattr(data, "encoder") else None
        self.all = self._of_numbers() if self.encoder is None else self._of_table(self.encoder)

    def _of_table(self, encoder: Encoder) -> list[Feature]:
        found = []
        dates = getattr(getattr(self.data, "reading", None), "dates", {})
        numeric = [name for name, categories in encoder.columns.items() if categories is None]
        for place, name in enumerate(numeric):
            mean, std, median = encoder.mean[place], encoder.std[place], encoder.median[place]
            if (mean, std) == (0, 1):  # not standardised
                mean, std, note = median, max(abs(median), 1) / SPREADS, "around the median; the spread is not known"
            else:
                note = f"mean ± {SPREADS} standard deviations of the training rows"
            if name in dates:
                note = f"days since {dates[name][1].removesuffix('T00:00:00+00:00')}; {note}"
            found.append(Feature(name, mean - SPREADS * std, mean + SPREADS * std, median, note))
        for name, categories in encoder.columns.items():
            if categories is not None:
                found.append(Feature(name, value=categories[-1] if categories else "", categories=categories))
        return found

    def _of_numbers(self) -> list[Feature]:
        """Ranges from the rows where they are had without a download."""
        low, high = np.full(self.data.in_features, -2.0), np.full(self.data.in_features, 2.0)
        note = "the range is not known"
        if type(self.data).prepare_data is L.LightningDataModule.prepare_data:
            try:
                self.data.setup("test")
                rows = self.data.raw_inputs("train").double().numpy()
                margin = 0.25 * np.ptp(rows, axis=0)
                low, high = rows.min(axis=0) - margin, rows.max(axis=0) + margin
                note = "a little beyond the training rows"
            except (UserError, OSError, NotImplementedError):
                pass
        return [
            Feature(f"x{place + 1}", float(a), float(b), float((a + b) / 2), note)
            for place, (a, b) in enumerate(zip(low, high, strict=True))
        ]

    def about(self) -> list[dict[str, Any]]:
        return [asdict(feature) for feature in self.all]

    def check(self, values: Any) -> list[Any]:
        """Raises:
        UserError: where these are not one finite number, or one text, for each feature.
        """
        if not isinstance(values, list) or len(values) != len(self.all):
            raise UserError(f"a row should be a list of {len(self.all)} values")
        limit = float(torch.finfo(torch.float32).max)
        for feature, value in zip(self.all, values, strict=True):
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= limit
            if not (isinstance(value, str) if feature.categories is not None else is_number):
                kind = "text" if feature.categories is not None else "finite number"
                raise UserError(f"{shown(feature.name)}: should be a {kind}, and is {shown(repr(value))}")
        return values

    def rows(self, values: list[list[Any]]) -> Tensor:
        """(N, F) values, as they come, to x (N, ...)."""
        if self.encoder is None:
            return torch.tensor(values, dtype=self.data.row_dtype).reshape(-1, *self.data.row_shape)
        import pandas as pd

        table = pd.DataFrame(values, columns=[feature.name for feature in self.all])
        return torch.tensor(self.encoder.matrix(table), dtype=self.data.row_dtype)
