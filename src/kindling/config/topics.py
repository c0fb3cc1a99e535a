"""`python train.py --help GROUP`, `GROUP=OPTION` and `KEY`: from the comments in conf/ and the docstrings."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kindling.config.docs_of_code import Argument, described
from kindling.config.help import OF_HYDRA, defaults_of, options_by_group
from kindling.config.options import PRIMARY, Entry, Option, read
from kindling.config.overrides import CHOICES
from kindling.config.sources import Source
from kindling.errors import UserError, did_you_mean, some
from kindling.folders import near
from kindling.text import columns


def topic(name: str, source: Source) -> Iterator[str]:
    """The lines of help on it.

    Raises:
        UserError: where there is no such group, option or key, with the nearest.
    """
    options = [read(group, file) for group, files in options_by_group(source).items() for file in files]
    primary = Path(source.path, "train.yaml")
    options = [*([read(PRIMARY, primary)] if primary.is_file() else []), *options]
    defaults, purposes = defaults_of(source)
    options.sort(key=lambda option: defaults.get(option.group) != option.name)  # stable: the defaults come first
    by_group = {option.group: [other for other in options if other.group == option.group] for option in options}
    group, _, choice = name.lstrip("+~").partition("=")
    if group in by_group and group != PRIMARY and choice:
        names = [option.name for option in by_group[group]]
        if choice not in names:
            raise UserError(f"--help {name}: no such option{did_you_mean(choice, names)} ({group}: {some(names)})")
        return of_option(by_group[group][names.index(choice)])
    if group in by_group and group != PRIMARY:
        purpose = (OF_HYDRA | purposes).get(group, "")
        return of_group(group, purpose, by_group[group], defaults.get(group))
    if found := list(of_key(group, options)):
        return iter(found)
    keys = [key for option in options for key in option.keys if not key.rpartition(".")[2].startswith("_")]
    known = [*filter(None, by_group), *keys]
    section = [key for key in dict.fromkeys(known) if key.startswith(f"{group.rpartition('.')[0]}.")]
    near = did_you_mean(group, known) or (f"; there are {some(section)}" if section else "")
    raise UserError(f"--help {name}: no such group or key{near or '; --help lists the groups'}")


def of_group(group: str, purpose: str, options: list[Option], default: str | None) -> Iterator[str]:
    yield from filled(f"{group}: {purpose}" if purpose else group)
    yield f"python train.py {group}=OPTION"
    yield ""
    width = max(len(option.name) for option in options) + 3
    for option in sorted(options, key=lambda option: option.name):
        name = f"{option.name}*" if option.name == default else option.name
        yield from filled(f"  {name:<{width}}{first_sentence(about(option))}", " " * (width + 2))
    yield ""
    example = default if default not in (None, "none") else max(option.name for option in options)
    yield from filled(f"{'* is the default. ' * bool(default)}--help {group}={example} shows its keys, --help KEY one.")


def of_option(option: Option) -> Iterator[str]:
    yield from filled(f"{option.chosen_by}: {about(option) or 'see its keys'}")
    shown = {key: entry for key, entry in option.keys.items() if not key.endswith(("._target_", "._partial_"))}
    arguments = {
        f"{section}.{name}": argument
        for section, target in option.sections().items()
        for name, argument in described(target).arguments.items()
    }
    yield ""
    for key, entry in shown.items():
        if isinstance(entry.value, dict):
            continue
        said = entry.comment or first_sentence(arguments[key].about if key in arguments else "")
        yield from filled(f"  {key}: {written(entry.value)}{f'   {said}' if said else ''}", " " * 6)
    more = [key for key, argument in arguments.items() if key not in shown and argument.default is not None]
    if more:
        yield ""
        yield from filled(f"More of its arguments, which +KEY=VALUE sets: {', '.join(more)}")
    for base in option.based_on:
        yield f"It has what {option.group}={base} has, too."
    yield ""
    yield f"In {near(option.path)}"


def of_key(key: str, options: list[Option]) -> Iterator[str]:
    """Nothing where no file has the key, and no class has an argument of that name."""
    having = [option for option in options if key in option.keys]
    section, _, name = key.rpartition(".")
    argument = argument_of(section, name, having or options)
    if not having and argument is None:
        return
    found = [option.keys[key] for option in having]
    comments = list(dict.fromkeys(entry.comment for entry in found if entry.comment))
    said = "; ".join(comments) or (argument.about if argument else "")
    yield from filled(f"{key}: {said}" if said else key)
    if comments and argument and argument.about:
        yield from filled(f"  {argument.about}", "  ")
    if found and isinstance(found[0].value, dict):
        yield from filled(f"  a section with {some(f'{key}.{name}' for name in found[0].value)}", "    ")
        return
    yield ""
    kind = f"one of {', '.join(CHOICES[key])}" if key in CHOICES else argument.kind if argument else ""
    yield from filled(f"  type     {kind or kind_of(found)}", " " * 11)
    if having:
        first, *others = having
        where = f" ({first.chosen_by})" if first.group else ""
        different = [f"{written(o.keys[key].value)} ({o.chosen_by})" for o in others if o.keys[key] != first.keys[key]]
        yield from filled(f"  default  {'; '.join([written(first.keys[key].value) + where, *different])}", " " * 11)
        yield f"  set by   {key}=VALUE"
    elif argument:
        required = "a value is required" if argument.default is None else argument.default
        yield from filled(f"  default  {required}, which is no key of conf/ yet", " " * 11)
        yield f"  set by   +{key}=VALUE"


def argument_of(section: str, name: str, options: list[Option]) -> Argument | None:
    """Of the class that the section builds, with the first option whose class has one of that name."""
    for option in options:
        target = option.sections().get(section)
        found = described(target).arguments.get(name) if target else None
        if found:
            return found
    return None


def kind_of(entries: list[Entry]) -> str:
    """By the default."""
    value = next((entry.value for entry in entries if entry.value is not None), None)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "null, or what is said above")


def about(option: Option) -> str:
    """The comment at its head; else what its class says of itself."""
    targets = [target for section, target in option.sections().items() if "." not in section]
    return option.about or (described(targets[0]).about if targets else "")


def first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]


def written(value: Any) -> str:
    """As YAML has it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n")
    return text.strip().strip("'") or "''"


def filled(text: str, indent: str = "    ") -> list[str]:
    return textwrap.wrap(text, columns(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
