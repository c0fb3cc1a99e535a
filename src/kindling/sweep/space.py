"""What a sweep goes through: the overrides of its command, read as a search space of Optuna's."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kindling.errors import UserError


@dataclass(frozen=True)
class Space:
    """`fixed` overrides of all jobs, and by the keys of the others what their values are drawn from.

    The values of a CategoricalDistribution are texts, as they would stand on the command line.
    """

    fixed: list[str]
    swept: dict[str, BaseDistribution]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Those of the job that has these values."""
        return [*self.fixed, *(f"{key}={text(values[key])}" for key in self.swept)]

    def grid(self) -> list[dict[str, Any]]:
        """Every combination, of a space of categories alone; the values of the last key change fastest."""
        choices = [distribution.choices for distribution in self.swept.values()]  # type: ignore[attr-defined]
        return [dict(zip(self.swept, values, strict=True)) for values in itertools.product(*choices)]


def read_space(overrides: Sequence[str], loader: ConfigLoader, grid: bool) -> Space:
    """The space that the overrides span. In a `grid` all values are categories; a search draws numbers from ranges.

    Raises:
        UserError: with every override that cannot be swept so.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    by_key = {override.key_or_group: override for override in parsed}  # the last one counts, as in Hydra
    swept = {o.get_key_element(): o for o in by_key.values() if o.is_sweep_override()}
    problems = [problem for override in swept.values() for problem in _problems(override, grid)]
    if problems:
        raise UserError("; ".join(problems))
    if not grid and not swept:
        raise UserError(
            "nothing is swept; give a key a list of values or a range, like optimizer.lr=interval(0.01,0.1)"
        )
    fixed = [o.input_line or "" for o in by_key.values() if not o.is_sweep_override()]
    return Space(fixed, {key: _distribution(override, grid) for key, override in swept.items()})


def _problems(override: Override, grid: bool) -> Iterator[str]:
    key, line = override.key_or_group, override.input_line
    if key == "sweep" or key.startswith("sweep."):
        yield f"{line}: a sweep has one value of each of its settings"
    elif grid and not override.is_discrete_sweep():
        yield f"{line}: a grid cannot go through an interval; list values, or draw them: sweep=random, sweep=tpe"
    elif not grid and key == "seed":
        yield f"{line}: a search would pick the luckiest seed; population=5 scores every setting by its mean over five"
    elif not override.is_discrete_sweep():
        yield from _interval_problems(line, cast(Any, override.value()))


def _interval_problems(line: str | None, interval: IntervalSweep) -> Iterator[str]:
    if not interval.start < interval.end:  # type: ignore[operator]
        yield f"{line}: the first number should be the smaller one"
    elif "log" in interval.tags and not interval.start > 0:  # type: ignore[operator]
        yield f"{line}: on a logarithmic scale the first number should be above 0"
    for tag in interval.tags - {"log"}:
        yield f"{line}: there is no tag {tag}; the only one is log"


def _distribution(override: Override, grid: bool) -> BaseDistribution:
    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        kind = IntDistribution if isinstance(value.start, int) else FloatDistribution
        return kind(cast(Any, value.start), cast(Any, value.end), log="log" in value.tags)
    if not grid and isinstance(value, RangeSweep) and not value.shuffle:
        values = list(value.range())
        if len(values) > 1 and all(isinstance(number, int) for number in values):
            low, high = min(values), max(values)
            return IntDistribution(low, high, step=abs(int(value.step)))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def text(value: Any) -> str:
    """As on the command line."""
    return value if isinstance(value, str) else repr(value)
