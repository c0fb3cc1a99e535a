"""What a config out of a checkpoint or a run folder may name, decided before anything is imported or built from it."""

import re
import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from inspect import isclass
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from kindling.errors import shown
from kindling.folders import PROJECT

# Where a class may be defined, and what kind of class it must be. What is absent, is absent for a reason:
# - lightning.pytorch.callbacks: lambda_function and throughput_monitor call what they are given, pruning finds
#   functions by name, spike, prediction_writer, batch_size_finder and lr_finder write files of their own;
# - lightning.pytorch.loggers: comet, litlogger, mlflow, neptune and wandb send to whatever address the config says;
# - lightning.pytorch.plugins: io writes files, environment says to which machines to connect, bitsandbytes and
#   transformer_engine import other packages; of the strategies, deepspeed reads its config from any file;
# - torchmetrics: audio, detection, image, multimodal, text and video download models or call what they are given;
# - lightning.pytorch.cli, torch.nn.utils, torch.utils, torch.hub and the rest are not what a run is made of.
DEFINED_IN: dict[str, type | tuple[type, ...]] = {
    "kindling.models.losses": nn.Module,
    "kindling.models": L.LightningModule,
    "kindling.data": L.LightningDataModule,
    "kindling.running.callbacks": Callback,
    "kindling.running.figures": Callback,
    "kindling.checkpoints.last": Callback,
    "kindling.running.loggers": Logger,
    "torch.nn.modules": nn.Module,
    "torch.optim": (Optimizer, LRScheduler),
    "torchmetrics.aggregation": Metric,
    "torchmetrics.classification": Metric,
    "torchmetrics.regression": Metric,
    "torchvision.transforms.v2": nn.Module,
    "lightning.pytorch.trainer.trainer": L.Trainer,
    "lightning.pytorch.callbacks.device_stats_monitor": Callback,
    "lightning.pytorch.callbacks.early_stopping": Callback,
    "lightning.pytorch.callbacks.finetuning": Callback,
    "lightning.pytorch.callbacks.gradient_accumulation_scheduler": Callback,
    "lightning.pytorch.callbacks.lr_monitor": Callback,
    "lightning.pytorch.callbacks.model_checkpoint": Callback,
    "lightning.pytorch.callbacks.model_summary": Callback,
    "lightning.pytorch.callbacks.on_exception_checkpoint": Callback,
    "lightning.pytorch.callbacks.progress": Callback,
    "lightning.pytorch.callbacks.rich_model_summary": Callback,
    "lightning.pytorch.callbacks.stochastic_weight_avg": Callback,
    "lightning.pytorch.callbacks.timer": Callback,
    "lightning.pytorch.callbacks.weight_averaging": Callback,
    "lightning.pytorch.loggers.csv_logs": Logger,
    "lightning.pytorch.loggers.tensorboard": Logger,
    "lightning.pytorch.plugins.precision.amp": Precision,
    "lightning.pytorch.plugins.precision.double": Precision,
    "lightning.pytorch.plugins.precision.fsdp": Precision,
    "lightning.pytorch.plugins.precision.half": Precision,
    "lightning.pytorch.profilers.advanced": Profiler,
    "lightning.pytorch.profilers.pytorch": Profiler,
    "lightning.pytorch.profilers.simple": Profiler,
    "lightning.pytorch.strategies.ddp": Strategy,
    "lightning.pytorch.strategies.fsdp": Strategy,
    "lightning.pytorch.strategies.single_device": Strategy,
}
# Modules that pass on classes from the ones above.
PASSED_ON_BY = {
    "lightning",
    "lightning.pytorch",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.plugins",
    "lightning.pytorch.plugins.precision",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "torch.nn",
    "torchmetrics",
}
# Functions, with the arguments that they may be given: others of wandb.init say to whom to send what.
FUNCTIONS = {
    "kindling.running.loggers.wandb_logger": {
        *("save_dir", "project", "name", "id", "group", "tags", "notes", "mode"),
    }
}
EXCLUDED = {"torchvision.transforms.v2._misc.Lambda"}  # calls what it is given

# Packages that are nobody's own project.
OWNED = sys.stdlib_module_names | {"hydra", "kindling", "lightning", "torch", "torchmetrics", "torchvision"}

BUILT = ("data", "model", "loss", "optimizer", "scheduler", "trainer")  # sections that a run is built from anew

MAX_NODES = 20_000  # of a config that names its parts again and again
MAX_DEPTH = 64
MAX_LENGTH = 100_000  # of a text


def problems(config: Any, allowed_packages: Collection[str] = ()) -> list[str]:
    """Why nothing may be built from an untrusted `config`, each by its full key: found without building anything.

    It must be plain data without interpolations. Every `_target_`, wherever it is, must name a class that is defined
    in Kindling, or one of those of torch, torchmetrics, torchvision and lightning that touch nothing but the run;
    nothing outside of these packages is imported. `allowed_packages` are the user's own, such as `["my_project"]`:
    they come from the user, never from the checkpoint, and all their classes are trusted.
    """
    return list(plain_problems(config)) or list(_target_problems("", config, {*allowed_packages, *own_packages()}))


