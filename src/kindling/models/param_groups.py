"""An optimizer with groups of parameters, by rules on their names and shapes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from itertools import accumulate
from typing import Any

import lightning as L
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from kindling.config.rules import FACTOR, settings_of
from kindling.config.signatures import given, signature
from kindling.errors import UserError, did_you_mean

Described = Iterable[tuple[str, int, Tensor]]  # name, number of dimensions, parameter


class Grouped(partial[Optimizer]):
    """The optimizer of a config, to be called with parameters, with their names, or with groups of them.

    Each gets the settings of all `rules` that it matches, of the last where several have the same. The names are those
    that `describe` gives, since a model may hand over its parameters without.
    """

    rules: Mapping[str, Any]
    describe: Callable[[], Described]

    def __call__(self, params: Iterable[Any], **kwargs: Any) -> Optimizer:
        described = list(self.describe())
        check_rules(self.rules, described)
        known: dict[int, list[tuple[str, int]]] = {}
        for name, dims, parameter in described:
            known.setdefault(id(parameter), []).append((name, dims))  # several names where it is tied
        function, keywords = given(self)
        keywords |= kwargs
        lr = keywords["lr"] if "lr" in keywords else signature(function)["lr"].default
        groups = list(params)
        if not (groups and isinstance(groups[0], dict)):
            groups = [{"params": groups}]
        parts = [part for place, group in enumerate(groups) for part in self._split(group, known, lr, place)]
        return super().__call__(parts, **kwargs)

    def _split(
        self, group: dict[str, Any], known: Mapping[int, list[tuple[str, int]]], lr: Any, place: int
    ) -> Iterator[dict[str, Any]]:
        """The group as it is for those that no rule is about, and then one for each set of rules."""
        members = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
        parts: dict[tuple[str, ...], list[Any]] = {(): []}
        for member in members:
            parameter = member[1] if isinstance(member, tuple) else member
            names = known.get(id(parameter), [])
            matching = (name for name, rule in self.rules.items() if any(matches(rule, *called) for called in names))
            parts.setdefault(tuple(matching), []).append(member)
        for rules, members in parts.items():
            settings: dict[str, Any] = {}
            for name in rules:
                settings |= settings_of(self.rules[name])
            factor = settings.pop(FACTOR, 1)
            if factor != 1 and "lr" not in settings:
                settings["lr"] = group.get("lr", lr) * factor
            named = {"name": "+".join(rules) + f" {place + 1}" * (place > 0)} if rules else {}
            if members:
                yield {**group, **named, **settings, "params": members}


def matches(rule: Mapping[str, Any], name: str, dims: int) -> bool:
    of_name = rule.get("names") is None or any(is_called(name, pattern) for pattern in listed(rule["names"]))
    return of_name and (rule.get("dims") is None or dims in listed(rule["dims"]))


def is_called(name: str, pattern: str) -> bool:
    """Whether the parameter, or a module that it is in, has a name like the pattern."""
    return any(fnmatchcase(place, pattern) for place in places(name))


def places(name: str) -> list[str]:
    return list(accumulate(name.split("."), "{}.{}".format))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def check_rules(rules: Mapping[str, Any], described: list[tuple[str, int, Tensor]]) -> None:
    """Raises:
    UserError: where a rule, or a pattern in it, is about none of the parameters.
    """
    known = list(dict.fromkeys(place for name, _, _ in described for place in places(name)))
    for rule_name, rule in rules.items():
        for pattern in listed(rule["names"]) if rule.get("names") is not None else []:
            if not any(fnmatchcase(place, pattern) for place in known):
                hint = did_you_mean(pattern, known) or f"; there are {', '.join(known[:6])} ..."
                raise UserError(f"param_groups.{rule_name}.names={pattern}: no parameter is called so{hint}")
        if not any(matches(rule, name, dims) for name, dims, _ in described):
            found = ", ".join(map(str, sorted({dims for _, dims, _ in described})))
            raise UserError(f"param_groups.{rule_name}: matches no parameter; they have {found} dimensions")


def describe(model: L.LightningModule) -> Iterator[tuple[str, int, Tensor]]:
    """Raises:
    UserError: where a parameter has no shape yet.
    """
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if is_lazy(parameter):
            raise UserError(f"param_groups: not possible with {name}, whose shape is known after the first batch alone")
        yield name, parameter.dim(), parameter


def grouped(make: Any, rules: Mapping[str, Any]) -> Any:
    """The optimizer of a config with the rules of its param_groups, if any."""
    rules = {name: rule for name, rule in rules.items() if rule is not None}
    if not rules or not isinstance(make, partial):
        return make
    found = Grouped(make.func, *make.args, **make.keywords)
    found.rules = rules
    return found
