"""Config nodes held against the signatures that they will call: signatures are the schema, there is no other copy."""

import inspect
import types
from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from kindling.config.overrides import PARTS
from kindling.errors import did_you_mean, some

# The names under which the schedulers of torch.optim take the length of the run, which the trainer knows.
RUN_LENGTH = ("total_steps", "T_max", "total_iters")
# What a model gets where its `__init__` has an argument of that name and the config gives it no value: sections of the
# config, what the data say of themselves, and the monitor.
OWNED = (*PARTS, "metrics", "task", "in_features", "out_features", "monitor")
# Arguments that a run always fills in itself.
HANDED_OVER = {
    "loss": {"class_counts"},
    "optimizer": {"params"},
    "scheduler": {"optimizer"},  # and its length, where it is not given
    "trainer": {"callbacks", "logger"},
}
# Those of a torchmetrics class that the data fill in where they are not given; and what its base takes out of **kwargs.
OF_DATA = {"task", "num_classes", "num_labels"}
OF_METRICS = ("compute_on_cpu", "compute_with_cache", "dist_sync_on_step", "sync_on_compute")
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
INSTANTIATE_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def section_problems(config: dict[str, Any], interpolated: Set[str]) -> dict[str, list[str]]:
    """By section."""
    sections = {key: node for key, node in config.items() if isinstance(node, dict)}
    problems = {key: list(node_problems(key, node, interpolated)) for key, node in sections.items()}
    for key in sections.keys() & {"data", "model", "trainer", *PARTS}:
        if "_target_" not in sections[key]:
            problems[key].append(f"{key}: names no class; {key}._target_ is needed")
    return problems


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
    of_scheduler = path == "scheduler" or path.startswith("scheduler.schedulers.")
    handed_over = HANDED_OVER.get("scheduler" if of_scheduler else path, set())
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = [n for n, p in parameters.items() if p.kind in NAMED]
    valid = [name for name in names if name not in handed_over]
    for key, value in node.items():
        if key in INSTANTIATE_KEYS:
            continue
        if key in valid:
            if f"{path}.{key}" not in interpolated:
                yield from value_problems(f"{path}.{key}", parameters[key].annotation, value)
        elif key in handed_over:
            yield f"{path}.{key}: is filled in by the run and cannot be set"
        elif not takes_anything:
            yield f"{path}.{key}: {target.__name__} has no such argument{did_you_mean(str(key), valid)}"
    for name in valid:
        required = parameters[name].default is inspect.Parameter.empty and path != "model"  # the data may have it
        filled_in = RUN_LENGTH if of_scheduler else OF_DATA if path.startswith("metrics.") else ()
        if required and name not in node and name not in filled_in:
            yield f"{path}.{name}: a value is required by {target.__name__}"


def wanted(node: dict[str, Any]) -> dict[str, bool]:
    """The arguments of the model `node` that come from elsewhere, each with whether it is required.

    Those of OWNED that it takes, and any other without a default. One of PARTS is an object: an argument of that name
    for a text or a number is the model's own.
    """
    found = {}
    for name, parameter in signature(get_object(node["_target_"])).items():
        if parameter.kind in NAMED and name not in node:
            required = parameter.default is inspect.Parameter.empty
            plain = _is_plain if name == "metrics" else _is_scalar
            own = name in (*PARTS, "metrics") and plain(parameter.annotation)
            if required or (name in OWNED and not own):
                found[name] = required
    return found


def takes_augmentation(data: dict[str, Any]) -> bool:
    """Whether the run hands its augmentation over to the `data` node. One that is a text or a number is its own."""
    parameter = signature(get_object(data["_target_"])).get("augmentation")
    return parameter is not None and "augmentation" not in data and not _is_scalar(parameter.annotation)


def _is_scalar(annotation: Any) -> bool:
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else [annotation]
    scalars = (str, int, float, bool, type(None))
    return all(part in scalars or get_origin(part) is Literal for part in parts)


def _is_plain(annotation: Any) -> bool:
    """Whether no value of it is an object that is to be made."""
    if get_origin(annotation) is Annotated:
        return _is_plain(get_args(annotation)[0])
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, Sequence):
        return all(map(_is_plain, parts))
    return _is_scalar(annotation)


