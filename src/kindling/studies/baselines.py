"""Other methods on the rows that our models see: the same splits, prepared alike, measured by the same scores.

A method learns from the training rows, and may choose one setting by the validation rows; the test rows are for the
scores. One that is too slow learns from as many rows as it can, which is said.
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
from omegaconf import DictConfig, OmegaConf
from sklearn.exceptions import ConvergenceWarning

from kindling import abilities
from kindling.config.asked import take_asked
from kindling.config.signatures import section_problems
from kindling.data.setup import make_datamodule
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Regression, Task
from kindling.errors import UserError, did_you_mean, listed
from kindling.process import quiet
from kindling.studies.methods import METHODS, Method, size, takes_weights
from kindling.studies.rows import Rows, error, read, scores

TASKS = ("regression", "binary", "multiclass", "multilabel")
MOST_BYTES = 8 * 2**30  # of all rows
MOST_TRIED = 5_000  # rows that settings are tried on
FIRST_TRIAL, GROWTH = 1_000, 4  # rows that a method is timed with, and by how much they grow


@dataclass(frozen=True)
class Baseline:
    """What came of a method; `problem` says why nothing did.

    Args:
        chosen: the setting that the validation has chosen.
        seconds: of the fit, and of the prediction of all test rows.
        num_rows: that it has learned from.
        notes: what a reader of the scores should know.
    """

    method: str
    scores: dict[str, float]
    chosen: dict[str, Any]
    seconds: tuple[float, float]
    num_rows: int
    size: str
    notes: list[str]
    problem: str | None = None


def measure(
    cfg: DictConfig, only: Sequence[str] = (), limit: float = 60.0
) -> tuple[dict[str, Any], Iterator[Baseline]]:
    """What the data are, and what comes of each method, one after the other. The rest of the config does not matter.

    Args:
        only: methods, by their names; none: all that there are for the task.
        limit: seconds that a method may take; after that, it learns from a part of the rows.

    Raises:
        UserError: where the data cannot be had, or a method is not one for them.
    """
    quiet()
    asked = take_asked(cfg)
    check(cfg, only)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = make_datamodule(cfg)
    datamodule.prepare_data()
    datamodule.setup("fit")
    data = asked.choice("data", cfg)
    check_data(datamodule, data)
    task = datamodule.task
    names = chosen_methods(only, task)
    rows = {name: read(datamodule, name) for name in ("train", "val", "test")}
    facts = {
        "data": data,
        "source": abilities.source(datamodule),
        "task": task.name,
        "sizes": datamodule.sizes,
        "same_rows": datamodule.same_rows,
        "seed": cfg.seed,
        "limit": limit,
    }
    return facts, (baseline(name, task, rows, cfg.seed, limit) for name in names)


def check(cfg: DictConfig, only: Sequence[str]) -> None:
    """Of what can be told before the data are read."""
    sections: Any = {"data": OmegaConf.to_container(cfg.data, resolve=True)}
    mistakes = [mistake for found in section_problems(sections, set()).values() for mistake in found]
    mistakes += [
        f"--only: there is no method {name}{did_you_mean(name, METHODS)}; there are {', '.join(METHODS)}"
        for name in only
        if name not in METHODS
    ]
    for name in ("metrics", "augmentation"):
        if cfg[name]:
            mistakes.append(f"{name}={','.join(cfg[name])}: is nothing that these methods know; leave it out")
    if mistakes:
        raise UserError(listed(mistakes))


def check_data(datamodule: Any, data: str) -> None:
    task = getattr(datamodule, "task", None)
    if not isinstance(datamodule, SupervisedDataModule) or getattr(task, "name", None) not in TASKS:
        raise UserError(f"data={data}: has no rows x and y of a task that these methods know ({', '.join(TASKS)})")
    if datamodule.state_dict()["tokens"]:
        raise UserError(f"data={data}: has rows of tokens, which are no numbers to these methods")
    total = sum(datamodule.sizes.values())
    if total * datamodule.in_features * 8 > MOST_BYTES:
        raise UserError(
            f"data={data}: {total:,} rows of {datamodule.in_features:,} numbers are more than fit in memory here "
            f"({MOST_BYTES / 2**30:.0f} GiB in double precision)"
        )


def chosen_methods(only: Sequence[str], task: Task) -> list[str]:
    unfit = [name for name, method in METHODS.items() if isinstance(task, Regression) and method.regressor is None]
    for name in only:
        if name in unfit:
            raise UserError(f"--only: {name} tells classes apart, and the task of these data is {task.name}")
    return [name for name in METHODS if name in only or (not only and name not in unfit)]


def baseline(name: str, task: Task, rows: dict[str, Rows], seed: int, limit: float) -> Baseline:
    method = METHODS[name]
    num_outputs = rows["train"].y.shape[1] if rows["train"].y.ndim == 2 else 1
    try:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            chosen = choose(method, task, num_outputs, rows, seed)
        return fit_in_time(name, task, num_outputs, rows, seed, limit, chosen)
    except ValueError as error:  # such as one class alone, of which scikit-learn says it in its own words
        problem = " ".join(str(error).split())
        return Baseline(name, {}, {}, (0.0, 0.0), len(rows["train"]), "", [], problem)


def choose(method: Method, task: Task, num_outputs: int, rows: dict[str, Rows], seed: int) -> dict[str, Any]:
    """The value with the best validation score; of equal ones the first, which is scikit-learn's default."""
    train, val = rows["train"].some(MOST_TRIED), rows["val"].some(MOST_TRIED)
    for key, values in method.tried.items():
        possible = [value for value in values if key != "n_neighbors" or value <= len(train)]
        if len(val) == 0:
            return {key: possible[0]}
        models = [fit(method.make(task.name, num_outputs, seed, **{key: value}), train) for value in possible]
        errors = [error(scores(task, model.predict(val.x), val.truth)) for model in models]
        return {key: possible[int(np.argmin(errors))]}
    return {}


