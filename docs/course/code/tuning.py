"""Five ways to search for settings, and the luck of a seed. python docs/course/code/tuning.py [--write] [--quick]

Two minutes on two cores; --quick: 15 seconds.
"""

import contextlib
import io
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import optuna
import pandas as pd
import torch
from lesson import leave
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kindling import compose, train
from kindling.data.images import Digits
from kindling.figure import Figure, style
from kindling.palette import BLUE, CYCLE, VERMILLION

QUICK = "--quick" in sys.argv
TRIALS, SEARCHES, SEEDS = (8, 1, 40) if QUICK else (24, 5, 400)
GROUP = 20  # seeds of which somebody takes the best
RANGES = {"lr": (1e-4, 1e-1), "decay": (1e-3, 1.0), "dropout": (0.0, 0.6)}  # the first two on a logarithmic scale
MIDDLE = {"lr": 3e-3, "decay": 3e-2, "dropout": 0.3}
Setting = dict[str, float]


def digits() -> dict[str, tuple[Tensor, Tensor]]:
    data = Digits()
    data.setup()
    return {name: split[torch.arange(len(split))] for name, split in data.splits.items()}


SPLITS = digits()


def trained(setting: Setting, seed: int) -> nn.Module:
    """64-32-10 after 4 epochs of AdamW."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(setting["dropout"]), nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(net.parameters(), lr=setting["lr"], weight_decay=setting["decay"])
    x, y = SPLITS["train"]
    for _ in range(4):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def loss_on(split: str, net: nn.Module) -> float:
    x, y = SPLITS[split]
    return cross_entropy(net(x), y).item()


def score(setting: Setting) -> float:
    return loss_on("val", trained(setting, seed=0))


def values(name: str, number: int) -> list[float]:
    """So many, evenly over the range."""
    low, high = RANGES[name]
    spaced = np.linspace if name == "dropout" else np.geomspace
    return [float(value) for value in spaced(low, high, number)]


def by_hand(trials: int) -> Iterator[Setting]:
    """One setting at a time, a third of the budget each; the best value is kept for the next. It is told by `send`."""
    setting = dict(MIDDLE)
    for name in RANGES:
        tried = {}
        for value in values(name, trials // 3):
            tried[value] = yield {**setting, name: value}
        setting[name] = min(tried, key=lambda value: tried[value])


def hand(_: int) -> list[tuple[Setting, float]]:
    search, tried = by_hand(TRIALS), []
    setting = next(search)
    with contextlib.suppress(StopIteration):
        while True:
            tried.append((setting, score(setting)))
            setting = search.send(tried[-1][1])
    return tried


def grid(_: int) -> list[tuple[Setting, float]]:
    """Every combination of a few values each, in an order drawn at random."""
    numbers = (2, 2, 2) if QUICK else (4, 3, 2)
    sets = product(*(values(name, number) for name, number in zip(RANGES, numbers, strict=True)))
    settings = [dict(zip(RANGES, one, strict=True)) for one in sets]
    order = np.random.default_rng(0).permutation(len(settings))
    return [(settings[place], score(settings[place])) for place in order]


def by_optuna(make: Callable[[int], optuna.samplers.BaseSampler]) -> Callable[[int], list[tuple[Setting, float]]]:
    def search(seed: int) -> list[tuple[Setting, float]]:
        def objective(trial: optuna.Trial) -> float:
            return score({n: trial.suggest_float(n, *RANGES[n], log=n != "dropout") for n in RANGES})

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=make(seed))
        study.optimize(objective, n_trials=TRIALS)
        return [(trial.params, trial.value or math.inf) for trial in study.trials]

    return search


METHODS = {
    "by hand, one at a time": hand,
    "grid": grid,
    "random": by_optuna(lambda seed: optuna.samplers.RandomSampler(seed=seed)),
    "TPE": by_optuna(lambda seed: optuna.samplers.TPESampler(n_startup_trials=10, seed=seed)),
    "evolution (CMA-ES)": by_optuna(
        lambda seed: optuna.samplers.CmaEsSampler(warn_independent_sampling=False, seed=seed)
    ),
}


def searches() -> dict[str, list[list[tuple[Setting, float]]]]:
    once = ("by hand, one at a time", "grid")  # nothing in them is drawn
    return {name: [search(seed) for seed in range(1 if name in once else SEARCHES)] for name, search in METHODS.items()}


def methods_table(found: dict[str, list[list[tuple[Setting, float]]]]) -> str:
    lines = [
        "| search | searches | best validation loss | on 5 other seeds | their test loss |",
        "|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        best = [min(tried, key=lambda one: one[1]) for tried in runs]
        nets = [trained(setting, seed) for setting, _ in best for seed in range(1, 6)]
        cells = [[value for _, value in best], *([loss_on(split, net) for net in nets] for split in ("val", "test"))]
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(f"{fmean(cell):.3f}" for cell in cells) + " |")
    return "\n".join(lines)


def members() -> pd.DataFrame:
    """Seeds at one setting: their validation and test accuracy."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        given = ["model=mlp", "data=digits", "model.hidden_features=[32]", "trainer.max_epochs=5", "~callbacks.figures"]
        train(compose([*given, f"population={SEEDS}", f"run_dir={folder}"]))
        return pd.read_csv(Path(folder, "members.csv"))


