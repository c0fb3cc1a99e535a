"""What a folder says when its run or sweep goes on, held against what the user says.

The user says what the command line holds now, and what conf/ composes to. The folder may choose among the options of
conf/ and set values, but what only the folder says names no other class than a checkpoint may, and leads nowhere out of
the folder.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config.overrides import choosing, combinations, parse, values_of
from kindling.config.quoting import quoted
from kindling.config.resume import flat
from kindling.config.told import is_computed, key_of
from kindling.errors import UserError, listed, shown
from kindling.text import printable


@dataclass(frozen=True)
class Said:
    """An override, and whether the user says so now; else only the folder does."""

    override: Override
    by_user: bool

    @property
    def text(self) -> str:
        return self.override.input_line or ""


def merge(told: Sequence[Override], typed: Sequence[Override]) -> list[Said]:
    """What the folder tells and what the user types, of which the last counts for each key, in the place of the first.

    Of a key that had to be added (`+key=1`), whoever sets it anew need not know that.
    """
    said: dict[tuple[str, bool], Said] = {}
    for by_user, override in [*((False, o) for o in told), *((True, o) for o in typed)]:
        place = (key_of(override), override.is_delete())
        before = said.get(place)
        now = Said(override, by_user)
        if before and before.text.startswith("+") and not now.text.startswith("+"):
            (override,) = parse([f"{before.text[: -len(before.text.lstrip('+'))]}{now.text}"], [])
            now = replace(now, override=override)
        said[place] = now
    return list(said.values())


@dataclass(frozen=True)
class Resumed:
    """What is gone on with: all overrides, and the `file` of the folder with those that the user has not typed."""

    said: list[Said]
    file: Path

    def check(self, config_name: str) -> None:
        """Hold what only the folder says against what the user says. Hydra's config folder has been set.

        Raises:
            UserError: with all that a folder may not say, and what to type for whoever wants it nevertheless.
        """
        told = [said.override for said in self.said if not said.by_user]
        try:
            found = list(dict.fromkeys(_problems(config_name, self.said, self.file.parent))) if told else []
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"{self.file}: {shown(str(error).partition(chr(10))[0], 300)}") from None
        if found:
            keys = [re.split("[=:]", problem)[0] for problem in found]
            values = [o for o in told if not choosing([o])]
            again = [o.input_line or "" for o in values if any(_about(key_of(o), key) for key in keys)]
            typed = printable(shlex.join(again or [f"{key}=..." for key in keys]))
            join = "; " if len(found) == 1 else "\n"
            raise UserError(
                f"{listed(found)}{join}so says {self.file}; to have it so, repeat it on the command line: {typed}"
            )


def _about(part: str, key: str) -> bool:
    """Whether what is wrong with a key of the config may come from an override of `part`."""
    node = key.removesuffix("._target_")
    return f"{key}.".startswith(f"{part}.") or part.startswith(f"{node}.")


def _problems(config_name: str, said: Sequence[Said], folder: Path) -> Iterator[str]:
    from kindling.trust.confinement import ways_out
    from kindling.trust.targets import problems  # imports torch, which only those who go on wait for here

    values = [s for s in said if not s.override.is_hydra_override() and not choosing([s.override])]
    for options in combinations(choosing([s.override for s in said if not s.override.is_hydra_override()]), []):
        for place in range(max((len(_swept(s.override)) for s in values), default=0) or 1):
            config = _composed(config_name, options, values, place, folder)
            own = _composed(config_name, options, [s for s in values if s.by_user], place, folder)
            plain, trusted = _resolved(config), _resolved(own, unknown=object())
            yield from _computed(config, plain, trusted)
            packages = plain.get("allowed_packages")
            yield from problems(plain, packages if isinstance(packages, list) else (), trusted)
            yield from ways_out(plain, folder, trusted)


def _swept(override: Override) -> list[Any]:
    """What it is swept over, but numbers, which lead nowhere."""
    values = values_of(override) if override.is_sweep_override() else []
    return [value for value in values if not isinstance(value, bool | int | float)]


def _composed(config_name: str, options: Sequence[str], values: Sequence[Said], place: int, folder: Path) -> DictConfig:
    """Of the values that are swept over, those in one `place`."""
    swept = [s.override for s in values if s.override.is_sweep_override()]
    texts = [s.text for s in values if s.override not in swept and key_of(s.override) != "run_dir"]
    cfg = compose(config_name, [*options, *texts, f"run_dir={quoted(folder)}"])
    for override in swept:
        if choices := _swept(override):
            OmegaConf.update(cfg, override.key_or_group, choices[place % len(choices)], force_add=True)
    cfg.sweep = None
    return cfg


def _resolved(node: Any, unknown: Any = None) -> Any:
    """As plain containers, with `unknown` for what cannot be resolved: it belongs to a part that nobody takes."""
    if not OmegaConf.is_config(node):
        return node
    pairs = []
    for key in node if isinstance(node, DictConfig) else range(len(node)):
        try:
            pairs.append((key, _resolved(node[key], unknown)))
        except OmegaConfBaseException:
            pairs.append((key, unknown))
    return dict(pairs) if isinstance(node, DictConfig) else [value for _, value in pairs]


def _computed(cfg: DictConfig, plain: dict[str, Any], trusted: dict[str, Any]) -> Iterator[str]:
    """What the folder makes of the environment: nothing that is shown or built may hold a secret."""
    raw: Any = OmegaConf.to_container(cfg)
    before, sources = dict(flat(trusted)), dict(flat(raw))
    for key, value in flat(plain):
        source = str(sources.get(key, ""))
        if is_computed(sources, source) and value != before.get(key):
            yield f"{shown(key)}={shown(source)}: comes from the environment"
