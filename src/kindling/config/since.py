"""Keys that conf/ has got since a run or sweep was started."""

import re
from collections.abc import Mapping
from typing import Any

from kindling.config.signatures import signature


def filled_in(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The config of `then`, flat, with the keys of `now` that it lacks where they say what it did without them."""
    return {**then, **{key: value for key, value in now.items() if key not in then and says_nothing(key, value)}}


def says_nothing(key: str, value: Any) -> bool:
    """Whether it is what is done without that key: an empty section, or what is Lightning's own value."""
    found = re.search(r"(?:^|\.)trainer\.(\w+)$", key)
    return value == {} or (found is not None and is_of_lightning(found[1], value))


def is_of_lightning(name: str, value: Any) -> bool:
    """Whether its trainer has the value where nobody sets one."""
    from lightning import Trainer  # imports torch, which only those who go on wait for here

    parameter = signature(Trainer).get(name)
    return parameter is not None and parameter.default == value
