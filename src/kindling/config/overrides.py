"""Overrides: whether they name what is in conf/, with values of the right kind. Read without torch."""

import itertools
import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

import kindling.config.deleting  # noqa: F401  # what it makes of Hydra
from kindling.config.quoting import in_quotes, typed
from kindling.errors import UserError, did_you_mean, listed, some

# Keys whose default value is of one type of several that their signature takes; the signature is checked later.
SEVERAL_TYPES = {"trainer.devices", "data.target", "data.device_resident", "steps_per_call"}
OPTIONAL_GROUPS = {"experiment", "debug"}
CHOICES = {"mode": ("min", "max"), "population_order": ("own", "shared"), "on_save_error": ("stop", "continue")}
PARTS = ("loss", "optimizer", "scheduler")  # sections that a model may take or leave
ONE_OPTION = (*PARTS, "data", "model", "sweep")  # groups whose options would be mixed into one that nobody has meant
REPLACEABLE = ("data", "loss", "metrics", "trainer")  # groups of which a finished run can be given another option


def parse(texts: Sequence[str], problems: list[str]) -> Iterator[Override]:
    parser = OverridesParser.create()
    for text in texts:
        try:
            override = parser.parse_override(in_quotes(text))
        except HydraException:
            problems.append(_unread(text))
            continue
        if override.key_or_group:
            yield override
        else:
            problems.append(f"{text}: not of the form key=value")


def _unread(text: str) -> str:
    """What is wrong with an override that is none, and where that is known, what is right."""
    key, _, value = text.partition("=")
    if value.startswith("~"):
        return f"{text}: a shell leaves ~ as it is here; write {key}={Path(value).expanduser()}"
    if not re.fullmatch(r"[\w+~./@-]+", key) or not value or value[0] == "{":
        return f"{text}: not of the form key=value"
    return f"{text}: needs quotes around the value, and around it all for the shell: {typed(text)}"


def options_of(override: Override) -> list[str]:
    """The options of the config group that the override chooses from; empty where it sets a value."""
    loader = GlobalHydra.instance().config_loader()
    return [] if "." in override.key_or_group else loader.get_group_options(override.key_or_group)


def choosing(overrides: list[Override]) -> list[Override]:
    """Those that choose an option from a group."""
    return [override for override in overrides if options_of(override)]


def values_of(override: Override) -> list[Any]:
    """The value, or all that a sweep goes through; nothing where only Hydra can tell (intervals, globs)."""
    if not override.is_sweep_override():
        return [override.value()]
    if isinstance(value := override.value(), IntervalSweep):
        return [value.start, value.end]
    if override.is_discrete_sweep() and override.value_type is not ValueType.GLOB_CHOICE_SWEEP:
        return list(override.sweep_iterator())
    return []


def combinations(choices: list[Override], problems: list[str]) -> Iterator[list[str]]:
    """Every combination of the options that exist, as overrides."""
    texts = []
    for override in choices:
        if override.is_delete():
            texts.append([override.input_line or ""])
            continue
        group, options, valid = override.key_or_group, options_of(override), []
        for value in values_of(override):
            names = value if isinstance(value, list) else [value]
            if value is None and group in OPTIONAL_GROUPS:
                continue
            wrong = [name for name in names if str(name) not in options]
            if len(names) > 1 and not wrong and (problem := several_problem(override, names)):
                problems.append(problem)
            elif wrong or not names:
                named = ["null" if name is None else str(name) for name in wrong or ["[]"]]
                problems += [
                    f"{group}={name}: no such option{did_you_mean(name, options)} ({group} is one of {some(options)})"
                    for name in named
                ]
            else:
                listed = f"[{','.join(names)}]" if isinstance(value, list) else value
                valid.append(f"{(override.input_line or '').split('=')[0]}={listed}")
        texts.append(valid or [""])
    for combination in itertools.product(*texts):
        yield [text for text in combination if text]


def several_problem(override: Override, names: list[Any]) -> str | None:
    """What is wrong with several options of a group at once, where something is."""
    text, group = override.input_line, override.key_or_group
    if group in ONE_OPTION:
        instead = "; scheduler=sequence has one after another" if group == "scheduler" else ""
        return f"{text}: one option is needed, not several; to compare them: -m {group}={','.join(names)}{instead}"
    return f"{text}: none goes with no other option; leave it out, or the others" if "none" in names else None


