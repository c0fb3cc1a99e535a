"""What a search draws at random before it learns from its jobs, or because it cannot learn."""

import math
from collections.abc import Iterator

from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution

from kindling.sweep.space import Space

# By sampler, the setting that says how many jobs come first, and Optuna's own value where there is none.
FIRST = {
    "TPESampler": ("n_startup_trials", 10),
    "NSGAIISampler": ("population_size", 50),
    "NSGAIIISampler": ("population_size", 50),
    "CmaEsSampler": ("popsize", None),
}


def notes(option: str, sampler: DictConfig, n_trials: int, space: Space) -> Iterator[str]:
    """A sentence where nothing is swept, and where most jobs or some parameters are random though the search is not."""
    if not space.swept:
        what = " ".join(space.fixed) or "the defaults"
        yield f"-m: no key has several values, so one job with {what}; to compare: -m optimizer.lr=1e-3,1e-2"
        return
    kind = str(sampler.get("_target_")).rpartition(".")[2]
    key, first = FIRST.get(kind, ("", 0))
    first = sampler.get(key) or first
    if kind == "CmaEsSampler":
        fixed = [key for key, drawn in space.swept.items() if isinstance(drawn, CategoricalDistribution)]
        num_moved = len(space.swept) - len(fixed)
        if num_moved < 2:
            yield f"sweep={option}: moves several numbers at once, and here are not two; every job is drawn at random"
            return
        if fixed:
            yield f"sweep={option}: moves numbers alone; drawn at random: {', '.join(fixed)}"
        first = first or 4 + math.floor(3 * math.log(num_moved))
    if type(first) is int and 2 * first > n_trials:
        how_many = f"all {n_trials}" if first >= n_trials else f"the first {first} of {n_trials}"
        less = max(2, n_trials // 4)
        hint = f"; sweep.sampler.{key}={less} has it learn earlier" if less < first else ""
        yield f"sweep={option}: {how_many} jobs are drawn at random{hint}"
