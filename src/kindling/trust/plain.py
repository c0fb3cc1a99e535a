"""Whether a config out of a checkpoint or a run folder is plain data, without interpolations."""

from collections.abc import Iterator
from typing import Any

from kindling.errors import shown

MAX_NODES = 20_000  # of a config that names its parts again and again
MAX_DEPTH = 64
MAX_LENGTH = 100_000  # of a text


def plain_problems(config: Any) -> Iterator[str]:
    """What is not dicts, lists, numbers and texts; the first such thing, since the rest may never end."""
    if not isinstance(config, dict):
        yield f"config: is a {shown(type(config).__name__)}, not a section with keys"
        return
    stack: list[tuple[str, int, Any]] = [("", 0, config)]
    num_nodes = 0
    while stack:
        path, depth, node = stack.pop()
        num_nodes += 1
        if depth > MAX_DEPTH or num_nodes > MAX_NODES:
            yield f"{shown(path)}: the config is too large, nested too deeply, or holds itself"
        elif type(node) in (dict, list):
            items = list(node.items() if isinstance(node, dict) else enumerate(node))
            stack += [(f"{path}.{key}"[-1000:] if path else str(key), depth + 1, child) for key, child in items]
            if all(type(key) in (str, int, float, bool) and len(str(key)) <= MAX_LENGTH for key, _ in items):
                continue
            yield f"{shown(path)}: has a key that is no name"
        elif isinstance(node, str) and len(node) > MAX_LENGTH:
            yield f"{shown(path)}: is a text of {len(node):,} characters, more than any setting"
        elif type(node) is int and node.bit_length() > 63:
            yield f"{shown(path)}: is a whole number of {node.bit_length():,} bits, more than any setting"
        elif isinstance(node, str) and "${" in node:  # would be computed, with what the environment holds, when built
            yield f"{shown(path)}={shown(node)}: a finished config has values, not interpolations"
        elif node is not None and type(node) not in (bool, int, float, str):
            yield f"{shown(path)}: is a {shown(type(node).__name__)}, which no config file can hold"
        else:
            continue
        return