def fit_in_time(
    name: str, task: Task, num_outputs: int, rows: dict[str, Rows], seed: int, limit: float, chosen: dict[str, Any]
) -> Baseline:
    """From all rows; or from the most with which fitting and predicting ends in time, going by fewer."""
    train, test = rows["train"], rows["test"]
    spent, growth = 0.0, 2.0  # of the time, from one number of rows to the next: a guess, until it has been seen
    for count in counts(len(train)):
        part = train.some(count)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = METHODS[name].make(task.name, num_outputs, seed, **chosen)
            start = time.perf_counter()
            fit(model, part)
            fitted = time.perf_counter()
            predicted = model.predict(test.x)
            end = time.perf_counter()
        growth, spent = max(1.0, (end - start) / spent) if spent else growth, end - start
        if count < len(train) and spent * growth <= limit:
            continue
        notes = [f"learned from {count:,} of {len(train):,} rows: more would take over {limit:g} s"] * (
            count < len(train)
        )
        if any(issubclass(one.category, ConvergenceWarning) for one in caught):
            notes.append("stopped before it had converged, after scikit-learn's number of steps")
        if train.weight is not None and not takes_weights(model):
            notes.append("takes no weights of rows: all count alike")
        found = scores(task, predicted, test.truth)
        return Baseline(name, found, chosen, (fitted - start, end - fitted), count, size(model, count), notes)
    raise AssertionError("the last count is that of all rows")


def counts(num_rows: int) -> Iterator[int]:
    """Of rows to learn from, each a few times the one before; the last is that of all."""
    count = FIRST_TRIAL
    while 2 * count <= num_rows:
        yield count
        count *= GROWTH
    yield num_rows


def fit(model: Any, rows: Rows) -> Any:
    weights = {} if rows.weight is None or not takes_weights(model) else {"sample_weight": rows.weight}
    return model.fit(rows.x, rows.y, **weights)
