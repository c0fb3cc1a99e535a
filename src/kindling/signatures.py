"""Config nodes held against the signatures that they will call: signatures are the schema, there is no other copy."""

import inspect
import types
from collections.abc import Callable, Iterator, Set
from itertools import chain
from typing import Any, Literal, Union, get_args, get_origin

from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from kindling.errors import did_you_mean

# The names under which the schedulers of torch.optim take the length of the run, which the trainer knows.
RUN_LENGTH = ("total_steps", "T_max", "total_iters")
# Arguments that train() hands over itself: from the data, from other parts of the config, or from the trainer.
HANDED_OVER = {
    "model": {"in_features", "out_features", "task", "loss", "optimizer", "scheduler", "monitor"},
    "optimizer": {"params"},
    "scheduler": {"optimizer"},  # and its length, where it is not given
    "trainer": {"callbacks", "logger"},
}
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
INSTANTIATE_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def node_problems(path: str, node: dict[str, Any], interpolated: Set[str] = frozenset()) -> Iterator[str]:
    """Problems of a node that will be instantiated, and of all nodes inside it.

    The values at the keys in `interpolated` come from elsewhere in the config, and are checked there.
    """
    for key, value in node.items():
        if isinstance(value, dict):
            yield from node_problems(f"{path}.{key}", value, interpolated)
    if "_target_" not in node:
        return
    try:
        target = get_object(node["_target_"])
    except Exception as error:  # whatever the import of a user's module raises
        yield f"{path}._target_={node['_target_']}: cannot be imported ({str(error).splitlines()[0]})"
        return
    parameters = signature(target)
    handed_over = HANDED_OVER.get(path, set())
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = [n for n, p in parameters.items() if p.kind in NAMED]
    valid = [name for name in names if name not in handed_over]
    for key, value in node.items():
        if key in INSTANTIATE_KEYS:
            continue
        if key in valid:
            if f"{path}.{key}" not in interpolated:
                yield from _value_problems(f"{path}.{key}", parameters[key].annotation, value)
        elif key in handed_over:
            yield f"{path}.{key}: is filled in by the run and cannot be set"
        elif not takes_anything:
            yield f"{path}.{key}: {target.__name__} has no such argument{did_you_mean(str(key), valid)}"
    for name in valid:
        required = parameters[name].default is inspect.Parameter.empty
        if required and name not in node and not (path == "scheduler" and name in RUN_LENGTH):
            yield f"{path}.{name}: a value is required by {target.__name__}"


def signature(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function; `**kwargs` of a class stand for the parameters of its base class.

    None of the latter is required: the class may well pass it on itself.
    """
    if not inspect.isclass(target):
        return dict(_parameters(target))
    parameters: dict[str, inspect.Parameter] = {}
    for cls in target.__mro__:
        if "__init__" not in vars(cls):
            continue
        own = _parameters(vars(cls)["__init__"])
        own.pop("self", None)
        if parameters:
            own = {n: p.replace(default=None) if p.kind in NAMED else p for n, p in own.items()}
        parameters = {**own, **parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            return {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    return parameters


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function, eval_str=True).parameters)
    except NameError:  # an annotation that exists for type checkers only
        return dict(inspect.signature(function).parameters)


def _value_problems(path: str, annotation: Any, value: Any) -> Iterator[str]:
    if annotation is inspect.Parameter.empty or (isinstance(value, dict) and "_target_" in value):
        return
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
        # Strict, so that "3" is no number; but YAML knows lists alone, where signatures ask for tuples too.
        adapter.validate_python(value, strict=not isinstance(value, list | dict))
    except ValidationError as error:
        shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
        choices = _choices(annotation)
        if choices:
            hint = did_you_mean(str(value), choices)
            yield f"{path}={shown}: should be one of {', '.join(choices)}{hint}"
        else:
            messages = ["longer" if e["type"] == "missing" else e["msg"] for e in error.errors()]
            reasons = list(dict.fromkeys(message.replace("Input should be ", "") for message in messages))
            reasons = [reason for reason in reasons if not reason.startswith("an instance of")] or reasons
            yield f"{path}={shown}: should be {' or '.join(reasons)}"
    except (PydanticUserError, TypeError, NameError):
        return  # an annotation that no value can be held against


def _choices(annotation: Any) -> list[str]:
    """All values of a Literal, or of a union that consists of literals and None."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        choices = [_choices(part) for part in parts]
        return list(dict.fromkeys(chain(*choices))) if all(choices) else []
    return []
