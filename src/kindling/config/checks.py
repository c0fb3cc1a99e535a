"""A composed config, checked against the signatures that it will call, before anything is built from it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator, MPSAccelerator, XLAAccelerator
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.budget import MAX_SECONDS, Budget, of_machine
from kindling.config.asked import Asked
from kindling.config.construct import construction_problem
from kindling.config.overrides import CHOICES, PARTS
from kindling.config.rules import FACTOR, rule_problems, settings_of
from kindling.config.signatures import length_argument, section_problems, takes_augmentation, wanted
from kindling.errors import did_you_mean, some
from kindling.trust.targets import targets_in

ACCELERATORS = {
    "cpu": CPUAccelerator,
    "gpu": MPSAccelerator if MPSAccelerator.is_available() else CUDAAccelerator,
    "cuda": CUDAAccelerator,
    "mps": MPSAccelerator,
    "tpu": XLAAccelerator,
}

MAX_WORKERS = 1024
MANY_STEPS = 10**9  # a run that no schedule is too long for
SECTIONS = [
    "data",
    "augmentation",
    "loss",
    "optimizer",
    "param_groups",
    "scheduler",
    "trainer",
    "logger",
    "callbacks",
    "metrics",
    "model",
]
SWITCHES = ("train", "test", "compile")
SETTINGS = [
    *CHOICES,
    *SWITCHES,
    "seed",
    "monitor",
    "population",
    "steps_per_call",
    "resume",
    "init_from",
    "allowed_packages",
    "run_dir",
]


def problems(cfg: DictConfig, asked: Asked = Asked()) -> list[str]:  # noqa: B008  # it cannot change
    """Every mistake that the signatures show, each with its full key."""
    try:
        plain: Any = resolved(cfg)
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        return [key + str(error).splitlines()[0]]
    links = set(_interpolated(OmegaConf.to_container(cfg, resolve=False)))
    by_section = section_problems(plain, links)
    if wrong := list(_time_problems(plain.get("trainer"))):
        others = [text for text in by_section["trainer"] if not text.startswith("trainer.max_time=")]
        by_section["trainer"] = [*others, *wrong]
    sound = {key: plain[key] for key, found in by_section.items() if not found}
    found = [
        *_section_problems(plain),
        *_value_problems("", plain),
        *(problem for found in by_section.values() for problem in found),
    ]
    if {"model", "data"} <= sound.keys():
        found += _pair_problems(plain, asked)
    if "model" in sound:
        found += _idle_problems(cfg, asked)
    if {"augmentation", "data"} <= sound.keys():
        found += _augmentation_problems(plain, asked)
    if {"trainer", "optimizer"} <= sound.keys() and isinstance(plain.get("param_groups"), dict):
        of_groups = list(rule_problems(plain))
        found += of_groups
        if of_groups:
            sound.pop("param_groups", None)
    if "trainer" in sound:
        found += _limit_problems(plain["trainer"])
    scheduler = plain["scheduler"]
    if plain["monitor"] is None and isinstance(scheduler, dict) and str(scheduler["_target_"]).endswith("OnPlateau"):
        found.append("monitor=null: leaves the scheduler nothing to watch; choose another scheduler, or a monitor")
    if "optimizer" not in sound:
        sound.pop("scheduler", None)  # its values may come from there
    return [*found, *_construction_problems(sound)]


def resolved(cfg: DictConfig) -> Any:
    """As plain containers. A scheduler that nobody takes may refer to an optimizer that is none."""
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    try:
        idle = idle_parts(cfg)
    except Exception:  # the model cannot be imported, or is no section: which is told as such
        idle = []
    idle = [part for part in idle if "${" in str(plain[part])]
    copy = cfg.copy()
    for part in idle:
        copy[part] = None
    return OmegaConf.to_container(copy, resolve=True, throw_on_missing=True)


def idle_parts(cfg: DictConfig) -> list[str]:
    """Which of loss, optimizer, scheduler and metrics neither the model nor another part of it takes."""
    takes = wanted(OmegaConf.to_container(cfg.model))  # type: ignore[arg-type]
    used = {part for part in PARTS if part in takes}
    for part in sorted(used):  # such as scheduler.max_lr=${optimizer.lr}
        used |= {other for other in PARTS if f"${{{other}." in str(OmegaConf.to_container(cfg)[part])}  # type: ignore[index,call-overload]
    metrics = ["metrics"] if cfg.get("metrics") and "metrics" not in takes else []
    return [*(part for part in PARTS if cfg[part] is not None and part not in used), *metrics]


def _idle_problems(cfg: DictConfig, asked: Asked) -> Iterator[str]:
    """Settings that would do nothing."""
    idle = {part: part for part in idle_parts(cfg)}  # with what the model would have to take
    if groups_are_idle(cfg):
        idle["param_groups"] = "optimizer"
    for section, part in idle.items():
        for text in asked.overrides:
            key, _, value = text.lstrip("+~").partition("=")
            if (key == section and value.strip("[]") not in ("none", "null")) or key.startswith(f"{section}."):
                yield f"{text}: would do nothing, since {cfg.model._target_} takes no {part}; leave it out"


def groups_are_idle(cfg: DictConfig) -> bool:
    """Whether no optimizer is there to have the groups of param_groups."""
    return cfg.optimizer is None or "optimizer" not in wanted(OmegaConf.to_container(cfg.model))  # type: ignore[arg-type]


def _augmentation_problems(cfg: dict[str, Any], asked: Asked) -> Iterator[str]:
    if any(cfg["augmentation"].values()) and not takes_augmentation(cfg["data"]):
        texts = [text for text in asked.overrides if re.match("[+~]*augmentation[=.]", text)]
        if asked.choices and not texts:  # it is an experiment's or the model's; a run on other data is only evaluated
            texts = ["augmentation"]
        for text in texts:
            yield f"{text}: would do nothing, since {cfg['data']['_target_']} takes no augmentation; leave it out"


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
        elif key in SECTIONS and not isinstance(cfg[key], dict) and not (key in PARTS and cfg[key] is None):
            yield f"{key}={cfg[key]}: should be a section, with keys of its own"
    for section in ("callbacks", "logger", "augmentation", "metrics"):
        nodes = cfg.get(section)
        for name, node in nodes.items() if isinstance(nodes, dict) else ():
            if node is not None and not (isinstance(node, dict) and "_target_" in node):
                yield f"{section}.{name}={node}: should be a section with a _target_, or null"
    if type(cfg.get("seed")) is not int or not 0 <= cfg["seed"] < 2**32:
        yield f"seed={cfg.get('seed')}: should be a whole number from 0 to {2**32 - 1}"
    if type(cfg.get("population")) is not int or cfg["population"] < 1:
        yield f"population={cfg.get('population')}: should be a whole number from 1"
    steps = cfg.get("steps_per_call")
    if steps != "auto" and (type(steps) is not int or steps < 1):
        yield f"steps_per_call={steps}: should be auto or a whole number from 1"
    for key in SWITCHES:
        if not isinstance(cfg.get(key), bool):
            yield f"{key}={cfg.get(key)}: should be true or false"
    yield from _untrained_problems(cfg)
    packages = cfg.get("allowed_packages")
    if not isinstance(packages, list) or not all(isinstance(name, str) for name in packages):
        yield f"allowed_packages={packages}: should be a list of names, like [my_project]"
    for key, choices in CHOICES.items():
        if cfg.get(key) not in choices:
            yield f"{key}={cfg.get(key)}: should be {' or '.join(choices)}"


def _untrained_problems(cfg: dict[Any, Any]) -> Iterator[str]:
    if cfg.get("train") is not False:
        return
    if cfg.get("test") is False:
        yield "train=false, test=false: leave nothing to do; leave one of them out"
    if cfg.get("population") not in (None, 1):
        yield f"train=false: measures one set of weights, and population={cfg['population']} makes several; set it to 1"


def _pair_problems(cfg: dict[str, Any], asked: Asked) -> Iterator[str]:
    """Data that the model is not made for, or a loss that does not fit the data. Names no `tasks`: fits everything."""
    model, data, loss = (_tasks(cfg[group]) for group in ("model", "data", "loss"))
    if data and cfg["data"].get("task") in data:  # a file may hold any task, and its own key says which
        data = {cfg["data"]["task"]}
    if data and model and not model & data:
        yield (
            f"model={asked.choice('model', cfg)} does not go with data={asked.choice('data', cfg)}: the model is made "
            f"for {' or '.join(sorted(model))}, the data are {' or '.join(sorted(data))}"
            f"{_fitting('data', model, asked)}{_fitting('model', data, asked)}"
        )
    elif data and loss and "loss" in wanted(cfg["model"]) and not loss & data:
        yield (
            f"loss={asked.choice('loss', cfg)} does not go with data={asked.choice('data', cfg)}: the loss is made for "
            f"{' or '.join(sorted(loss))}, the data are {' or '.join(sorted(data))}{_fitting('loss', data, asked)}"
            f"{'; or set data.task to what the target is' if 'task' in cfg['data'] else ''}"
        )


def _time_problems(trainer: Any) -> Iterator[str]:
    """What Lightning does not take for a time, in words of its own for each kind."""
    time = trainer.get("max_time") if isinstance(trainer, dict) else None
    if isinstance(time, str):
        right = bool(re.fullmatch(r"\d+:\d\d:\d\d:\d\d", time))
    elif isinstance(time, dict):
        right = bool(time) and time.keys() <= {"weeks", "days", "hours", "minutes", "seconds"}
    else:
        right = time is None
    if not right:
        yield f"trainer.max_time={time}: should be DD:HH:MM:SS, like 00:01:30:00, or a section like {{minutes: 90}}"


def _limit_problems(trainer: dict[str, Any]) -> Iterator[str]:
    """Limits that leave nothing to learn from, and intervals that Lightning would divide by."""
    for key in ("max_epochs", "max_steps", "limit_train_batches"):
        if trainer.get(key) == 0:
            yield f"trainer.{key}=0: nothing would be trained; debug=fast_dev_run tries everything in one step"
    for key in ("check_val_every_n_epoch", "val_check_interval"):
        value = trainer.get(key)
        if isinstance(value, int | float) and value <= 0:
            yield f"trainer.{key}={value}: should be more than 0; trainer.limit_val_batches=0 leaves validation out"
    if trainer.get("accumulate_grad_batches") == 0:
        yield "trainer.accumulate_grad_batches=0: should be at least 1"
    clip, algorithm = trainer.get("gradient_clip_val"), trainer.get("gradient_clip_algorithm")
    if isinstance(clip, int | float) and clip < 0:
        yield f"trainer.gradient_clip_val={clip}: should be at least 0"
    if algorithm is not None and not clip:
        yield f"trainer.gradient_clip_algorithm={algorithm}: would do nothing without trainer.gradient_clip_val"
    least, most = trainer.get("min_epochs"), trainer.get("max_epochs")
    if isinstance(least, int) and isinstance(most, int) and 0 <= most < least:
        yield f"trainer.min_epochs={least}: is more than trainer.max_epochs={most}"


def _tasks(node: dict[str, Any] | None) -> set[str]:
    return set(getattr(get_object(node["_target_"]), "tasks", ())) if node else set()


def _fitting(group: str, tasks: set[str], asked: Asked) -> str:
    """'; data that fit: xor, csv', from the files of the group."""
    names = []
    for folder in asked.folders:
        for file in sorted(folder.glob(f"{group}/*.yaml")):
            content: Any = OmegaConf.to_container(OmegaConf.load(file))
            node = content.get(group, content)
            if node and "_target_" in node and tasks & _tasks(node):
                names.append(file.stem)
    return f"; fitting {group}: {some(names)}" if names else ""


def _construction_problems(sound: dict[str, Any]) -> Iterator[str]:
    """What the parts say of their own values, such as a negative learning rate, when they are built on trial.

    Those of torch and Lightning alone: what others do when they are built, nobody knows.
    """
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
        if not all(name.startswith(("torch.", "lightning.", "kindling.")) for name in targets_in(node)):
            continue
        if any(isinstance(value, dict) and "_target_" in value for value in node.values()):
            continue
        length = length_argument(get_object(node["_target_"])) if path == "scheduler" else None
        if length:
            node = {length: MANY_STEPS, **node}
        if path == "loss" and node.get("class_weights") == "balanced":  # by data, which are not there yet
            node.pop("class_weights")
        try:
            with nullcontext() if path == "trainer" else without_memory(path):
                instantiate(node, _convert_="all", **handed_over[path])
        except InstantiationException as error:
            yield construction_problem(path, sound[path], error)
    if "optimizer" in sound and sound.get("param_groups"):
        yield from _group_problems(sound["optimizer"], sound["param_groups"])


def _group_problems(optimizer: dict[str, Any], rules: dict[str, Any]) -> Iterator[str]:
    """What an optimizer of torch would say of the settings of a group, at which it does not look, as its own."""
    for name, rule in rules.items():
        settings = {key: value for key, value in settings_of(rule or {}).items() if key != FACTOR}
        if not settings or not optimizer["_target_"].startswith("torch."):
            continue
        node = {**optimizer, **settings, "_partial_": False}
        try:
            with without_memory("param_groups"):
                instantiate(node, _convert_="all", params=[torch.nn.Parameter(torch.zeros(1))])
        except InstantiationException as error:
            yield construction_problem(f"param_groups.{name}", {**settings, "_target_": node["_target_"]}, error)


@contextmanager
def without_memory(path: str) -> Iterator[None]:
    with torch.device("meta"), Budget(path, of_machine(), MAX_SECONDS):
        yield


def _value_problems(key: str, node: Any) -> Iterator[str]:
    """Numbers that no signature is asked about: some are handed on to others."""
    if isinstance(node, dict | list):
        for name, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _value_problems(f"{key}.{name}".lstrip("."), child)
    elif type(node) is int and node.bit_length() > 63:
        yield f"{key}: is a whole number of {node.bit_length()} bits, and 63 are the most"
    elif type(node) is int and key.endswith(".num_workers") and node > MAX_WORKERS:
        yield f"{key}={node}: should be at most {MAX_WORKERS}, each of which is a process"


def several_processes(trainer: DictConfig) -> bool:
    return str(trainer.get("devices", 1)) != "1" or trainer.get("strategy", "auto") != "auto"
