"""What a sweep goes through: the overrides of its command, read as a search space of Optuna's."""

import itertools
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kindling.errors import UserError


@dataclass(frozen=True)
class Space:
    """`fixed` overrides of all jobs, and by the keys of the others what their values are drawn from.

    `listed` has the keys whose values stand in the command one by one: each value with its text on the command line. It
    is a number where all values of the key are, else the text itself.
    """

    fixed: list[str]
    swept: dict[str, BaseDistribution]
    listed: dict[str, list[tuple[Any, str]]]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Those of the job that has these values."""
        return [*self.fixed, *self.drawn(values)]

    def drawn(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides in which jobs differ."""
        return [f"{key}={self._text(key, values[key])}" for key in self.swept]

    def values(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Of the job that has these overrides; nothing where it is none of this space."""
        texts = dict(override.partition("=")[::2] for override in overrides)
        found = {key: self._value(key, texts.get(key, "")) for key in self.swept}
        return {} if None in found.values() else found

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of listed values; those of the last key change fastest."""
        values = [[value for value, _ in self.listed[key]] for key in self.swept]
        return [dict(zip(self.swept, combination, strict=True)) for combination in itertools.product(*values)]

    def _text(self, key: str, value: Any) -> str:
        return next(text for listed, text in self.listed[key] if listed == value) if key in self.listed else repr(value)

    def _value(self, key: str, text: str) -> Any:
        if key in self.listed:
            return next((value for value, listed in self.listed[key] if listed == text), None)
        distribution: Any = self.swept[key]
        try:
            value = int(text) if isinstance(distribution, IntDistribution) else float(text)
        except ValueError:
            return None
        return value if distribution.low <= value <= distribution.high else None


def read_space(overrides: Sequence[str], loader: ConfigLoader, grid: bool, as_texts: Collection[str] = ()) -> Space:
    """The space that the overrides span. In a `grid` all values are listed; a search draws numbers from ranges.

    Values of the keys `as_texts` stay texts: a study that holds them so cannot take numbers.

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
    listed = {key: _listed(o, key in as_texts) for key, o in swept.items() if grid or not _is_range(o)}
    drawn = {key: _distribution(listed[key], grid) if key in listed else _range(o) for key, o in swept.items()}
    return Space(fixed, drawn, listed)


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


def _is_range(override: Override) -> bool:
    """Whether a search draws from all between two numbers; else from the values themselves."""
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        return not value.shuffle and len(numbers := list(value.range())) > 1 and all(type(n) is int for n in numbers)
    return isinstance(value, IntervalSweep)


def _range(override: Override) -> BaseDistribution:
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        numbers: Any = list(value.range())
        return IntDistribution(min(numbers), max(numbers), step=abs(int(cast(Any, value.step))))
    kind = IntDistribution if isinstance(value.start, int) else FloatDistribution
    return kind(value.start, value.end, log="log" in value.tags)


def _listed(override: Override, as_texts: bool) -> list[tuple[Any, str]]:
    values = list(override.sweep_iterator())
    texts = [str(Transformer.str(value)) for value in values]
    # 1 and 1.0 are two values, of which only the texts differ.
    if as_texts or not all(map(_is_number, values)) or len(set(values)) < len(set(texts)):
        return list(zip(texts, texts, strict=True))
    return list(zip(values, texts, strict=True))


def _is_number(value: Any) -> bool:
    """Whether it is a finite one that Optuna, which keeps floats, keeps to the digit."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max and float(value) == value


def _distribution(listed: Sequence[tuple[Any, str]], grid: bool) -> BaseDistribution:
    """The trials of a grid are told their values, so that numbers may lie on an axis; a search draws from the list."""
    values: Any = [value for value, _ in listed]
    if not grid or not all(map(_is_number, values)):
        return CategoricalDistribution(values)
    low, high = min(values), max(values)
    kind = IntDistribution if all(type(value) is int for value in values) else FloatDistribution
    return kind(low, high, log=0 < 100 * low <= high)