def length_argument(scheduler: Callable[..., Any]) -> str | None:
    """The argument under which `scheduler` wants the number of optimizer steps; None where it has none, or has it.

    A scheduler whose length is filled in steps with every batch, any other with every epoch.
    """
    function, keywords = given(scheduler)
    takes = signature(function)
    return next((name for name in RUN_LENGTH if name in takes and keywords.get(name) is None), None)


def given(function: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What is called in the end, and the arguments that it is given by name."""
    keywords: dict[str, Any] = {}
    while isinstance(function, partial):  # Hydra's own kind does not merge with one around it
        keywords = {**function.keywords, **keywords}
        function = function.func
    return function, keywords


def signature(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function; `**kwargs` of a class stand for the parameters of its base class.

    Those of a base that the class names in its own signature too are its own. Where Python knows of no signature, as
    of functions written in C, anything goes.
    """
    if not inspect.isclass(target):
        return dict(_parameters(target))
    parameters: dict[str, inspect.Parameter] = {}
    for cls in target.__mro__:
        maker = vars(cls).get("__init__")
        if maker is None and cls.__module__.startswith("torchmetrics."):  # one that makes another, by its task
            maker = vars(cls).get("__new__")
        if maker is None:
            continue
        own = _parameters(maker)
        own.pop("self", None)
        own.pop("cls", None)
        if cls.__module__ == "torchmetrics.metric":
            own = {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in OF_METRICS}
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
    except ValueError:
        return {"kwargs": inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)}


def value_problems(path: str, annotation: Any, value: Any) -> Iterator[str]:
    """Of a value that is not of the kind that the annotation says."""
    if annotation is inspect.Parameter.empty:
        return
    if isinstance(value, dict) and "_target_" in value:
        if _is_plain(annotation):
            choices = _choices(annotation)
            hint = f"should be one of {', '.join(choices)}" if choices else "should be a single value"
            yield f"{path}: is a section with a _target_, and {hint}"
        return
    if isinstance(value, dict) and any(isinstance(child, dict) and "_target_" in child for child in value.values()):
        return  # several such sections
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
        # Strict, so that "3" is no number; but YAML knows lists alone, where signatures ask for tuples too.
        adapter.validate_python(value, strict=not isinstance(value, list | dict))
    except ValidationError as error:
        shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
        choices = _choices(annotation)
        if choices:
            hint = did_you_mean(str(value), choices)
            yield f"{path}={shown}: should be one of {some(choices)}{hint}"
        else:
            if both := of_either(annotation):
                yield f"{path}={shown}: should be {both}"
                return
            messages = ["longer" if e["type"] == "missing" else e["msg"] for e in error.errors()]
            reasons = list(dict.fromkeys(message.replace("Input should be ", "") for message in messages))
            reasons = [reason for reason in reasons if not reason.startswith("an instance of")] or reasons
            yield f"{path}={shown}: should be {' or '.join(reasons)}"
    except (PydanticUserError, TypeError, NameError):
        return  # an annotation that no value can be held against


def of_either(annotation: Any) -> str:
    """`a whole number from 0, or a number from 0 to 1`, of a union of numbers within bounds; else nothing."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    told = [_within_bounds(part) for part in parts]
    return ", or ".join(told) if len(told) > 1 and all(told) else ""


def _within_bounds(annotation: Any) -> str:
    if get_origin(annotation) is not Annotated:
        return ""
    kind, *rest = get_args(annotation)
    bounds = {name: value for part in rest for name, value in _bounds(part)}
    name = {int: "a whole number", float: "a number"}.get(kind)
    if name is None or "ge" not in bounds:
        return ""
    return f"{name} from {bounds['ge']}" + (f" to {bounds['le']}" if "le" in bounds else "")


def _bounds(part: Any) -> Iterator[tuple[str, Any]]:
    """Of what pydantic or annotated_types say of a number."""
    for known in (part, *getattr(part, "metadata", ())):
        yield from ((name, getattr(known, name)) for name in ("ge", "le") if hasattr(known, name))


def _choices(annotation: Any) -> list[str]:
    """All values of a Literal, or of a union that consists of literals and None."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        choices = [_choices(part) for part in parts]
        return list(dict.fromkeys(chain(*choices))) if all(choices) else []
    return []
