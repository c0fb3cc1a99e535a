"""Any CSV file as a data set."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kindling.data import inputs
from kindling.data.tabular import TabularDataModule
from kindling.errors import UserError, did_you_mean, some

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


class CSV(TabularDataModule):
    """Any CSV file with a header.

    Args:
        path: of the file.
        target: the column to predict, or several for a regression.
        features: the columns to predict from; null takes all the others.
        task: what the target is.

    Raises:
        UserError: where the file is missing, empty or too short, or a column is missing or not what the task needs.
    """

    tasks = ("regression", "binary", "multiclass")
    minimum_rows = 6  # two rows for each split

    def __init__(
        self,
        path: str,
        target: str | list[str],
        features: list[str] | None = None,
        task: Literal["regression", "binary", "multiclass"] = "regression",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = Path(path)
        self.target = [target] if isinstance(target, str) else target
        self.features = features
        self.kind = task
        self.source = path

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        table = self._table()
        features = [c for c in table.columns if c not in self.target] if self.features is None else self.features
        self._check_names("data.target", self.target, table)
        self._check_names("data.features", features, table)
        for name in set(self.target) & set(features):
            raise UserError(f"data.features={name}: is the target, which cannot predict itself")
        x, y = table[features], table[self.target]
        self._check_values(x, y)
        self._report(x)
        return x, y

    def _report(self, x: "pd.DataFrame") -> None:
        """What becomes of each column; a text column with a value of its own in most rows is no category."""
        numeric = [name for name in x if x[name].dtype.kind in "iuf"]
        categorical = [name for name in x if name not in numeric]
        gaps = [name for name in x if x[name].isna().any()]
        for kind, names in (("numeric", numeric), ("one-hot", categorical), ("gaps filled", gaps)):
            if names:
                log.info("%s: %s", kind, some(names))
        many = [name for name in categorical if x[name].nunique() > len(x) / 2]
        for name in many[:5]:
            log.warning(
                "WARNING: column %s has %d different texts in %d rows; data.features can leave it out",
                name,
                x[name].nunique(),
                len(x),
            )
        if many[5:]:
            log.warning("WARNING: likewise %s", some(many[5:]))

    def _check_names(self, key: str, names: list[str], table: "pd.DataFrame") -> None:
        if not names:
            raise UserError(f"{key}: at least one column of {self.path} is needed")
        for name in names:
            if name not in table.columns:
                raise UserError(
                    f"{key}={name}: {self.path} has no such column, only {some(table.columns)}"
                    f"{did_you_mean(name, table.columns)}"
                )
            if names.count(name) > 1:
                raise UserError(f"{key}={name}: the column is named twice")

    def _table(self) -> "pd.DataFrame":
        types = self.column_types() if self.state and hasattr(self, "encoder") else None
        table = inputs.read_table(self.path, f"data.path={self.path}", types)
        if len(table) < self.minimum_rows:
            raise UserError(
                f"data.path={self.path}: {len(table)} data rows are too few to split into training, validation and "
                f"test; at least {self.minimum_rows} are needed"
            )
        return table

    def _check_values(self, x: "pd.DataFrame", y: "pd.DataFrame") -> None:
        for name, column in [*x.items(), *y.items()]:
            if column.dtype.kind == "f" and (column.abs() > np.finfo(np.float32).max).any():
                raise UserError(
                    f"data.path={self.path}: column {name} holds infinite values, or beyond single precision"
                )
        for name, column in y.items():
            if column.isna().any():
                raise UserError(f"data.target={name}: {column.isna().sum()} rows of {self.path} have no value in it")
            if self.kind == "regression" and column.dtype.kind not in "iuf":
                raise UserError(
                    f"data.target={name}: a regression needs numbers, and {self.path} has others, such as "
                    f"{column.iloc[0]!r}; for classes set data.task to binary or multiclass"
                )
        if self.kind != "regression":
            if y.shape[1] > 1:
                raise UserError(f"data.target: data.task={self.kind} takes one column, not {y.shape[1]}")
            num_classes = y.iloc[:, 0].nunique()
            if num_classes < 2 or (self.kind == "binary" and num_classes > 2):
                raise UserError(
                    f"data.target={self.target[0]}: data.task={self.kind} needs "
                    f"{'two' if self.kind == 'binary' else 'at least two'} classes, and {self.path} has {num_classes}"
                )
