"""Every combination of a sweep, checked before its first job."""

import itertools
from collections.abc import Iterator
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from kindling.config.asked import take_asked
from kindling.config.checks import problems
from kindling.errors import UserError, listed
from kindling.sweep.loader import SweepConfigLoader
from kindling.sweep.space import Space

NOT_OF_THE_JOB = ("hydra", "sweep", "run_dir", "allowed_packages")


def check(config: DictConfig, space: Space, loader: SweepConfigLoader) -> None:
    """Each combination of options, and with it each value of the other keys once.

    Raises:
        UserError: with every mistake.
    """
    found: list[str] = []
    for chosen in _combinations(space, loader):
        others = {key: list(_values(space, key)) for key in space.swept if key not in chosen}
        for place in range(max(map(len, others.values()), default=1)):
            chosen.update({key: options[place % len(options)] for key, options in others.items()})
            found += _problems(config, space.overrides(chosen), loader)
    if found:
        raise UserError(listed(found))


def job_configs(config: DictConfig, space: Space, loader: SweepConfigLoader) -> dict[str, dict[str, Any]]:
    """By the options chosen, the config of a job that has them, without what differs from job to job."""
    configs = {}
    for chosen in _combinations(space, loader):
        first = {key: next(_values(space, key)) for key in space.swept}
        job: Any = OmegaConf.to_container(loader.load_sweep_config(config, space.overrides({**first, **chosen})))
        name = " ".join(f"{key}={value}" for key, value in chosen.items()) or "all"
        configs[name] = {key: value for key, value in job.items() if key not in NOT_OF_THE_JOB}
    return configs


def _combinations(space: Space, loader: SweepConfigLoader) -> Iterator[dict[str, Any]]:
    """Of the options of the groups that are swept."""
    groups = {key: [value for value, _ in listed] for key, listed in space.listed.items() if loader.options(key)}
    for combination in itertools.product(*groups.values()):
        yield dict(zip(groups, combination, strict=True))


def _values(space: Space, key: str) -> Iterator[Any]:
    """All that are listed, of whole numbers the least and the greatest, and of a range its ends."""
    if key not in space.listed:
        distribution: Any = space.swept[key]
        yield from (distribution.low, distribution.high)
    elif all(text.isdecimal() for _, text in space.listed[key]):
        values = [value for value, _ in space.listed[key]]
        yield min(values, key=int)
        yield max(values, key=int)
    else:
        yield from (value for value, _ in space.listed[key])


def _problems(config: DictConfig, overrides: list[str], loader: SweepConfigLoader) -> list[str]:
    setup_globals()
    try:
        job = loader.load_sweep_config(config, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        return [str(error).splitlines()[0]]
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(job)
    try:
        asked = take_asked(job)
        with open_dict(job):
            del job["sweep"]
        job.run_dir = "."
        return problems(job, asked)
    finally:
        HydraConfig.instance().cfg = before
