"""A composed config, checked against the signatures that it will call, before anything is built from it."""

import inspect
import re
import types
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from kindling.errors import UserError, did_you_mean
from kindling.models.base import RUN_LENGTH

# Arguments that train() hands over itself: from the data, from other parts of the config, or from the trainer.
HANDED_OVER = {
    "model": {"in_features", "out_features", "task", "loss", "optimizer", "scheduler", "monitor"},
    "optimizer": {"params"},
    "scheduler": {"optimizer"},
    "trainer": {"callbacks", "logger"},
}
INSTANTIATE_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def problems(cfg: DictConfig) -> list[str]:
    """Every mistake that the signatures show, each with its full key."""
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        return [str(error).splitlines()[0]]
    assert isinstance(plain, dict)
    found = list(_section_problems(plain))
    for key, value in plain.items():
        if isinstance(value, dict):
            found += _node_problems(str(key), value)
    return found or [*_pair_problems(plain), *_construction_problems(plain)]


def _section_problems(cfg: dict[Any, Any]) -> Iterator[str]:
    sections = ["data", "loss", "optimizer", "scheduler", "trainer", "logger", "callbacks", "model"]
    known = [*sections, "seed", "monitor", "mode", "run_dir"]
    for key in cfg:
        if key not in known:
            yield f"{key}: no such section{did_you_mean(str(key), known)}"
    if not isinstance(cfg.get("seed"), int) or not 0 <= cfg["seed"] < 2**32:
        yield f"seed={cfg.get('seed')}: should be a whole number from 0 to {2**32 - 1}"
    if cfg.get("mode") not in ("min", "max"):
        yield f"mode={cfg.get('mode')}: should be min or max"


def _node_problems(path: str, node: dict[str, Any]) -> Iterator[str]:
    """Problems of a node that will be instantiated, and of all nodes inside it."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _node_problems(f"{path}.{key}", value)
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
    names = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    valid = [name for name in names if name not in handed_over]
    optional = set(RUN_LENGTH) if path == "scheduler" else set()
    for key, value in node.items():
        if key in INSTANTIATE_KEYS:
            continue
        if key in valid:
            yield from _value_problems(f"{path}.{key}", parameters[key].annotation, value)
        elif key in handed_over:
            yield f"{path}.{key}: is filled in by the run and cannot be set"
        elif not takes_anything:
            yield f"{path}.{key}: {target.__name__} has no such argument{did_you_mean(str(key), valid)}"
    for name in valid:
        if name not in node and name not in optional and parameters[name].default is inspect.Parameter.empty:
            yield f"{path}.{name}: a value is required by {target.__name__}"


def signature(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function; `**kwargs` of a class stand for the parameters of its base class."""
    if not inspect.isclass(target):
        return dict(_parameters(target))
    parameters: dict[str, inspect.Parameter] = {}
    for cls in target.__mro__:
        if "__init__" not in vars(cls):
            continue
        own = _parameters(cls.__init__)
        own.pop("self", None)
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
            reasons = dict.fromkeys(e["msg"].replace("Input should be ", "") for e in error.errors())
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


def _pair_problems(cfg: dict[str, Any]) -> Iterator[str]:
    """Data that the model is not made for, or a loss that does not fit the data. Names no `tasks`: fits everything."""
    model, data, loss = (_tasks(cfg[group]) for group in ("model", "data", "loss"))
    if not model & data:
        yield (
            f"model={choice('model', cfg)} does not go with data={choice('data', cfg)}: the model is made for "
            f"{' or '.join(sorted(model))}, the data are {' or '.join(sorted(data))}"
            f"{_fitting('data', model)}{_fitting('model', data)}"
        )
    elif not loss & data:
        yield (
            f"loss={choice('loss', cfg)} does not go with data={choice('data', cfg)}: the loss is made for "
            f"{' or '.join(sorted(loss))}, the data are {' or '.join(sorted(data))}{_fitting('loss', data)}"
        )


def _tasks(node: dict[str, Any]) -> set[str]:
    if "task" in node:  # a file may hold any task, and its own key says which
        return {node["task"]}
    return set(getattr(get_object(node["_target_"]), "tasks", ("regression", "binary", "multiclass")))


def choice(group: str, cfg: Any) -> str:
    """The option chosen from a group, or the name of its class where the config was composed by hand."""
    if HydraConfig.initialized():
        return str(HydraConfig.get().runtime.choices[group])
    return str(cfg[group]["_target_"].rpartition(".")[2])


def _fitting(group: str, tasks: set[str]) -> str:
    """'; data that fit: xor, csv', from the files of the group."""
    if not HydraConfig.initialized():
        return ""
    names = []
    for source in HydraConfig.get().runtime.config_sources:
        for file in sorted(Path(source.path).glob(f"{group}/*.yaml")) if source.schema == "file" else []:
            node = OmegaConf.to_container(OmegaConf.load(file))
            assert isinstance(node, dict)
            if tasks & _tasks(node.get(group, node)):
                names.append(file.stem)
    return f"; {group} that would fit: {', '.join(names)}"


def _construction_problems(cfg: dict[str, Any]) -> Iterator[str]:
    """What the parts say of their own values, such as a negative learning rate, when they are built on trial."""
    accelerator = list(_accelerator_problems(cfg["trainer"]))
    yield from accelerator
    handed_over: dict[str, dict[str, Any]] = {
        "loss": {},
        "optimizer": {"params": [torch.nn.Parameter(torch.zeros(1))]},
        "scheduler": {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=1.0)},
        "trainer": {"logger": False, "callbacks": None, "enable_checkpointing": False},
    }
    for path, arguments in handed_over.items():
        node = {**cfg[path], "_partial_": False}
        if path == "scheduler":
            taken = signature(get_object(node["_target_"]))
            node = {**{name: 100 for name in RUN_LENGTH if name in taken}, **node}
        if not (path == "trainer" and accelerator):
            try:
                instantiate(node, _convert_="all", **arguments)
            except InstantiationException as error:
                yield construction_problem(path, cfg[path], error)


def _accelerator_problems(trainer: dict[str, Any]) -> Iterator[str]:
    wanted = trainer["accelerator"]
    registered = AcceleratorRegistry.available_accelerators()
    available = [name for name in registered if AcceleratorRegistry.get(name).is_available()]
    fitting = {"auto": available, "gpu": [name for name in ("cuda", "mps") if name in available]}
    if isinstance(wanted, str) and not fitting.get(wanted, [wanted] if wanted in available else []):
        yield f"trainer.accelerator={wanted}: there is none on this machine; available: {', '.join(available)}"


def construction_problem(path: str, node: dict[str, Any], error: InstantiationException) -> str:
    """The sentence of a constructor that refused its arguments, headed by the key that it is about.

    That is the one whose name, or else whose value, the sentence mentions; the whole section where this is unclear.

    Raises:
        Exception: the constructor's own, where it is not about its arguments but a bug.
    """
    cause = error.__cause__
    if isinstance(cause, UserError):
        raise cause
    if not isinstance(cause, ValueError | TypeError | MisconfigurationException | ModuleNotFoundError):
        raise cause or error
    sentence = " ".join(str(cause).split())
    words = set(re.findall(r"[\w.+-]+", sentence))
    for mentioned in (lambda key: key in words, lambda key: str(node[key]) in words):
        keys = [key for key in node if key not in INSTANTIATE_KEYS and mentioned(key)]
        if len(keys) == 1:
            return f"{path}.{keys[0]}={node[keys[0]]}: {sentence}"
    return f"{path}: {sentence}"
