"""The rules of `param_groups`: which parameters they are about, and which settings of the optimizer those get."""

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_object

from kindling.config.signatures import NAMED, signature, value_problems
from kindling.errors import did_you_mean

ABOUT = {"names": str | list[str], "dims": int | list[int]}
FACTOR = "lr_factor"
# Arguments of an optimizer that are not for a group: what it is of, and how a step is computed.
OF_ALL = {"params", "foreach", "fused", "capturable", "differentiable", "maximize"}


def settings_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key not in ABOUT and value is not None}


def rule_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """In a config whose optimizer is sound."""
    rules, optimizer = config["param_groups"], config["optimizer"]
    if not rules or not optimizer:
        return
    if str(optimizer["_target_"]).endswith("LBFGS"):
        yield f"param_groups: {optimizer['_target_']} takes all parameters in one group; param_groups=none goes with it"
        return
    strategy = str(config["trainer"].get("strategy")).lower()
    for name in ("fsdp", "deepspeed"):
        if name in strategy:
            yield f"param_groups: not possible with {name}, which gives parameters other names and shapes"
    takes = signature(get_object(optimizer["_target_"]))
    for name, rule in rules.items():
        if isinstance(rule, dict):
            yield from _problems_of_one(f"param_groups.{name}", rule, takes, optimizer["_target_"])
        elif rule is not None:
            yield f"param_groups.{name}={rule}: should be a section with names or dims and settings, or null"


def _problems_of_one(path: str, rule: dict[str, Any], takes: Mapping[str, Any], optimizer: str) -> Iterator[str]:
    if rule.get("names") is None and rule.get("dims") is None:
        yield f"{path}: names no parameters; {path}.names or {path}.dims is needed"
    if not settings_of(rule):
        yield f"{path}: sets nothing, such as {path}.weight_decay or {path}.lr_factor"
    valid = [name for name, parameter in takes.items() if parameter.kind in NAMED and name not in OF_ALL]
    for key, value in rule.items():
        if key in ABOUT:
            yield from value_problems(f"{path}.{key}", ABOUT[key] | None, value)
        elif key == FACTOR:
            yield from value_problems(f"{path}.{key}", float | None, value)
            if isinstance(value, int | float) and value < 0:
                yield f"{path}.{key}={value}: should be at least 0"
        elif key not in valid:
            names = [*ABOUT, FACTOR, *valid]
            yield f"{path}.{key}: {optimizer} has no such setting for a group{did_you_mean(key, names)}"
        elif value is not None:
            yield from value_problems(f"{path}.{key}", takes[key].annotation, value)
