"""What a config out of a checkpoint or a run folder may name, decided before anything is imported or built from it."""

import re
import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from inspect import isclass
from typing import Any

from kindling.errors import shown
from kindling.folders import PROJECT
from kindling.trust.allowed import DEFINED_IN, EXCLUDED, FUNCTIONS, PASSED_ON_BY
from kindling.trust.plain import plain_problems

# Packages that are nobody's own project.
OWNED = sys.stdlib_module_names | {"hydra", "kindling", "lightning", "torch", "torchmetrics", "torchvision"}

# Sections that a run is built from anew: of one part each, and of any number of parts with names.
BUILT = ("data", "model", "loss", "optimizer", "scheduler", "trainer")
BUILT_OF_PARTS = ("augmentation", "metrics")


def problems(config: Any, allowed_packages: Collection[str] = (), trusted: Any = None) -> list[str]:
    """Why nothing may be built from an untrusted `config`, each by its full key: found without building anything.

    It must be plain data without interpolations. Every `_target_`, wherever it is, must name a class that is defined
    in Kindling, or one of those of torch, torchmetrics, torchvision and lightning that touch nothing but the run;
    nothing outside of these packages is imported. `allowed_packages` are the user's own, such as `["my_project"]`:
    they come from the user, never from the checkpoint, and all their classes are trusted. So is each part that is the
    same in `trusted`, a config of the user's own.
    """
    packages = {*allowed_packages, *own_packages()}
    return list(plain_problems(config)) or list(_target_problems("", config, packages, trusted))


def own_packages() -> set[str]:
    """Those that lie in src/ of this checkout beside Kindling: whoever runs it has put them there."""
    src = PROJECT / "src"
    found = {path.stem for path in [*src.glob("*.py"), *(file.parent for file in src.glob("*/*.py"))]}
    return found - {"kindling", "hydra_plugins"}


def unknown_packages(config: Any, allowed_packages: Collection[str] = ()) -> set[str]:
    """The packages that a run is made of and that `problems` will not let a checkpoint name."""
    modules = {target.rpartition(".")[0] for key in (*BUILT, *BUILT_OF_PARTS) for target in targets_in(config.get(key))}
    known = {*allowed_packages, *own_packages()}
    packages = {module.partition(".")[0] for module in modules if module and not allowed_module(module, known)}
    return packages - OWNED


def targets_in(node: Any) -> Iterator[str]:
    """The names of all classes in a node."""
    for key, child in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else []):
        yield from [child] if key == "_target_" and isinstance(child, str) else targets_in(child)


def _target_problems(path: str, node: Any, packages: Collection[str], trusted: Any) -> Iterator[str]:
    if not isinstance(node, dict | list) or node == trusted:
        return
    known = trusted if isinstance(trusted, dict) else {}
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield from _target_problems(f"{path}.{key}" if path else str(key), child, packages, known.get(key))
    if not isinstance(node, dict) or "_target_" not in node:
        return
    target = node["_target_"]
    key = f"{shown(path)}._target_={shown(str(target))}".lstrip(".")
    if not isinstance(target, str) or not re.fullmatch(r"([a-z]\w*\.)+[a-z]\w*", target, re.ASCII | re.IGNORECASE):
        yield f"{key}: is not the name of a class"
    elif not allowed_module(target.rpartition(".")[0], packages):
        owned = target.partition(".")[0] in OWNED
        hint = "" if owned else "; if it is yours, name its package in allowed_packages"
        yield f"{key}: a checkpoint may not name this{hint}"
    elif target in FUNCTIONS:
        own = {name for name, value in node.items() if name in known and known[name] == value}
        for argument in [str(name) for name in node if name not in FUNCTIONS[target] | {"_target_"} | own]:
            yield f"{shown(path)}.{shown(argument)}: a checkpoint may not set this"
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