def own_packages() -> set[str]:
    """Those that lie in src/ of this checkout beside Kindling: whoever runs it has put them there."""
    src = PROJECT / "src"
    found = {path.stem for path in [*src.glob("*.py"), *(file.parent for file in src.glob("*/*.py"))]}
    return found - {"kindling", "hydra_plugins"}


def unknown_packages(config: Any, allowed_packages: Collection[str] = ()) -> set[str]:
    """The packages that a run is made of and that `problems` will not let a checkpoint name."""
    modules = {target.rpartition(".")[0] for key in BUILT for target in _targets(config.get(key))}
    known = {*allowed_packages, *own_packages()}
    packages = {module.partition(".")[0] for module in modules if module and not allowed_module(module, known)}
    return packages - OWNED


def _targets(node: Any) -> Iterator[str]:
    for key, child in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else []):
        yield from [child] if key == "_target_" and isinstance(child, str) else _targets(child)


def plain_problems(config: Any) -> Iterator[str]:
    """What is not dicts, lists, numbers and texts; the first such thing, since the rest may never end."""
    if not isinstance(config, dict):
        yield f"config: is a {shown(type(config).__name__)}, not a section with keys"
        return
    stack: list[tuple[str, int, Any]] = [("", 0, config)]
    num_nodes = 0
    while stack:
        path, depth, node = stack.pop()
        num_nodes += 1
        if depth > MAX_DEPTH or num_nodes > MAX_NODES:
            yield f"{shown(path)}: the config is too large, nested too deeply, or holds itself"
        elif type(node) in (dict, list):
            items = list(node.items() if isinstance(node, dict) else enumerate(node))
            stack += [(f"{path}.{key}"[-1000:] if path else str(key), depth + 1, child) for key, child in items]
            if all(type(key) in (str, int, float, bool) and len(str(key)) <= MAX_LENGTH for key, _ in items):
                continue
            yield f"{shown(path)}: has a key that is no name"
        elif isinstance(node, str) and len(node) > MAX_LENGTH:
            yield f"{shown(path)}: is a text of {len(node):,} characters, more than any setting"
        elif type(node) is int and node.bit_length() > 63:
            yield f"{shown(path)}: is a whole number of {node.bit_length():,} bits, more than any setting"
        elif isinstance(node, str) and "${" in node:  # would be computed, with what the environment holds, when built
            yield f"{shown(path)}={shown(node)}: a finished config has values, not interpolations"
        elif node is not None and type(node) not in (bool, int, float, str):
            yield f"{shown(path)}: is a {shown(type(node).__name__)}, which no config file can hold"
        else:
            continue
        return


def _target_problems(path: str, node: Any, packages: Collection[str]) -> Iterator[str]:
    if not isinstance(node, dict | list):
        return
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield from _target_problems(f"{path}.{key}" if path else str(key), child, packages)
    if not isinstance(node, dict) or "_target_" not in node:
        return
    target = node["_target_"]
    key = f"{shown(path)}._target_={shown(str(target))}".lstrip(".")
    if not isinstance(target, str) or not re.fullmatch(r"([a-z]\w*\.)+[a-z]\w*", target, re.ASCII | re.IGNORECASE):
        yield f"{key}: is not the name of a class"
    elif not allowed_module(target.rpartition(".")[0], packages):
        known = target.partition(".")[0] in OWNED
        hint = "" if known else "; if it is yours, name its package in allowed_packages"
        yield f"{key}: a checkpoint may not name this{hint}"
    elif target in FUNCTIONS:
        for argument in [str(name) for name in node if name not in FUNCTIONS[target] | {"_target_"}]:
            yield f"{shown(path)}.{shown(argument)}: a checkpoint may not set this; set it on the command line"
    else:
        yield from (f"{key}: {reason}" for reason in _class_problems(target, packages))


def allowed_module(module: str, packages: Collection[str]) -> bool:
    return module in PASSED_ON_BY or _within(module, [*packages, *DEFINED_IN]) is not None


def _within(module: str, packages: Collection[str]) -> str | None:
    """The package of `packages` that `module` is, or is part of."""
    return next((package for package in packages if f"{module}.".startswith(f"{package}.")), None)


def _class_problems(target: str, packages: Collection[str]) -> Iterator[str]:
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)  # attributes of attributes would lead to other packages
    except Exception as error:  # whatever the import of a user's module raises
        yield f"cannot be imported ({shown(str(error))})"
        return
    if not isclass(found):
        yield "is not a class"
        return
    # A name may be an alias of something foreign: what counts is where the class is defined.
    own = f"{found.__module__}.{found.__qualname__}"
    if _within(found.__module__, packages):
        return
    package = _within(found.__module__, DEFINED_IN)
    hidden = getattr(sys.modules.get(found.__module__), found.__qualname__, None) is not found
    if package is None or hidden or own in EXCLUDED or not issubclass(found, DEFINED_IN[package]):
        yield f"a checkpoint may not name {shown(own)}"
