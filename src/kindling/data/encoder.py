"""The columns of a table as numbers, by what was fitted on the training rows: plain data that a checkpoint carries."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kindling.budget import of_machine
from kindling.errors import UserError, did_you_mean, shown, some
from kindling.files import in_bytes

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Encoder:
    """The numeric columns, then a number for each category of the others, which is 1 there and 0 elsewhere.

    Args:
        columns: the categories of each column, as texts, a gap being the empty one; None for the numeric ones.
        median: of each number that comes out, filled into its gaps.
        mean: of each number that comes out, after that; 0 where it is not standardised.
        std: likewise, or 1.
    """

    columns: dict[str, list[str] | None]
    median: list[float]
    mean: list[float]
    std: list[float]

    @classmethod
    def fit(cls, table: "pd.DataFrame", standardize: bool) -> "Encoder":
        import pandas as pd

        numeric = [str(name) for name in table.select_dtypes(np.number)]
        categories = {str(name): sorted(set(texts(table[name]))) for name in table if str(name) not in numeric}
        values = np.array([numbers(table[name]) for name in numeric]).reshape(len(numeric), len(table))
        median = pd.DataFrame(values).median(axis=1).fillna(0).to_numpy()
        filled = np.where(np.isnan(values), median[:, None], values)
        varies = filled.min(axis=1) < filled.max(axis=1)  # the spread of equal values may come out as 1e-17
        mean = filled.mean(axis=1) if standardize else np.zeros(len(numeric))
        std = np.where(varies, filled.std(axis=1), 1) if standardize else np.ones(len(numeric))
        rest = sum(map(len, categories.values()))
        return cls(
            {**dict.fromkeys(numeric), **categories},
            [*median.tolist(), *[0.0] * rest],
            [*mean.tolist(), *[0.0] * rest],
            [*std.tolist(), *[1.0] * rest],
        )

    @property
    def names(self) -> list[str]:
        """Of the numbers that come out."""
        return [
            name if category is None else f"{name}={category}"
            for name, categories in self.columns.items()
            for category in (categories if categories is not None else [None])
        ]

    def matrix(self, table: "pd.DataFrame", source: str = "the table") -> np.ndarray:
        """The numbers as they are, float64 (N, ...), with NaN for gaps; a category that was not there gives zeros.

        Raises:
            UserError: naming `source`, where a column is missing or holds what is no number.
        """
        missing = [name for name in self.columns if name not in table.columns]
        if missing:
            raise UserError(
                f"{source}: has no column {some(missing)}, which the model takes"
                f"{did_you_mean(missing[0], map(str, table.columns))}"
            )
        size = 8 * len(table) * len(self.names)
        if size > of_machine() // 4:
            most = max(self.columns, key=lambda name: len(self.columns[name] or ()))
            raise UserError(
                f"{source}: would take up {in_bytes(size)} of memory; column {most} has the most categories"
            )
        return np.concatenate(list(self._matrices(table, source)), axis=1)

    def _matrices(self, table: "pd.DataFrame", source: str) -> Iterator[np.ndarray]:
        import pandas as pd

        for name, categories in self.columns.items():
            if categories is None:
                yield numbers(table[name], source)[:, None]
            else:
                places = pd.Index(categories).get_indexer(pd.Index(texts(table[name])))
                yield (places[:, None] == np.arange(len(categories))).astype(float)

    def transform(self, table: "pd.DataFrame", source: str = "the table") -> np.ndarray:
        """What the model takes, float64 (N, ...)."""
        matrix = self.matrix(table, source)
        numeric = slice(sum(categories is None for categories in self.columns.values()))
        values = np.where(np.isnan(matrix[:, numeric]), self.median[numeric], matrix[:, numeric])
        matrix[:, numeric] = (values - self.mean[numeric]) / self.std[numeric]
        return matrix


def texts(column: "pd.Series") -> list[str]:
    """Values as texts, gaps as the empty one."""
    return ["" if gap else str(value) for value, gap in zip(column, column.isna(), strict=True)]


def numbers(column: "pd.Series", source: str = "the table") -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = column[np.isnan(values) & column.notna().to_numpy()]
    if len(wrong):
        raise UserError(f"{source}: column {column.name} holds {shown(str(wrong.iloc[0]))}, which is no number")
    if (np.abs(values) > np.finfo(np.float32).max).any():
        raise UserError(f"{source}: column {column.name} holds infinite values, or beyond single precision")
    return values
