"""Methods of scikit-learn: each with its defaults, and the values of one setting that the validation may choose."""

import time
import warnings
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
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR
from sklearn.utils.validation import has_fit_parameter

from kindling.studies.rows import Rows


class LeastSquaresClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A column of 0 and 1 for each class, or label, and a line through it: the greatest wins, or all above 1/2.

    Two classes are one column, of the second: that of the first would be 1 less it.
    """

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> "LeastSquaresClassifier":
        self.classes_ = None if y.ndim == 2 else np.unique(y)
        if self.classes_ is not None:
            y = (y[:, None] == (self.classes_[1:] if len(self.classes_) == 2 else self.classes_)).astype(float)
        self.line_ = LinearRegression().fit(x, y, sample_weight)
        self.coef_, self.intercept_ = self.line_.coef_, self.line_.intercept_
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        output = self.line_.predict(x)
        if self.classes_ is None:
            return output > 0.5
        return self.classes_[(output[:, 0] > 0.5).astype(int) if len(self.classes_) == 2 else output.argmax(axis=1)]


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


@dataclass(frozen=True)
class Learned:
    """A model after its fit to `num_rows`, and its answers.

    Args:
        seconds: of the fit, and of the prediction.
        converged: False where it has stopped before, after scikit-learn's number of steps.
    """

    model: Any
    predicted: np.ndarray
    seconds: tuple[float, float]
    num_rows: int
    converged: bool


class CannotLearn(Exception):  # noqa: N818  # what the table says
    """A method does not take these rows, such as those of one class alone; in scikit-learn's words."""


def learn(model: Any, rows: Rows, x: np.ndarray) -> Learned:
    """Raises:
    CannotLearn: where scikit-learn says so.
    """
    weights = {} if rows.weight is None or not takes_weights(model) else {"sample_weight": rows.weight}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        try:
            model.fit(rows.x, rows.y, **weights)
            fitted = time.perf_counter()
            predicted = model.predict(x)
        except ValueError as error:
            raise CannotLearn(" ".join(str(error).split())) from error
        end = time.perf_counter()
    converged = not any(issubclass(one.category, ConvergenceWarning) for one in caught)
    return Learned(model, predicted, (fitted - start, end - fitted), len(rows), converged)


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
