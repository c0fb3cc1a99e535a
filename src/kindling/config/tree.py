"""The composed config as a tree, with what differs from that of a bare `python train.py`."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from kindling.text import printable

WIDTH = 80
LEFT_OUT = ("hydra", "sweep")
NOTHING = object()  # where there is no such key


def tree(config_name: str, overrides: Sequence[str]) -> Iterator[str]:
    """Its lines. Interpolations stay as they are written: what they lead to may be a secret. The source is open."""
    (now, options), (default, default_options) = _composed(config_name, overrides), _composed(config_name, ())
    for group, option in options.items():
        if group in now and option != default_options.get(group):
            yield f"{group}={in_yaml(option)}, by default {in_yaml(default_options.get(group))}"
    yield from _branches(now, default, "")


def _composed(config_name: str, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config as plain containers, and the option by its group."""
    cfg = compose(config_name, list(overrides), return_hydra_config=True)
    options: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
    plain: Any = OmegaConf.to_container(cfg)
    return {key: value for key, value in plain.items() if key not in LEFT_OUT}, options


def _branches(node: dict[str, Any], default: Any, before: str) -> Iterator[str]:
    keys = list(_compared(node, default))
    for key, value, was, remark in keys:
        last = key == keys[-1][0]
        first, *rest = textwrap.wrap(
            printable(_line(key, value, remark)), WIDTH - len(before) - 3, break_on_hyphens=False
        )
        yield f"{before}{'└─' if last else '├─'} {first}"
        stem = f"{before}{'   ' if last else '│  '}"
        yield from (f"{stem}  {line}" for line in rest)
        if isinstance(value, dict):
            yield from _branches(value, was, stem)


def marked(node: dict[str, Any], default: Any, depth: int = 0) -> Iterator[tuple[int, str, bool]]:
    """Lines of a config that is there already: how deep each lies, its text, whether it differs from the default."""
    for key, value, was, remark in _compared(node, default):
        yield depth, _line(key, value, remark), bool(remark)
        if isinstance(value, dict):
            yield from marked(value, was, depth + 1)


def _line(key: str, value: Any, remark: str) -> str:
    if value is NOTHING:
        return f"{key}   ({remark})"
    text = f"{key}" if isinstance(value, dict) and value else f"{key}: {in_yaml(value)}"
    return f"{text}   ({remark})" if remark else text


def _compared(node: dict[str, Any], default: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """The keys of one level, each with its value, that of the default, and in words how they differ."""
    default = default if isinstance(default, dict) else {}
    same_class = node.get("_target_") == default.get("_target_")  # of another, the keys that are gone mean nothing
    for key in [*node, *(key for key in default if same_class and key not in node)]:
        value, was, remark = node.get(key, NOTHING), default.get(key, NOTHING), ""
        if value is NOTHING:
            remark = f"left out; default: {in_yaml(was)}"
        elif was is NOTHING and default:
            remark = "not in the default"
        elif not isinstance(value, dict) and value != was and default:
            remark = f"default: {in_yaml(was)}"
        yield key, value, was, remark


def in_yaml(value: Any) -> str:
    """A value as YAML has it, a section as {...}."""
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(in_yaml, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
