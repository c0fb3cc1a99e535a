"""The groups of conf/, with what each is for, for `python train.py --help`."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from kindling.config.sources import Source

OF_HYDRA = {"hydra/launcher": "where the jobs of -m run, basic*: here, one after the other"}


def groups(source: Source) -> Iterator[str]:
    """A line or two each, in the order in which they are composed; * is what is taken where nothing is said."""
    options: dict[str, list[str]] = {}
    for folder in filter(None, (source.path, source.more)):
        for file in sorted(Path(folder).glob("*/**/*.yaml")):
            options.setdefault(file.parent.relative_to(folder).as_posix(), []).append(file.stem)
    options.pop("hydra/sweeper", None)  # which is not to be changed
    file = Path(source.path, "train.yaml")
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.findall(r"^  - (?:optional )?(?:override )?([\w/]+): (\w+)(?: +# (.*))?$", text, flags=re.MULTILINE)
    default = {group: option for group, option, _ in found}
    purposes = OF_HYDRA | {group: purpose for group, _, purpose in found if purpose}
    yield "Groups (conf/GROUP/OPTION.yaml); * is the default\n"
    for group in sorted(options, key=lambda group: [*default, group].index(group)):
        names = [f"{name}*" if name == default.get(group) else name for name in sorted(options[group])]
        purpose = f" ({purposes[group]})" if group in purposes else ""
        line = f"  {group}{purpose}: {', '.join(names)}"
        yield textwrap.fill(line, 80, subsequent_indent="      ", break_on_hyphens=False)
