"""The files of conf/ as they are written: their keys in full, each with the comment behind it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PRIMARY = ""  # the group of conf/train.yaml


@dataclass(frozen=True)
class Entry:
    """A key as a file of the config has it."""

    value: Any
    comment: str


@dataclass(frozen=True)
class Option:
    """A file of the config: what it says of itself, and its keys in full."""

    group: str
    name: str
    path: Path
    about: str = ""
    keys: dict[str, Entry] = field(default_factory=dict)
    based_on: tuple[str, ...] = ()  # other options of the group, whose keys it has too

    @property
    def chosen_by(self) -> str:
        return f"{self.group}={self.name}"

    def sections(self) -> dict[str, str]:
        """The class by the key of its section."""
        ends = "._target_"
        return {key.removesuffix(ends): entry.value for key, entry in self.keys.items() if key.endswith(ends)}


def read(group: str, file: Path) -> Option:
    text = file.read_text(encoding="utf-8")
    header = re.match(r"(#.*\n)*", text)
    lines = [line.lstrip("# ") for line in (header[0] if header else "").splitlines() if "@package" not in line]
    prefix = "" if group == PRIMARY or "@package _global_" in text else group.replace("/", ".") + "."
    root, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text) or {}
    keys = dict(entries(root, values, prefix, text.splitlines())) if isinstance(root, yaml.MappingNode) else {}
    others = [other for other in values.get("defaults", ()) if isinstance(other, str) and other != "_self_"]
    return Option(group, file.stem, file, " ".join(lines), keys, tuple(others))


def entries(node: yaml.MappingNode, values: Any, prefix: str, lines: list[str]) -> Iterator[tuple[str, Entry]]:
    """The keys below a node in full, with the comments behind them."""
    for key_node, child in node.value:
        key = key_node.value
        if key == "defaults" or (key == "hydra" and not prefix):
            continue
        is_section = isinstance(child, yaml.MappingNode) and not child.flow_style
        end = key_node.end_mark if is_section else child.end_mark
        comment = re.search(r"\s#\s*(.*)$", lines[end.line][end.column :]) if end.line < len(lines) else None
        yield f"{prefix}{key}", Entry(values[key], comment[1] if comment else "")
        if is_section:
            yield from entries(child, values[key], f"{prefix}{key}.", lines)
