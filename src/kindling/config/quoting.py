"""KEY=VALUE in the grammar of Hydra's overrides and in that of a shell."""

import re
import shlex
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

MARK = '"'  # of quotes within those of a shell
# What is in quotes already, or words of anything but what the grammar is made of.
WORDS = re.compile(r"""'[^']*'|"[^"]*"|[^\s\[\]{}(),:='"]+(?: +[^\s\[\]{}(),:='"]+)*""")


def quoted(text: str | Path, mark: str = "'") -> str:
    """For the grammar of overrides, where backslashes count only before a quote."""
    ends = re.compile(rf"(\\*)({mark}|$)")
    return mark + ends.sub(lambda found: 2 * found[1] + (f"\\{mark}" if found[2] else ""), str(text)) + mark


def argument(key: str, value: str | list[str]) -> str:
    """What to type in a shell for that key to have that value."""
    if isinstance(value, str):
        return shlex.quote(override(key, value))
    words = [word if _parsed(f"{key}=[{word},.]") == [word, "."] else quoted(word, MARK) for word in value]
    return shlex.quote(f"{key}=[{','.join(words)}]")


def override(key: str, value: str) -> str:
    """KEY=VALUE, in quotes where the grammar would read it as something else."""
    return f"{key}={value if _parsed(f'{key}={value}') == value else quoted(value, MARK)}"


def typed(text: str) -> str:
    """What to type for the value of KEY=VALUE, or each in its list, to be read as the text that it is."""
    key, _, value = text.partition("=")
    is_list = value.startswith("[") and value.endswith("]")
    return argument(key, [word.strip(" '\"") for word in value[1:-1].split(",")] if is_list else value)


def in_quotes(text: str) -> str:
    """KEY=VALUE with quotes around words of other letters than ASCII, which the grammar knows in no other way.

    Likewise around names of files with places in them, `{epoch}`, which it would take for a section.
    """
    key, equals, value = text.partition("=")
    if key.endswith(".filename") and "{" in value and value[0] not in "'\"":
        return f"{key}={quoted(value)}"
    if text.isascii() or _parsed(text) is not None:
        return text
    found = key + equals + WORDS.sub(lambda found: found[0] if _needs_none(found[0]) else f'"{found[0]}"', value)
    return found if _parsed(found) is not None else text


def _needs_none(word: str) -> bool:
    return word.isascii() or word[0] in "'\""


def _parsed(text: str) -> Any:
    """The value, or None where there is none."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        return None
    return override if override.is_sweep_override() else override.value()
