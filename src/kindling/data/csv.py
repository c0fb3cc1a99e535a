"""Any CSV file as a data set."""

import logging
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from kindling.config.quoting import argument
from kindling.data import checks
from kindling.data.columns import converted, find_reading, idle, is_text, read_columns
from kindling.data.divided import Division, Rows, Size
from kindling.data.encoder import numbers
from kindling.data.reading import read_table, restored
from kindling.data.tabular import TabularDataModule
from kindling.data.tasks import Binary, Multiclass
from kindling.errors import UserError, shown, some

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Column = str | int  # a name of digits is a number on the command line


class CSV(TabularDataModule):
    """Any CSV file with a header.

    What is None of how the file is written is found where the file allows one reading only. A model keeps the reading
    that it learned with, for files to come.

    Args:
        path: of the file.
        target: the column to predict, or several for a regression, and those of the labels.
        features: the columns to predict from; null takes all the others, but for saved indices, copies of another
            column, and the columns that say how to split.
        task: what the target is.
        separator: one letter, which separates the columns.
        encoding: of the text. null: what the mark at its start says, or UTF-8.
        decimal: what decimals begin with.
        thousands: what separates groups of digits.
        dates: how columns of dates are written, for strptime; or of which column how. A date becomes the number of days
            since the first one.
        missing: words for a missing value besides the empty cell. null: none, and the usual ones are asked about.
        drop_missing: whether rows without a target are left out.
        val_size: rows for validation, or their share; null: a tenth.
        test_size: likewise, for the test.
        split: a column that says train, val or test.
        test_path: of another file, whose rows are the test.
        group: a column, of which rows with an equal value are in one split, and one fold.
        order: a column of numbers or dates, of which the greatest are the test and those before them for validation.
        weight: a column of numbers from 0 on: what a row counts in the loss. It is no feature.

    Raises:
        UserError: where the file is missing, empty or too short, or a column is missing or not what the task needs.
    """

    tasks = ("regression", "binary", "multiclass", "multilabel")
    minimum_rows = 6  # two rows for each split

    def __init__(
        self,
        path: str,
        target: Column | list[Column],
        features: list[Column] | None = None,
        task: Literal["regression", "binary", "multiclass", "multilabel"] = "regression",
        separator: str | None = None,
        encoding: str | None = None,
        decimal: Literal[".", ","] | None = None,
        thousands: str | None = None,
        dates: str | dict[str, str] | None = None,
        missing: Any = None,
        drop_missing: bool | None = None,
        val_size: Size = None,
        test_size: Size = None,
        split: Column | None = None,
        test_path: str | None = None,
        group: Column | None = None,
        order: Column | None = None,
        weight: Column | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = Path(path)
        self.target = [str(name) for name in (target if isinstance(target, list) else [target])]
        self.features = features if features is None else [str(name) for name in features]
        self.kind = task
        self.source = path
        self.given = checks.reading(separator, encoding, decimal, thousands, missing)
        self.weight = None if weight is None else str(weight)
        self.dates = dates
        self.drop_missing = bool(drop_missing)
        columns = {
            key: None if v is None else str(v) for key, v in (("split", split), ("group", group), ("order", order))
        }
        test_file = None if test_path is None else Path(test_path)
        self.division = Division(**columns, test_path=test_file, test_size=test_size, val_size=val_size, fold=self.fold)

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        import pandas as pd

        known = self.state is not None and hasattr(self, "encoder")
        table, features = self._known(self.path, "data.path") if known else self._found()
        table = self._with_targets(table)
        if len(table) < self.minimum_rows:
            raise UserError(
                f"data.path={self.path}: {len(table)} data rows are too few to split into training, validation and "
                f"test; at least {self.minimum_rows} are needed"
            )
        table = self._checked(table, self.path)
        checks.values(table[features], table[self.target], self.kind, self.path, self.reading.missing)
        if not known:
            checks.report(table[features], table[self.target], self.reading, self.features is not None)
        self.num_test = 0
        if self.division.test_path:
            test = self._like(table, features, self.division.test_path)
            table, self.num_test = pd.concat([table, test], ignore_index=True), len(test)
        self.by = table[list(self.division.columns.values())]
        self.weights = None if self.weight is None else table[self.weight].to_numpy()
        return table[features], table[self.target]

    def load(self) -> None:
        super().load()
        if self.weights is not None:  # x are the numbers of the rows
            weights = torch.tensor(self.weights, dtype=self.row_dtype)
            self.splits = {name: replace(split, weight=weights[split.x]) for name, split in self.splits.items()}

    def _checked(self, table: "pd.DataFrame", path: Path) -> "pd.DataFrame":
        """With weights that are such, and with 0 and 1 for labels."""
        if self.weight is not None:
            checks.weights(table[self.weight], path)
        if self.kind == "multilabel":
            table = table.assign(**{name: checks.label(table[name], path) for name in self.target})
        return table

    def _found(self) -> "tuple[pd.DataFrame, list[str]]":
        """The table and its features, with `reading` to be found."""
        named = f"data.path={self.path}"
        types = dict.fromkeys(self.dates, str) if isinstance(self.dates, dict) else {}
        table = read_table(self.path, named, replace(self.given, missing=self.given.missing or []), types)
        self._check_names(table, self.path)
        repeated = table.attrs["repeated"]
        used = [*self.target, *self._columns().values()]
        others = [name for name in table.columns if name not in used]
        features = others if self.features is None else self.features
        checks.names("data.features", features, table, self.path)
        for name in set(self.target) & set(features):
            raise UserError(f"data.features={name}: is the target, which cannot predict itself")
        if self.weight in features:
            raise UserError(f"data.features={self.weight}: is data.weight, which is no feature")
        names = list(dict.fromkeys([*features, *self._numeric()]))
        names = [name for name in names if table[name].dtype.kind != "b"]
        self.reading = find_reading(table, self.path, self.given, names, self.target, self.dates)
        if self.reading.is_plain:
            table = converted(table, named, self.reading, names)
        else:  # numbers that pandas takes for texts, and some of which it reads wrong
            table = read_columns(self.path, named, self.reading, names)
        reasons = idle(table[features]) if self.features is None else {}
        for reason, names in reasons.items():
            log.warning("WARNING: column %s is left out: %s; data.features can name it", some(names), reason)
        left = [name for name in features if name not in chain(*reasons.values())]
        if repeated := [name for name in repeated if f"{name}.1" in left]:
            log.warning("WARNING: several columns are named %s: the second is taken as NAME.1", some(repeated))
        return table, left

    def _known(self, path: Path, key: str) -> "tuple[pd.DataFrame, list[str]]":
        """Likewise, as the model has learned to read it."""
        known = list(self.encoder.columns)
        if self.features is not None and set(self.features) != set(known):
            raise UserError(f"data.features={self.features}: the model has learned from {some(known)} alone")
        table = self.read_known(path, f"{key}={path}", self._numeric())
        self._check_names(table, path)
        checks.names("data.features", known, table, path)
        return table, self.features or [name for name in table.columns if name in self.encoder.columns]

    def _columns(self) -> dict[str, str]:
        """By key, those that are neither features nor target."""
        return self.division.columns | ({} if self.weight is None else {"weight": self.weight})

    def _numeric(self) -> list[str]:
        """Columns besides the features that are numbers or dates."""
        others = [name for name in (self.division.order, self.weight) if name is not None]
        return [*others, *(self.target if self.kind == "regression" else [])]

    def _check_names(self, table: "pd.DataFrame", path: Path) -> None:
        separator = self.given.separator
        if separator not in (None, table.attrs["separator"]):
            raise UserError(f"{argument('data.separator', separator)}: the header of {path} has none")
        checks.names("data.target", self.target, table, path)
        for key, name in [*(("target", name) for name in self.target), *self._columns().items()]:
            checks.names(f"data.{key}", [name], table, path)
            if name in table.attrs["repeated"]:
                raise UserError(f"data.{key}={name}: {path} has several columns of this name")
        for key, name in self._columns().items():
            if name in self.target:
                raise UserError(f"data.{key}={name}: is the target")

    def _with_targets(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """Without the rows that have no target, where the user wants it so."""
        gaps = table[self.target].isna().any(axis=1)
        if not self.drop_missing or not gaps.any():
            return table
        log.info("%d of %d rows are left out, which have no %s", gaps.sum(), len(table), " or ".join(self.target))
        kept = table[~gaps].reset_index(drop=True)
        return kept.assign(**{name: whole(kept[name]) for name in self.target})

    def _like(self, table: "pd.DataFrame", features: list[str], path: Path) -> "pd.DataFrame":
        """The rows of the file for the test, read as the `table` was."""
        named, columns = f"data.test_path={path}", [*features, *self.target]
        texts = {name: str for name in columns if is_text(table[name])}
        numeric = [name for name in columns if table[name].dtype.kind in "iuf"]
        test = read_columns(path, named, self.reading, [*numeric, *self._numeric()], texts, learned=True)
        checks.names("data.target", self.target, test, path)
        checks.names("data.features", features, test, path)
        if self.weight is not None:
            checks.names("data.weight", [self.weight], test, path)
        test = self._with_targets(test)
        if test.empty:
            raise UserError(f"{named}: has no rows to test with")
        for name in numeric:
            test[name] = numbers(test[name], named)
        for name in [name for name in columns if table[name].dtype.kind == "b"]:
            test[name] = as_bool(test[name], named)
        test = test.assign(**{name: whole(test[name]) for name in self.target})
        test = self._checked(test, path)
        checks.values(test[features], test[self.target], self.kind, path, self.reading.missing, whole=False)
        if self.kind in ("binary", "multiclass"):
            task = getattr(self, "task", None)  # of the checkpoint
            known = task.classes if isinstance(task, Binary | Multiclass) else table[self.target[0]].unique()
            checks.classes(test[self.target[0]], known, named)
        return test

    def rows_of_splits(self, y: "pd.DataFrame") -> Rows:
        classes = y.iloc[:, 0].to_numpy() if self.kind in ("binary", "multiclass") else None
        return self.division.rows(self.by, classes, self.num_test, str(self.path))

    def groups(self) -> Tensor | None:
        import pandas as pd

        if self.division.group is None:
            return None
        rows = torch.cat([self.splits["train"].x, self.splits["val"].x])
        return torch.from_numpy(pd.factorize(self.by[self.division.group])[0])[rows]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "reading": asdict(self.reading)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What is given for this file counts more than how that of training was written."""
        super().load_state_dict(state_dict)
        if self.state is state_dict:
            given = {name: value for name, value in vars(self.given).items() if value not in (None, {})}
            self.reading = replace(restored(state_dict.get("reading", {})), **given)


def as_bool(column: "pd.Series", named: str) -> "pd.Series":
    """True and False, where another file may have 1 and 0 for them."""
    if not column.isin([0, 1]).all():
        odd = column[~column.isin([0, 1])].iloc[0]
        raise UserError(f"{named}: column {column.name} holds {shown(str(odd))}, and True or False is needed")
    return column.astype(bool)


def whole(column: "pd.Series") -> "pd.Series":
    """Numbers that gaps, which are gone, have made fractions of: a class is 1, and not 1.0."""
    return column.astype("int64") if column.dtype.kind == "f" and (column % 1 == 0).all() else column
