"""What a config from elsewhere asks torch to make, judged where it takes no memory."""

from collections.abc import Iterator
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from kindling.budget import MAX_SECONDS, MIN_BYTES, Budget
from kindling.errors import UserError, shown

MADE = ("torch.nn.", "torchmetrics.", "torchvision.transforms.")  # what may be of any size, and nothing else is done


def size_problems(config: Any) -> list[str]:
    """Parts inside the sections, such as a loss or a layer, that would take up more than `MIN_BYTES` together.

    Metrics are told of the data first, and are made within the budget of the model.
    """
    sections = {key: node for key, node in config.items() if key != "metrics"}
    return [problem for path, node in _made("", sections) for problem in _problems(path, node)]


def _made(path: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict) and str(node.get("_target_")).startswith(MADE) and not node.get("_partial_"):
        yield path, node
    elif isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _made(f"{path}.{key}".lstrip("."), child)


def _problems(path: str, node: dict[str, Any], on: str = "meta") -> Iterator[str]:
    try:
        with torch.device(on), Budget(path, MIN_BYTES, MAX_SECONDS):
            instantiate(node, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            yield str(error.__cause__)
        elif on == "meta":  # it may have to look at values, of which there are none there
            yield from _problems(path, node, "cpu")
        else:
            yield f"{path}: {shown(str(error.__cause__ or error), 200)}"
