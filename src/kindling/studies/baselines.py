"""Other methods on the rows that our models see: the same splits, prepared alike, measured by the same scores.

A method learns from the training rows, and may choose one setting by the validation rows; the test rows are for the
scores. One that is too slow learns from as many rows as it can, which is said.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import numpy as np
from omegaconf import DictConfig

from kindling import abilities
from kindling.config.asked import Asked, take_asked
from kindling.config.checks import problems
from kindling.data.setup import make_datamodule
from kindling.data.splits import SplitName
from kindling.data.supervised import SupervisedDataModule
from kindling.data.tasks import Regression, Task
from kindling.errors import UserError, did_you_mean, listed
from kindling.process import quiet
from kindling.studies.methods import METHODS, CannotLearn, Learned, Method, learn, size, takes_weights
from kindling.studies.rows import Rows, error, read, scores

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TASKS = ("regression", "binary", "multiclass", "multilabel")
MOST_BYTES = 8 * 2**30  # of all rows
MOST_TRIED = 5_000  # rows that settings are tried on
FEWEST, GROWTH = 500, 4  # rows that a method is timed with, and by how much they grow


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
        limit: seconds that a method may take, half of which for its setting; one that would take longer learns from a
            part of the rows, and tries a part of the values.

    Raises:
        UserError: where the data cannot be had, or a method is not one for them.
    """
    quiet()
    asked = take_asked(cfg)
    check(cfg, asked, only)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = make_datamodule(cfg)
    datamodule.prepare_data()
    datamodule.setup("fit")
    data = asked.choice("data", cfg)
    check_data(datamodule, data)
    task = datamodule.task
    names = chosen_methods(only, task)
    rows = {name: read(datamodule, name) for name in SPLITS if datamodule.sizes.get(name)}
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


def check(cfg: DictConfig, asked: Asked, only: Sequence[str]) -> None:
    """Of what can be told before the data are read."""
    mistakes = [text for text in problems(cfg, asked) if text.startswith(("data.", "data:", "seed="))]
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
    for name, use in (("train", "to learn from"), ("test", "to measure with")):
        if not datamodule.sizes.get(name):
            raise UserError(f"data={data}: has no rows {use}: its {name} split is missing, or empty")
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


def baseline(name: str, task: Task, rows: dict[SplitName, Rows], seed: int, limit: float) -> Baseline:
    method, train, test = METHODS[name], rows["train"], rows["test"]
    make = partial(method.make, task.name, train.y.shape[1] if train.y.ndim == 2 else 1, seed)
    start = time.perf_counter()
    try:
        chosen, notes = choose(method, task, make, rows, start + limit / 2)
        learned = learn_in_time(partial(make, **chosen), train, test.x, start + limit)
    except CannotLearn as error:
        return Baseline(name, {}, {}, (0.0, 0.0), len(train), "", [], str(error))
    if learned.num_rows < len(train):
        notes.append(f"learned from {learned.num_rows:,} of {len(train):,} rows: more would take over {limit:g} s")
    if not learned.converged:
        notes.append("stopped before it had converged, after scikit-learn's number of steps")
    if train.weight is not None and not takes_weights(learned.model):
        notes.append("takes no weights of rows: all count alike")
    found, keeps = scores(task, learned.predicted, test.truth), size(learned.model, learned.num_rows)
    return Baseline(name, found, chosen, learned.seconds, learned.num_rows, keeps, notes)


def choose(
    method: Method, task: Task, make: Callable[..., Any], rows: dict[SplitName, Rows], deadline: float
) -> tuple[dict[str, Any], list[str]]:
    """The value with the best validation score, of those that are tried in time; of equal ones the first, which is
    scikit-learn's default. And what to know of that.
    """
    train = rows["train"].some(MOST_TRIED)
    for key, values in method.tried.items():
        possible = [value for value in values if key != "n_neighbors" or value <= len(train)]
        if "val" not in rows:
            return {key: possible[0]}, []
        val, longest = rows["val"].some(MOST_TRIED), 0.0
        errors: list[float] = []
        for value in possible:
            if not errors:  # the first finds out how many rows there is time for
                learned = learn_in_time(partial(make, **{key: value}), train, val.x, deadline)
                train = train.some(learned.num_rows)
            elif time.perf_counter() + longest <= deadline:
                learned = learn(make(**{key: value}), train, val.x)
            else:
                break
            longest = max(longest, sum(learned.seconds))
            errors.append(error(scores(task, learned.predicted, val.truth)))
        left = ", ".join(f"{value:g}" for value in possible[len(errors) :])
        return {key: possible[int(np.argmin(errors))]}, [f"there was no time to try {key}={left}"] * bool(left)
    return {}, []


def learn_in_time(make: Callable[..., Any], train: Rows, x: np.ndarray, deadline: float) -> Learned:
    """From all rows; or from the most with which fitting and predicting ends in time, going by fewer."""
    growth = np.array([GROWTH**2, GROWTH])  # of both times, from count to count: quadratic and linear, until it is seen
    before = None
    for count in counts(len(train)):
        learned = learn(make(), train.some(count), x)
        seconds = np.array(learned.seconds)
        if before is not None:
            growth = np.maximum(GROWTH, seconds / before)
        if time.perf_counter() + (growth * seconds).sum() > deadline:
            break
        before = seconds
    return learned


def counts(num_rows: int) -> list[int]:
    """Of rows to learn from, each GROWTH times the one before; the last is that of all."""
    found = [num_rows]
    while found[0] >= GROWTH * FEWEST:
        found.insert(0, found[0] // GROWTH)
    return found
