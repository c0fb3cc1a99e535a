"""Tables: columns imputed, standardised and one-hot encoded, with what is fitted on the training split alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from kindling.data import inputs
from kindling.data.base import InMemoryDataModule
from kindling.data.columns import read_columns
from kindling.data.encoder import Encoder
from kindling.data.reading import Reading
from kindling.data.splits import Split, SplitName, split_rows
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression
from kindling.errors import UserError, shown, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd  # takes half a second to import: only the data sets that need it do


class TabularDataModule(InMemoryDataModule):
    """A subclass reads a table of features and a target; `kind` says which of its tasks the target is.

    Args:
        standardize: numeric features, and the targets of a regression, to mean 0 and standard deviation 1 over the
            training split. Predictions and metrics stay in the units of the target.
    """

    kind: Literal["regression", "binary", "multiclass", "multilabel"] = "regression"
    reading = Reading()  # of files with new rows
    units: ClassVar[Mapping[str, str]] = {}  # of columns, where they are known: pictures name them

    def __init__(self, standardize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standardize = standardize

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Features (N rows), and targets (N rows; one column for classes, one for each label)."""
        raise NotImplementedError

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[SplitName, np.ndarray]:
        """A tenth, and at least two, for validation and test each."""
        return split_rows(len(y))

    def load(self) -> None:
        """Until `fit` encodes them, x (N,) are the numbers of the rows in the table."""
        self.table, y = (table.rename(columns=str) for table in self.read())
        self.target_names = list(y.columns)
        rows, targets = self.rows_of_splits(y), self._targets(y)
        self.splits = {name: Split(torch.from_numpy(rows[name]), targets[rows[name]]) for name in rows}

    def contents(self) -> "Iterator[Any]":
        yield from super().contents()
        yield self.table

    def fit(self) -> None:
        train = self.splits["train"]
        if not hasattr(self, "encoder"):
            self.encoder = Encoder.fit(self.table.iloc[train.x.numpy()], self.standardize)
        features = torch.tensor(self.encoder.transform(self.table, self.source), dtype=self.row_dtype)
        if self.kind == "regression":
            self.task = self._regression(train.y)
        self.splits = {name: replace(split, x=features[split.x]) for name, split in self.splits.items()}
        del self.table  # the features are all that is needed of it

    def _regression(self, y: Tensor) -> Regression:
        if not self.standardize:
            return Regression(y.new_zeros(y.shape[1]), y.new_ones(y.shape[1]))
        std = y.std(dim=0, correction=0)
        return Regression(y.mean(dim=0), torch.where(std > 0, std, 1.0))

    def _targets(self, y: "pd.DataFrame") -> Tensor:
        if self.kind == "regression":
            return torch.tensor(y.to_numpy(), dtype=self.row_dtype)
        if self.kind == "multilabel":
            self.task = Multilabel(list(y.columns))
            return torch.tensor(y.to_numpy(np.int64))
        column = y.iloc[:, 0]
        classes = [str(value) for value in sorted(column.unique())]
        if isinstance(known := getattr(self, "task", None), Binary | Multiclass):  # of the checkpoint
            for name in [name for name in classes if name not in known.classes]:
                raise UserError(f"{self.source}: the class {shown(name)} is none of {some(known.classes)}")
            classes = known.classes
        self.task = (Binary if self.kind == "binary" else Multiclass)(classes)
        return torch.tensor(column.map(str).map({name: index for index, name in enumerate(classes)}).to_numpy())

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "encoder": asdict(self.encoder)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if self.state is state_dict and "encoder" in state_dict:
            self.encoder = Encoder(**state_dict["encoder"])

    def read_inputs(self, path: Path) -> Tensor:
        """From a CSV file with the columns that the model takes, in any order and with any others."""
        if path.suffix != ".csv":
            raise UserError(f"{path}: is no input of this model; give a .csv file with the columns of its table")
        table = self.read_known(path, str(path))
        inputs.check_size(path, [len(table), len(self.encoder.names)])
        return torch.tensor(self.encoder.matrix(table, str(path)), dtype=self.row_dtype)

    def read_known(self, path: Path, named: str, numeric: Sequence[str] = ()) -> "pd.DataFrame":
        """A file like that of training, read like it; with more columns that are to be numbers."""
        types = self.column_types()
        names = [name for name, categories in self.encoder.columns.items() if categories is None]
        return read_columns(path, named, self.reading, [*names, *numeric], types, learned=True)

    def column_types(self) -> dict[str, type]:
        """How to read what were texts in training, whatever the values of another file look like."""
        categories = {name: known for name, known in self.encoder.columns.items() if known is not None}
        return {name: str for name, known in categories.items() if not {"", "True", "False"}.issuperset(known)}

    def raw_inputs(self, split: SplitName) -> Tensor:
        scaled = self.splits[split].x.double() * torch.tensor(self.encoder.std, dtype=torch.float64)
        return (scaled + torch.tensor(self.encoder.mean, dtype=torch.float64)).to(self.row_dtype)

    def preprocessing(self) -> nn.Module:
        """In double precision, as in training: a year has few digits that differ."""
        if not hasattr(self, "encoder"):  # the model has learned from other data than tables
            return super().preprocessing()
        mean, std, median = self.encoder.mean, self.encoder.std, self.encoder.median
        return inputs.Standardize(*(torch.tensor(values, dtype=torch.float64) for values in (mean, std, median)))


