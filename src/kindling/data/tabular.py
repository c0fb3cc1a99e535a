"""Tables: columns imputed, standardised and one-hot encoded by scikit-learn, fitted on the training split alone."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from kindling.data.base import InMemoryDataModule, Split, SplitName, split_rows
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

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[SplitName, np.ndarray]:
        """Classes are stratified where there are enough rows of each."""
        classes = y.iloc[:, 0].to_numpy() if self.kind != "regression" else None
        if classes is not None:
            counts = np.unique(classes, return_counts=True)[1]
            if counts.min() < 3 or len(counts) > len(y) // 10:
                classes = None
        return split_rows(len(y), classes)

    def load(self) -> None:
        x, y = self.read()
        rows = self.rows_of_splits(y)
        self.encoder = encoder(x, self.standardize).fit(x.iloc[rows["train"]])
        features = torch.tensor(self.encoder.transform(x), dtype=torch.float32)
        targets = self._targets(y, rows["train"])
        self.splits = {name: Split(features[rows[name]], targets[rows[name]]) for name in rows}

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
    source = "scikit-learn"

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

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[SplitName, np.ndarray]:
        return dict.fromkeys(("train", "val", "test"), np.arange(len(y)))
