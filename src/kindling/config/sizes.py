"""What a config from elsewhere asks torch to make, judged where it takes no memory."""

from collections.abc import Iterator
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from kindling.budget import MIN_BYTES, Budget
from kindling.errors import UserError, shown

MADE = ("torch.nn.", "torchmetrics.", "torchvision.transforms.")  # what may be of any size, and nothing else is done


def size_problems(config: Any) -> list[str]:
    """Parts inside the sections, such as a loss or a layer, that would take up more than `MIN_BYTES` together."""
    found: list[str] = []
    for path, node in _made("", config):
        on_meta = _problem(path, node, torch.device("meta"))
        if on_meta:  # or something that has to look at values, of which there are none there
            found += filter(None, [_problem(path, node, torch.device("cpu"))])
    return found


def _made(path: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict) and str(node.get("_target_")).startswith(MADE) and not node.get("_partial_"):
        yield path, node
    elif isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _made(f"{path}.{key}".lstrip("."), child)


def _problem(path: str, node: dict[str, Any], device: torch.device) -> str | None:
    try:
        with device, Budget(path, MIN_BYTES):
            instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        return str(cause) if isinstance(cause, UserError) else f"{path}: {shown(str(cause), 200)}"
    return None