def value_problems(cfg: dict[str, Any], overrides: list[Override], told: Collection[str] = ()) -> Iterator[str]:
    """Keys that are not there, and values that are not of their kind. Of those that have been `told`, nothing more."""
    defaults = dict(_flat(cfg))
    for override in overrides:
        key = override.key_or_group
        if key in told or any(ancestor in told for ancestor in _ancestors(key)):
            continue
        added = override.is_add() or override.is_force_add()
        if (
            override.is_add()
            and defaults.get(key) not in (None, "???")
            and not isinstance(override.value(), dict | list)
        ):
            yield f"{override.input_line}: {key} is there already; leave out the +"
            continue
        if added and any(isinstance(defaults.get(ancestor), dict) for ancestor in _ancestors(key)):
            defaults.setdefault(key, None)
        if key not in defaults:
            yield f"{key}: no such key{did_you_mean(key, defaults)}"
        elif override.is_delete() and "." not in key and not isinstance(defaults[key], dict):
            yield f"~{key}: is a setting of every run, and stays; give it another value instead"
        elif not (override.is_delete() or key in SEVERAL_TYPES or key.startswith("hydra.")):  # Hydra has types
            for value in values_of(override):
                yield from _type_problems(key, defaults[key], value)
    given = {override.key_or_group for override in overrides}
    for key, default in defaults.items():
        if default == "???" and key not in {*given, *told} and not key.startswith("hydra."):
            yield f"{key}: a value is required, as in {key}=..."


def _ancestors(key: str) -> Iterator[str]:
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every full key below `node` with its value, sections included."""
    for key, value in node.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


def _type_problems(key: str, default: Any, value: Any) -> Iterator[str]:
    """A value of another kind than the default in the YAML; null and interpolations fit everything."""
    if default is None or value is None or "${" in str(default) or "${" in str(value) or default == "???":
        return
    shown = str(value).lower() if isinstance(value, bool) else value
    if isinstance(default, bool):
        if not isinstance(value, bool | int):  # a count where the signature takes one too
            yield f"{key}={shown}: should be true or false"
    elif isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            yield f"{key}={shown}: should be a number, like {default}"
    elif isinstance(default, list):
        if not isinstance(value, list):
            yield f"{key}={shown}: should be a list, like [{', '.join(map(str, default))}]"
    elif isinstance(default, dict):
        yield f"{key}={shown}: is a section with the keys {some(default)}"
    elif isinstance(value, list | dict):
        yield f"{key}={shown}: should be a single value, like {default}"


def changed(config_dir: Path, config: dict[str, Any], texts: Sequence[str]) -> DictConfig:
    """The `config` of a finished run with overrides: of values, or, of what is REPLACEABLE, by options of conf/.

    Raises:
        UserError: with every mistake.
    """
    if not texts:
        return OmegaConf.create(config)
    problems: list[str] = []
    with initialize_config_dir(str(config_dir.absolute()), version_base="1.3"):
        overrides = list(parse(list(texts), problems))
        choices = [o for o in overrides if options_of(o)]
        problems += [f"{o.input_line}: one value is needed, not several" for o in overrides if o.is_sweep_override()]
        problems += [
            f"{o.input_line}: a finished run keeps its {o.key_or_group}; only {', '.join(REPLACEABLE)} can be replaced"
            for o in choices
            if o.key_or_group not in REPLACEABLE or o.is_delete()
        ]
        for combination in combinations(choices, problems) if choices and not problems else []:
            for text in combination:  # each by itself: conf/train.yaml may name groups that have no default
                group, _, names = text.partition("=")
                config = {**config, group: {}}
                for option in names.strip("[]").split(","):  # of some groups, several
                    composed: Any = OmegaConf.to_container(compose(f"{group}/{option}"))
                    chosen = composed.get(group, {})
                    config[group] = None if chosen is None else {**config[group], **chosen}
    values = [o for o in overrides if o not in choices]
    problems += [] if problems else value_problems(config, values)
    if problems:
        raise UserError(listed(problems))
    cfg = OmegaConf.create(config)
    for override in values:
        if override.is_delete():
            section, _, name = override.key_or_group.rpartition(".")
            del (OmegaConf.select(cfg, section) if section else cfg)[name]
        else:
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    return cfg
