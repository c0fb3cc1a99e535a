"""Methods of scikit-learn: each with its defaults, and the values of one setting that the validation may choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR
from sklearn.utils.validation import has_fit_parameter


class LeastSquaresClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A column of 0 and 1 for each class, or label, and a line through it: the greatest wins, or all above 1/2."""

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> "LeastSquaresClassifier":
        self.classes_ = None if y.ndim == 2 else np.unique(y)
        columns = y if self.classes_ is None else (y[:, None] == self.classes_).astype(float)
        self.line_ = LinearRegression().fit(x, columns, sample_weight)
        self.coef_, self.intercept_ = self.line_.coef_, self.line_.intercept_
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        output = self.line_.predict(x)
        return output > 0.5 if self.classes_ is None else self.classes_[output.argmax(axis=1)]


@dataclass(frozen=True)
class Method:
    """Args:
    regressor, classifier: what makes it; None: there is none.
    tried: values of one setting; the first is the default.
    several: whether it takes several outputs, or labels, at once.
    random: whether it draws random numbers.
    """

    regressor: Callable[..., Any] | None
    classifier: Callable[..., Any]
    tried: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    several: bool = True
    random: bool = False

    def make(self, task: str, num_outputs: int, seed: int, **settings: Any) -> Any:
        """For y (N,), or (N, num_outputs) where there are several. `task` is the name of one of data/tasks.py."""
        kind, each = (
            (self.regressor, MultiOutputRegressor) if task == "regression" else (self.classifier, MultiOutputClassifier)
        )
        assert kind is not None
        model = kind(**settings, **({"random_state": seed} if self.random else {}))
        return each(model) if num_outputs > 1 and not self.several else model


METHODS = {
    "dummy": Method(DummyRegressor, DummyClassifier),  # the mean, or the most frequent class
    "least_squares": Method(LinearRegression, LeastSquaresClassifier),
    "ridge": Method(Ridge, RidgeClassifier, {"alpha": (1.0, 0.01, 0.1, 10.0, 100.0, 1000.0)}),
    "logistic": Method(None, LogisticRegression, {"C": (1.0, 0.01, 0.1, 10.0)}, several=False),
    "knn": Method(KNeighborsRegressor, KNeighborsClassifier, {"n_neighbors": (5, 1, 3, 10, 20)}),
    "forest": Method(RandomForestRegressor, RandomForestClassifier, random=True),
    "boosting": Method(HistGradientBoostingRegressor, HistGradientBoostingClassifier, several=False, random=True),
    "svm": Method(SVR, SVC, {"C": (1.0, 0.1, 10.0, 100.0)}, several=False),
}


def takes_weights(model: Any) -> bool:
    return bool(has_fit_parameter(getattr(model, "estimator", model), "sample_weight"))


def size(model: Any, num_rows: int) -> str:
    """What a fitted model keeps, where that can be counted: weights, nodes of its trees, vectors, or the rows."""
    parts = getattr(model, "estimators_", [model]) if hasattr(model, "estimator") else [model]
    if isinstance(model, RandomForestRegressor | RandomForestClassifier):
        return f"{sum(tree.tree_.node_count for tree in model.estimators_):,} nodes"
    if isinstance(parts[0], HistGradientBoostingRegressor | HistGradientBoostingClassifier):
        trees = (tree for part in parts for trees in part._predictors for tree in trees)
        return f"{sum(tree.get_n_leaf_nodes() * 2 - 1 for tree in trees):,} nodes"
    if isinstance(parts[0], SVR | SVC):
        return f"{sum(len(part.support_) for part in parts):,} vectors"
    if isinstance(parts[0], KNeighborsRegressor | KNeighborsClassifier):
        return f"{num_rows:,} rows"
    if hasattr(parts[0], "coef_"):
        return f"{sum(np.size(part.coef_) + np.size(part.intercept_) for part in parts):,} weights"
    return ""
