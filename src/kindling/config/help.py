"""The groups of conf/, with what each is for, for `python train.py --help`."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from kindling.config.sources import Source
from kindling.text import columns

OF_HYDRA = {"hydra/launcher": "where the jobs of -m run, basic*: here, one after the other"}


def groups(source: Source) -> Iterator[str]:
    """A line or two each, in the order in which they are composed; * is what is taken where nothing is said."""
    options = options_by_group(source)
    default, purposes = defaults_of(source)
    purposes = OF_HYDRA | purposes
    yield "Groups (conf/GROUP/OPTION.yaml); * is the default\n"
    for group in sorted(options, key=lambda group: [*default, group].index(group)):
        names = [f"{file.stem}*" if file.stem == default.get(group) else file.stem for file in options[group]]
        purpose = f" ({purposes[group]})" if group in purposes else ""
        line = f"  {group}{purpose}: {', '.join(names)}"
        yield textwrap.fill(line, columns(), subsequent_indent="      ", break_on_hyphens=False)


def options_by_group(source: Source) -> dict[str, list[Path]]:
    """Their files, by name."""
    options: dict[str, list[Path]] = {}
    for folder in filter(None, (source.path, source.more)):
        for file in sorted(Path(folder).glob("*/**/*.yaml")):
            options.setdefault(file.parent.relative_to(folder).as_posix(), []).append(file)
    options.pop("hydra/sweeper", None)  # which is not to be changed
    return {group: sorted(files, key=lambda file: file.stem) for group, files in options.items()}


def defaults_of(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    """By group, the option that is taken where nothing is said, and what the group is for."""
    file = Path(source.path, "train.yaml")
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.findall(r"^  - (?:optional )?(?:override )?([\w/]+): (\w+)(?: +# (.*))?$", text, flags=re.MULTILINE)
    return {group: option for group, option, _ in found}, {group: purpose for group, _, purpose in found if purpose}
