"""Keys that conf/ has got since a run or sweep was started."""

import inspect
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_object

OURS = ("kindling.", "lightning.", "torch.")  # what a folder may have imported
SEEN = "callbacks.progress_bar."
SWITCHES = ("train", "test")  # on, before they were there


def filled_in(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The config of `then`, flat, with the keys of `now` that it lacks where they say what it did without them.

    How a run is seen while it learns is as it is now.
    """
    kept = {key: value for key, value in then.items() if SEEN not in key}
    return {**kept, **{key: now[key] for key in now if SEEN in key or (key not in then and says_nothing(key, now))}}


def says_nothing(key: str, config: Mapping[str, Any]) -> bool:
    """Whether the key says what is done without it: nothing, or what its class takes where nobody gives a value."""
    node, _, name = key.rpartition(".")
    target = config.get(f"{node}._target_")
    if config[key] is None or (target is None and name in SWITCHES and config[key] is True):
        return True
    return isinstance(target, str) and target.startswith(OURS) and is_default(target, name, config[key])


def is_default(target: str, name: str, value: Any) -> bool:
    """Whether the class, or the base of it that takes the argument, has that value where nobody gives one."""
    found = get_object(target)
    makers = [vars(cls).get("__init__") for cls in found.__mro__] if inspect.isclass(found) else [found]
    taken = [inspect.signature(make).parameters for make in makers if callable(make)]
    default = next((parameters[name].default for parameters in taken if name in parameters), inspect.Parameter.empty)
    default = list(default) if isinstance(default, tuple) else default  # YAML has no tuples
    return bool(default == value) and isinstance(default, bool) is isinstance(value, bool)