def seeds_table(scores: pd.DataFrame) -> str:
    groups = [scores.iloc[start : start + GROUP] for start in range(0, len(scores), GROUP)]
    best = [group.loc[group["val/acc"].idxmax()] for group in groups]
    rows = {
        "all seeds": (scores["val/acc"].mean(), scores["test/acc"].mean()),
        f"the best of {GROUP} by validation": tuple(fmean(one[key] for one in best) for key in ("val/acc", "test/acc")),
        f"the best of {GROUP} by test (do not)": (math.nan, fmean(group["test/acc"].max() for group in groups)),
    }
    lines = ["| | validation accuracy | test accuracy |", "|---|---|---|"]
    for name, cells in rows.items():
        lines.append(f"| {name} | " + " | ".join("" if math.isnan(v) else f"{100 * v:.1f} %" for v in cells) + " |")
    spread = 100 * stdev(scores["test/acc"])
    lines += ["", f"{len(scores)} seeds in {len(groups)} groups; the test accuracy spreads by {spread:.1f} %."]
    return "\n".join(lines)


def draw_searches(found: dict[str, list[list[tuple[Setting, float]]]]) -> Figure:
    with style():
        figure = Figure(figsize=(5.8, 3.2), layout="constrained")
        axes = figure.subplots()
        for (name, runs), colour in zip(found.items(), CYCLE, strict=False):
            so_far = [np.minimum.accumulate([value for _, value in tried]) for tried in runs]
            axes.step(np.arange(1, TRIALS + 1), np.mean(so_far, axis=0), where="post", color=colour, label=name)
        axes.set(xlabel="trials", ylabel="best validation loss so far", ylim=(0.1, 0.6))
        axes.legend()
    return figure


def draw_seeds(scores: pd.DataFrame) -> Figure:
    random = np.random.default_rng(0)  # accuracies are multiples of 1 / 179: without a shift, points lie on points
    x, y = (100 * scores[key] + random.uniform(-0.2, 0.2, len(scores)) for key in ("val/acc", "test/acc"))
    with style():
        figure = Figure(figsize=(5.0, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.scatter(x, y, s=8, color=BLUE, alpha=0.6, linewidths=0, label="a seed")
        best = [group["val/acc"].idxmax() for _, group in scores.groupby(np.arange(len(scores)) // GROUP)]
        axes.scatter(x[best], y[best], s=24, color=VERMILLION, marker="D", label=f"the best of {GROUP} by validation")
        axes.axhline(100 * scores["test/acc"].mean(), color=BLUE, linewidth=0.8, linestyle="--", label="mean of all")
        axes.set(xlabel="validation accuracy (%)", ylabel="test accuracy (%)")
        axes.legend()
    return figure


def main() -> None:
    found, scores = searches(), members()
    tables = {"searches": methods_table(found), "seeds": seeds_table(scores)}
    figures = {"15-searches": lambda: draw_searches(found), "15-seeds": lambda: draw_seeds(scores)}
    leave("15-tuning.md", tables, figures, seeds="seeds as said")


if __name__ == "__main__":
    main()
