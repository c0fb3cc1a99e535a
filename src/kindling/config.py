"""A composed config, checked against the signatures that it will call, before anything is built from it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator, MPSAccelerator, XLAAccelerator
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.errors import UserError, did_you_mean
from kindling.schedulers import length_argument
from kindling.signatures import INSTANTIATE_KEYS, node_problems

ACCELERATORS = {
    "cpu": CPUAccelerator,
    "gpu": MPSAccelerator if MPSAccelerator.is_available() else CUDAAccelerator,
    "cuda": CUDAAccelerator,
    "mps": MPSAccelerator,
    "tpu": XLAAccelerator,
}

SECTIONS = ["data", "loss", "optimizer", "scheduler", "trainer", "logger", "callbacks", "model"]
CHOICES = {"mode": ("min", "max"), "population_order": ("own", "shared"), "on_save_error": ("stop", "continue")}
SETTINGS = [
    *CHOICES,
    "seed",
    "monitor",
    "population",
    "steps_per_call",
    "compile",
    "resume",
    "init_from",
    "allowed_packages",
    "run_dir",
]


def problems(cfg: DictConfig) -> list[str]:
    """Every mistake that the signatures show, each with its full key."""
    try:
        plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        return [str(error).splitlines()[0]]
    links = set(_interpolated(OmegaConf.to_container(cfg, resolve=False)))
    by_section = {key: list(node_problems(key, node, links)) for key, node in plain.items() if isinstance(node, dict)}
    sound = {key: plain[key] for key, found in by_section.items() if not found}
    found = [*_section_problems(plain), *(problem for found in by_section.values() for problem in found)]
    if {"model", "data", "loss"} <= sound.keys():
        found += _pair_problems(plain)
    if "optimizer" not in sound:
        sound.pop("scheduler", None)  # its values may come from there
    return [*found, *_construction_problems(sound)]


def _interpolated(node: Any, prefix: str = "") -> Iterator[str]:
    """The full keys whose values are ${...} of another key."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _interpolated(value, f"{prefix}{key}.")
        elif isinstance(value, str) and value.startswith("${"):
            yield f"{prefix}{key}"


def _section_problems(cfg: dict[Any, Any]) -> Iterator[str]:
    known = [*SECTIONS, *SETTINGS]
    for key in cfg:
        if key not in [*known, "sweep"]:
            yield f"{key}: no such section{did_you_mean(str(key), known)}"
    for key in known:
        if key not in cfg:
            yield f"{key}: missing"
        elif key in SECTIONS and not isinstance(cfg[key], dict):
            yield f"{key}={cfg[key]}: should be a section, with keys of its own"
    if type(cfg.get("seed")) is not int or not 0 <= cfg["seed"] < 2**32:
        yield f"seed={cfg.get('seed')}: should be a whole number from 0 to {2**32 - 1}"
    if type(cfg.get("population")) is not int or cfg["population"] < 1:
        yield f"population={cfg.get('population')}: should be a whole number from 1"
    steps = cfg.get("steps_per_call")
    if steps != "auto" and (type(steps) is not int or steps < 1):
        yield f"steps_per_call={steps}: should be auto or a whole number from 1"
    if not isinstance(cfg.get("compile"), bool):
        yield f"compile={cfg.get('compile')}: should be true or false"
    packages = cfg.get("allowed_packages")
    if not isinstance(packages, list) or not all(isinstance(name, str) for name in packages):
        yield f"allowed_packages={packages}: should be a list of names, like [my_project]"
    for key, choices in CHOICES.items():
        if cfg.get(key) not in choices:
            yield f"{key}={cfg.get(key)}: should be {' or '.join(choices)}"


def _pair_problems(cfg: dict[str, Any]) -> Iterator[str]:
    """Data that the model is not made for, or a loss that does not fit the data. Names no `tasks`: fits everything."""
    model, data, loss = (_tasks(cfg[group]) for group in ("model", "data", "loss"))
    if "task" in cfg["data"]:  # a file may hold any task, and its own key says which
        data = {cfg["data"]["task"]}
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
            f"{'; or set data.task to what the target is' if 'task' in cfg['data'] else ''}"
        )


def _tasks(node: dict[str, Any]) -> set[str]:
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
            node: Any = OmegaConf.to_container(OmegaConf.load(file))
            if tasks & _tasks(node.get(group, node)):
                names.append(file.stem)
    return f"; fitting {group}: {', '.join(names)}"


def _construction_problems(sound: dict[str, Any]) -> Iterator[str]:
    """What the parts say of their own values, such as a negative learning rate, when they are built on trial."""
    trainer = sound.get("trainer", {})
    available = [name for name, accelerator in ACCELERATORS.items() if accelerator.is_available()]
    if trainer.get("accelerator") in ACCELERATORS.keys() - set(available):
        names = ", ".join(available)
        yield f"trainer.accelerator={trainer['accelerator']}: there is none on this machine; available: {names}"
        sound = {**sound, "trainer": {**trainer, "accelerator": "cpu", "devices": 1, "strategy": "auto"}}
    handed_over: dict[str, dict[str, Any]] = {
        "loss": {},
        "optimizer": {"params": [torch.nn.Parameter(torch.zeros(1))]},
        "scheduler": {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=1.0)},
        "trainer": {"logger": False, "callbacks": None, "enable_checkpointing": False},
    }
    for path in [path for path in handed_over if path in sound]:
        node = {**sound[path], "_partial_": False}
        length = length_argument(get_object(node["_target_"])) if path == "scheduler" else None
        if length:
            node = {length: 100, **node}
        try:
            instantiate(node, _convert_="all", **handed_over[path])
        except InstantiationException as error:
            yield construction_problem(path, sound[path], error)


def construction_problem(path: str, node: Mapping[str, Any], error: InstantiationException) -> str:
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
    values = {key: value for key, value in node.items() if key not in INSTANTIATE_KEYS}
    by_name = [key for key in values if key in words]
    by_value = [key for key, value in values.items() if str(value) in words]
    for keys in (by_name, by_value):
        if len(keys) == 1:
            return f"{path}.{keys[0]}={values[keys[0]]}: {sentence}"
    return f"{path}: {sentence}"