class Diabetes(TabularDataModule):
    """Ten measurements of 442 patients and the progression of their diabetes a year later.

    Efron, Hastie, Johnstone & Tibshirani, 'Least Angle Regression' (2004), as shipped with scikit-learn.
    """

    tasks = ("regression",)
    source = "scikit-learn"
    units: ClassVar[Mapping[str, str]] = {"age": "years", "bmi": "kg/m²", "bp": "mmHg"}

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        from sklearn.datasets import load_diabetes

        data = load_diabetes(as_frame=True, scaled=False)
        return data.data, data.target.to_frame()


class Boston(TabularDataModule):
    """506 census tracts around Boston: 13 features, and the median price of a home in 1,000 dollars.

    Harrison & Rubinfeld, 'Hedonic housing prices and the demand for clean air' (1978), as shipped with mlxtend. For
    comparison with what was printed about them: what is wrong with the column B is told by Carlisle ('Racist data
    destruction?', 2019), and scikit-learn has removed the data. 16 prices are cut off at 50.

    Args:
        shuffle: whether chance says which rows are held out; else the last ones of the file are, which goes from town
            to town.
    """

    tasks = ("regression",)
    source = "mlxtend"
    columns = ("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT")
    units: ClassVar[Mapping[str, str]] = {"MEDV": "1,000 dollars"}

    def __init__(self, shuffle: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shuffle = shuffle

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        import pandas as pd
        from mlxtend.data import boston_housing_data

        x, y = boston_housing_data()
        return pd.DataFrame(x, columns=list(self.columns)), pd.DataFrame({"MEDV": y})

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[SplitName, np.ndarray]:
        if self.shuffle:
            return super().rows_of_splits(y)
        train, val, test = np.split(np.arange(len(y)), [-2 * (len(y) // 10), -(len(y) // 10)])
        return {"train": train, "val": val, "test": test}


class Housing(TabularDataModule):
    """Three flats: area, rooms and distance to the station; price.

    Three rows cannot be split: training, validation and test are the same three.
    """

    tasks = ("regression",)
    units: ClassVar[Mapping[str, str]] = {"area": "pyeong", "distance": "km", "price": "100 million won"}

    def read(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        import pandas as pd

        table = pd.read_csv(str(files("kindling.data") / "housing.csv"))
        return table[["area", "rooms", "distance"]], table[["price"]]

    def rows_of_splits(self, y: "pd.DataFrame") -> dict[SplitName, np.ndarray]:
        return dict.fromkeys(("train", "val", "test"), np.arange(len(y)))
