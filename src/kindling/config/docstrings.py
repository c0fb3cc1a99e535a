"""What a docstring says, in plain words: its arguments, without the marks of Sphinx."""

import re
from collections.abc import Iterator

ENTRY = re.compile(r"^(\s*)\*{0,2}(\w+)(?:\s*\(.*?\))?\s*:(?:\s+(.*))?$")
LONGEST = 600  # characters of what is said of one argument


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Arguments with what a docstring says of them below `Args:`."""
    inside, indent, name, said = False, 0, "", list[str]()
    for line in [*text.splitlines(), "end:"]:
        if re.match(r"\s*(Args|Arguments):\s*$", line):
            inside, indent = True, -1
            continue
        found = ENTRY.match(line) if inside else None
        if found and indent in (-1, len(found[1])):
            if name:
                yield name, plain(" ".join(said))
            indent, name, said = len(found[1]), found[2], [found[3] or ""]
        elif inside and line.strip() and len(line) - len(line.lstrip()) <= max(indent, 0) - 1:
            inside = False
            if name:
                yield name, plain(" ".join(said))
            name = ""
        elif inside:
            said.append(line.strip())
    if name and name != "end":
        yield name, plain(" ".join(said))


def plain(text: str) -> str:
    """Without the marks of Sphinx, on one line, and not endless."""
    text = text.partition(".. ")[0]  # notes, and what is of other versions
    text = re.sub(r":\w+:`~?\.?([^`]*)`", r"\1", text).replace("`", "")
    text = " ".join(re.sub(r"\s*\([Dd]efault: [^)]*\)", "", text).split())  # the config has its own
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " ..."
