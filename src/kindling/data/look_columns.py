"""The columns of a table, one by one and against each other."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOST_CORRELATED = 200  # columns, each against each
PAIRS = 10  # the strongest


def facts(
    table: "pd.DataFrame", target: np.ndarray | None, of_classes: bool, missing: dict[str, int]
) -> dict[str, Any]:
    """`columns` of numbers, `texts`, `pairs` of columns that go together, and the `constant` ones.

    Args:
        table: features, with gaps.
        target: (N,) or (N, outputs), as numbers; classes as their places.
        missing: by column, gaps in all rows; of others those of the table count.
    """
    gaps = {str(name): int(count) for name, count in table.isna().sum().items()} | missing
    numeric = table.select_dtypes("number").astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns that do not vary
        columns = [
            {
                "name": str(name),
                "missing": gaps[str(name)],
                **{key: number(getattr(column, key)()) for key in ("min", "mean", "max", "std", "skew")},
                "target": None if target is None else number(with_target(column.to_numpy(), target, of_classes)),
            }
            for name, column in numeric.items()
        ]
        pairs = strongest(numeric.iloc[:, :MOST_CORRELATED])
    texts = [of_texts(str(name), table[name], gaps[str(name)]) for name in table if name not in numeric]
    constant = [str(name) for name in table if table[name].nunique(dropna=False) <= 1]
    return {"columns": columns, "texts": texts, "pairs": pairs, "constant": constant}


def of_texts(name: str, column: "pd.Series", missing: int) -> dict[str, Any]:
    counts = column.value_counts()
    most = {"most": str(counts.index[0]), "share": float(counts.iloc[0] / len(column))} if len(counts) else {}
    return {"name": name, "missing": missing, "values": len(counts), **most}


def with_target(values: np.ndarray, target: np.ndarray, of_classes: bool) -> float:
    """Pearson's correlation, of several outputs the strongest; with classes the correlation ratio, from 0 to 1."""
    known = np.isfinite(values)
    values, target = values[known], target[known].astype(float)
    if len(values) < 2 or values.min() == values.max():
        return np.nan
    if of_classes:
        means = {label: values[target == label].mean() for label in np.unique(target)}
        between = np.array([means[label] for label in target])
        return float(between.std() / values.std())
    outputs = target.reshape(len(target), -1).T
    found = [np.corrcoef(values, output)[0, 1] for output in outputs if output.min() < output.max()]
    return float(max(found, key=abs, default=np.nan))


def strongest(numeric: "pd.DataFrame") -> list[dict[str, Any]]:
    """The pairs of columns with the largest correlations, whatever their sign."""
    matrix = numeric.corr().to_numpy()
    names = list(map(str, numeric.columns))
    found = [(i, j) for i, j in zip(*np.triu_indices(len(names), k=1), strict=True) if np.isfinite(matrix[i, j])]
    found.sort(key=lambda pair: -abs(matrix[pair]))
    return [{"columns": [names[i], names[j]], "r": float(matrix[i, j])} for i, j in found[:PAIRS]]


def number(value: Any) -> float | None:
    """For JSON, which knows no NaN."""
    return float(value) if np.isfinite(value) else None
