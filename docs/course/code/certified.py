"""Least squares against certified values. python docs/course/code/certified.py [NAME ...] [--write]

NIST publishes data sets with the answer to 15 digits. Three ways to the same answer: our linear regression trained by
L-BFGS in double precision, as `python train.py` runs it; least squares by a singular value decomposition, which is
`least_squares` of scripts/baselines.py; and the normal equations, which are in every textbook. The table counts the
digits that agree, of the worst coefficient, or of the F statistic. --write puts it into docs/course/published.md.
"""

import argparse
import io
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from lesson import machine
from sklearn.linear_model import LinearRegression

from kindling import compose, train
from kindling.errors import UserError, told_in_a_sentence
from kindling.studies.page import put

SCRIPT = "docs/course/code/certified.py"
PAGE = Path(__file__).parents[1] / "published.md"
SPLITS = ("train", "val", "test")
ANOVA = ("AtmWtAg", "SiRstv", *(f"SmLs0{number}" for number in range(1, 10)))


@dataclass
class Problem:
    """x (N, features), y (N,); `certified` is what `answer` should make of the intercept and the coefficients."""

    what: str
    x: np.ndarray
    y: np.ndarray
    certified: np.ndarray
    answer: Callable[["Problem", np.ndarray], np.ndarray]


def line(problem: Problem, coefficients: np.ndarray) -> np.ndarray:
    return coefficients


def f_statistic(problem: Problem, coefficients: np.ndarray) -> np.ndarray:
    """The variance between the groups over that within them."""
    fitted = coefficients[0] + problem.x @ coefficients[1:]
    num_rows, num_groups = problem.x.shape
    between = ((fitted - fitted.mean()) ** 2).sum() / (num_groups - 1)
    within = ((problem.y - fitted) ** 2).sum() / (num_rows - num_groups)
    return np.array([between / within])


def read(folder: str, name: str) -> tuple[str, np.ndarray]:
    """The head of a file of NIST's, and its two columns of data, which begin in line 61."""
    file = files("scipy.stats.tests") / "data" / folder / f"{name}.dat"
    if not file.is_file():
        raise UserError(f"{file}: is not there; the wheels of scipy have it, and some distributions leave it out")
    lines = file.read_text().splitlines()
    return "\n".join(lines[:60]), np.array([row.split() for row in lines[60:] if row.strip()], dtype=float)


def norris() -> Problem:
    head, table = read("nist_linregress", "Norris")
    certified = [float(re.search(rf"{name}\s+(-?\d\S+)", head)[1]) for name in ("B0", "B1")]
    return Problem("a line, 36 rows", table[:, 1:], table[:, 0], np.array(certified), line)


def wampler(first: float) -> Problem:
    """A polynomial of degree 5 without noise, on x = 0 to 20 (Wampler, 1970): its coefficients are 1, f, f², ..."""
    x = np.arange(21.0)
    certified = first ** np.arange(6)
    powers = x[:, None] ** np.arange(1, 6)
    return Problem("degree 5, 21 rows", powers, 1 + powers @ certified[1:], certified, line)


def anova(name: str) -> Problem:
    head, table = read("nist_anova", name)
    f = float(re.search(r"Between \w+\s+\S+\s+\S+\s+\S+\s+(\S+)", head)[1])
    groups = table[:, :1] == np.unique(table[:, 0])
    return Problem(
        f"{groups.shape[1]} groups, {len(table):,} rows", groups.astype(float), table[:, 1], np.array([f]), f_statistic
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "Norris": norris,
    "Wampler1": lambda: wampler(1.0),
    "Wampler2": lambda: wampler(0.1),
    **{name: (lambda name=name: anova(name)) for name in ANOVA},
}


def by_training(problem: Problem, folder: Path) -> np.ndarray:
    """The intercept and the coefficients of a run, in the units of the table.

    Each row stands in the file three times: it is trained on, decides on the best epoch, and is tested with.
    """
    names = [f"x{column}" for column in range(problem.x.shape[1])]
    table = pd.DataFrame(problem.x, columns=names).assign(y=problem.y)
    pd.concat([table.assign(part=part) for part in SPLITS]).to_csv(folder / "table.csv", index=False)
    overrides = [
        *(
            "model=linear_regression",
            "data=csv",
            f"data.path={folder / 'table.csv'}",
            "data.target=y",
            "data.split=part",
        ),
        *("optimizer=lbfgs", "optimizer.history_size=100", "optimizer.max_iter=1000"),  # goes on until nothing changes
        *("optimizer.tolerance_change=0", "optimizer.tolerance_grad=0", "scheduler=constant"),
        *("trainer=cpu", "trainer.precision=64-true", "trainer.max_epochs=20"),
        *(
            f"data.features=[{','.join(names)}]",
            "~callbacks.figures",
            "~callbacks.progress_bar",
            f"run_dir={folder / 'run'}",
        ),
    ]
    with redirect_stdout(io.StringIO()):
        run = train(compose(overrides))
    encoder, task = run.datamodule.encoder, run.datamodule.task
    weights = run.model.net.weight.detach().numpy()[0] * task.std.numpy() / np.array(encoder.std)
    intercept = run.model.net.bias.item() * task.std.item() + task.mean.item() - weights @ np.array(encoder.mean)
    return np.array([intercept, *weights])


def by_svd(problem: Problem, folder: Path) -> np.ndarray:
    scale = problem.x.std(axis=0)
    found = LinearRegression().fit(problem.x / scale, problem.y)
    return np.array([found.intercept_, *found.coef_ / scale])


def by_normal_equations(problem: Problem, folder: Path) -> np.ndarray:
    x = np.column_stack([np.ones(len(problem.x)), problem.x])
    if problem.answer is f_statistic:  # one column less: with one for each group the matrix has no inverse
        x = np.delete(x, 1, axis=1)
        intercept, *others = np.linalg.solve(x.T @ x, x.T @ problem.y)
        return np.array([intercept, 0.0, *others])
    return np.linalg.solve(x.T @ x, x.T @ problem.y)


def digits(problem: Problem, coefficients: np.ndarray) -> float:
    """The log relative error: -log10 |found - certified| / |certified|, of the worst, from 0 to 15."""
    found = problem.answer(problem, coefficients)
    error = np.abs(found - problem.certified) / np.abs(problem.certified)
    return float(np.clip(-np.log10(np.maximum(error, 1e-15)), 0, 15).min())


def rows(names: list[str]) -> Iterator[str]:
    yield "| digits that agree | | L-BFGS, trained | SVD | normal equations |"
    yield "|---|---|---|---|---|"
    for name in names:
        problem = PROBLEMS[name]()
        with tempfile.TemporaryDirectory() as folder:
            found = [way(problem, Path(folder)) for way in (by_training, by_svd, by_normal_equations)]
        cells = [f"{digits(problem, coefficients):.1f}" for coefficients in found]
        yield f"| {name} | {problem.what} | {' | '.join(cells)} |"


@told_in_a_sentence()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROBLEMS)}; default: all")
    parser.add_argument("--write", action="store_true", help="all, into the page")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in PROBLEMS]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(PROBLEMS)}")
    names = list(PROBLEMS) if args.write or not args.names else args.names
    began = time.monotonic()
    table = list(rows(names))
    print(*table, sep="\n")
    if args.write:
        seconds = f"{time.monotonic() - began:.0f} s"
        told = f"{len(names)} data sets in {seconds} on {machine('numpy', 'scikit-learn')}; seed 0."
        put(PAGE, "certified", "\n".join([*table, "", f"{told} Written by `python {SCRIPT} --write`."]))


if __name__ == "__main__":
    main()
