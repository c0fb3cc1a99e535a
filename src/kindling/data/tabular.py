"""Tables: columns imputed, standardised and one-hot encoded by scikit-learn, fitted on the training split alone."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from kindling.data.base import SPLIT_SEED, InMemoryDataModule, Split
from kindling.errors import UserError, did_you_mean
from kindling.tasks import Binary, Multiclass, Regression

if TYPE_CHECKING:
    import pandas as pd  # pandas and scikit-learn take a second to import: only the data sets that need them do


class TabularDataModule(InMemoryDataModule):
    """A subclass reads a table of features and a target; `kind` says which of its tasks the target is.

    Args:
        standardize: numeric features, and the targets of a regression, to mean 0 and standard deviation 1 over the
            training split. Predictions and metrics stay in the units of the target.
    """

    kind: Literal["regression", "binary", "multiclass"] = "regression"

    def __init__(self, standardize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standardize = standardize

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Features (N rows), and targets (N rows; one column for classes)."""
        raise NotImplementedError

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[str, np.ndarray]:
        """A tenth of the rows for validation and test each, at least two; classes are stratified where all can be."""
        from sklearn.model_selection import train_test_split

        held_out = max(2, len(y) // 10)
        classes = y.iloc[:, 0] if self.kind != "regression" else None
        if classes is not None and (classes.value_counts().min() < 3 or held_out < classes.nunique()):
            classes = None
        rest, test = train_test_split(np.arange(len(y)), test_size=held_out, random_state=SPLIT_SEED, stratify=classes)
        stratify = None if classes is None else classes.iloc[rest]
        train, val = train_test_split(rest, test_size=held_out, random_state=SPLIT_SEED, stratify=stratify)
        return {"train": train, "val": val, "test": test}

    def load(self) -> None:
        x, y = self.read()
        rows = self.rows_of_splits(y)
        self.encoder = encoder(x, self.standardize).fit(x.iloc[rows["train"]])
        features = torch.tensor(self.encoder.transform(x), dtype=torch.float32)
        targets = self._targets(y, rows["train"])
        train, val, test = (Split(features[rows[name]], targets[rows[name]]) for name in ("train", "val", "test"))
        self.splits = {"train": train, "val": val, "test": test}

    def _targets(self, y: "pd.DataFrame", train: np.ndarray) -> torch.Tensor:
        if self.kind == "regression":
            targets = torch.tensor(y.to_numpy(), dtype=torch.float32)
            if self.standardize:
                std = targets[train].std(dim=0, correction=0)
                self.task = Regression(targets[train].mean(dim=0), torch.where(std > 0, std, 1.0))
            else:
                self.task = Regression(torch.zeros(y.shape[1]), torch.ones(y.shape[1]))
            return targets
        column = y.iloc[:, 0]
        classes = sorted(column.unique())
        self.task = (Binary if self.kind == "binary" else Multiclass)([str(value) for value in classes])
        return torch.tensor(column.map({value: index for index, value in enumerate(classes)}).to_numpy())


def encoder(x: "pd.DataFrame", standardize: bool) -> Any:
    """An unfitted scikit-learn transformer of the columns of x into numbers without gaps."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler() if standardize else "passthrough"
    )
    categorical = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numeric, make_column_selector(dtype_include=np.number)),
        (categorical, make_column_selector(dtype_exclude=np.number)),
    )


class Diabetes(TabularDataModule):
    """Ten measurements of 442 patients and the progression of their diabetes a year later.

    Efron, Hastie, Johnstone & Tibshirani, 'Least Angle Regression' (2004), as shipped with scikit-learn.
    """

    tasks = ("regression",)

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        from sklearn.datasets import load_diabetes

        data = load_diabetes(as_frame=True, scaled=False)
        return data.data, data.target.to_frame()


class Housing(TabularDataModule):
    """Three flats: area (pyeong), rooms and distance to the station (km); price (100 million won).

    Three rows cannot be split: training, validation and test are the same three.
    """

    tasks = ("regression",)

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        import pandas as pd

        table = pd.read_csv(str(files("kindling.data") / "housing.csv"))
        return table[["area", "rooms", "distance"]], table[["price"]]

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[str, np.ndarray]:
        return dict.fromkeys(("train", "val", "test"), np.arange(len(y)))


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
        for key, names in (("data.target", self.target), ("data.features", self.features or [])):
            for name in names:
                if name not in table.columns:
                    raise UserError(
                        f"{key}={name}: {self.path} has no such column, only {', '.join(table.columns)}"
                        f"{did_you_mean(name, table.columns)}"
                    )
        x = table[self.features] if self.features else table.drop(columns=self.target)
        self._check(x, table[self.target])
        return x, table[self.target]

    def _table(self) -> "pd.DataFrame":
        import pandas as pd

        try:
            table = pd.read_csv(self.path)
        except FileNotFoundError:
            raise UserError(f"data.path={self.path}: no such file") from None
        except pd.errors.EmptyDataError:
            raise UserError(f"data.path={self.path}: the file is empty") from None
        except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
            raise UserError(f"data.path={self.path}: not a readable CSV file ({error})") from None
        if len(table) < self.minimum_rows:
            raise UserError(
                f"data.path={self.path}: {len(table)} data rows are too few to split into training, validation and "
                f"test; at least {self.minimum_rows} are needed"
            )
        return table

    def _check(self, x: "pd.DataFrame", y: "pd.DataFrame") -> None:
        if x.shape[1] == 0:
            raise UserError(f"data.path={self.path}: no column is left to predict from")
        for name, column in [*x.items(), *y.items()]:
            if column.dtype.kind == "f" and np.isinf(column.to_numpy()).any():
                raise UserError(f"data.path={self.path}: column {name} holds infinite values")
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
