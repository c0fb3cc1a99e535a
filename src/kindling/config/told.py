"""What a folder tells: overrides out of a file that nobody vouches for."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from kindling.config.overrides import parse
from kindling.containment import check_contained
from kindling.errors import UserError, shown

MOST_REFERENCES = 20  # ten that are doubled each time make a thousand of one


def check_place(folder: Path, shared: bool = False) -> None:
    """Raises:
    UserError: where something that is written into the folder would land elsewhere.
    """
    if "${" in str(folder.absolute()):
        raise UserError(f"{shown(str(folder))}: a folder with ${{ in its name would be computed; rename it")
    check_contained(folder, shared)


def parsed_overrides(texts: Sequence[str], file: Path) -> list[Override]:
    """The overrides that a file of a folder holds.

    Raises:
        UserError: where it holds something else, or speaks of Hydra itself, which executes what it is told.
    """
    problems: list[str] = []
    # What was added with a + may have got a place in conf/ since, where only ++ sets it either way.
    overrides = list(parse([re.sub(r"^\+(?=(trainer|callbacks|data|loss)\.)", "++", text) for text in texts], problems))
    if problems:
        raise UserError(f"{file} is damaged: {shown(problems[0])}")
    if sum(text.count("${") for text in texts) > MOST_REFERENCES:
        raise UserError(f"{file} was not read: it refers to other keys more than {MOST_REFERENCES} times")
    for override in overrides:
        if override.key_or_group.startswith("hydra") or (override.package or "").startswith("hydra"):
            raise UserError(f"{file.parent}: {file.name} may not hold {shown(override.input_line or '')}")
    return overrides


def key_of(override: Override) -> str:
    """Without the signs of Hydra's grammar: `+key` and `++key` set key."""
    return override.get_key_element().lstrip("+~")


def is_computed(sources: Mapping[str, Any], text: str) -> bool:
    """Whether an interpolation leads to anything but values of the config: the environment, the time."""
    left, seen = [text], set[str]()
    while left:
        text = left.pop()
        names = re.findall(r"\$\{([^${}]*)\}", text)
        if len(names) != text.count("${") or not all(re.fullmatch(r"\w[\w.]*", name) for name in names):
            return True
        for name in set(names) - seen:
            seen.add(name)
            left += [str(value) for key, value in sources.items() if f"{key}.".startswith(f"{name}.")]
    return False
