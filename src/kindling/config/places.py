"""Where data are: said from where the command stands, and kept for wherever their run is come back to."""

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString

from kindling.config.quoting import quoted


def names_a_place(key: str) -> bool:
    """Whether the key of the data section is for a file or a folder, by its name."""
    return key.startswith("data.") and key.endswith(("path", "paths", "dir", "dirs"))


def located(key: str, value: Any) -> Any:
    """The place as an absolute path; what is not there may be relative to something else, and stays."""
    if isinstance(value, list):
        return [located(key, item) for item in value]
    if not isinstance(value, str) or not value or "://" in value or not names_a_place(key):
        return value
    try:
        place = Path(value).expanduser()
    except RuntimeError:  # the home of somebody that this machine does not know
        return value
    made_later = key == "data.data_dir"  # by a download
    return str(place.absolute()) if made_later or place.is_absolute() or place.exists() else value


def with_place(override: Override) -> str:
    """The override as it was given, but for the places that it names."""
    given = override.input_line or ""
    if override.is_delete() or not names_a_place(override.key_or_group):
        return given
    value: Any = override.value()
    choices = isinstance(value, ChoiceSweep)
    if (choices and (value.tags or value.shuffle)) or (override.is_sweep_override() and not choices):
        return given
    plain = [item.text if isinstance(item, QuotedString) else item for item in value.list] if choices else value
    found = located(override.key_or_group, plain)
    if found == plain:
        return given
    text = ",".join(map(written, found)) if choices else written(found)
    return f"{given.partition('=')[0]}={text if not choices or value.simple_form else f'choice({text})'}"


def written(value: Any) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, str):
        return value if re.fullmatch(r"/[\w./-]*", value, re.ASCII) else quoted(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
