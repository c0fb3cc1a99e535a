"""What a checkpoint of Kindling holds, and how one is read without trusting it."""

from pathlib import Path
from typing import Any

from torch import Tensor

from kindling.checkpoints import archive
from kindling.errors import UserError, shown
from kindling.trust.plain import plain_problems
from kindling.version import __version__

FORMAT = 1  # to be raised by whoever changes what is in a checkpoint so that an older Kindling misreads it

MOVED = {
    "kindling.losses": "kindling.models.losses",
    "kindling.tasks": "kindling.data.tasks",
    "kindling.callbacks": "kindling.running.callbacks",
    "kindling.last_checkpoint": "kindling.checkpoints.last",
    "kindling.loggers": "kindling.running.loggers",
}


def about() -> dict[str, Any]:
    """What a checkpoint says of itself under the key `kindling`."""
    return {"format": FORMAT, "version": __version__}


def load(path: str | Path) -> dict[str, Any]:
    """A checkpoint of Kindling's, on the CPU: `state_dict` (tensors), `config` (plain data) and what Lightning adds.

    One without a header is from before there was one, and of format 1 otherwise. That the config is plain does not make
    it safe to build from: see `trust.targets` and `trust.confinement`.

    Raises:
        UserError: where the file is not such a checkpoint, is damaged, or of a format that is not known here.
    """
    checkpoint = archive.read(Path(path))
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path} is not a checkpoint of Kindling: it holds a {type(checkpoint).__name__}, not a dict")
    origin = checkpoint.get("kindling", about())
    written = origin.get("format") if isinstance(origin, dict) else None
    if not isinstance(written, int) or written < 1:
        raise UserError(f"{path} is not a checkpoint of Kindling: its format is no number from 1")
    if written > FORMAT:
        by = shown(str(origin.get("version")))
        raise UserError(
            f"{path} has format {written}, and this Kindling knows up to {FORMAT}; update it to {by} or later"
        )
    for key in ("state_dict", "config"):
        if not isinstance(checkpoint.get(key), dict):
            raise UserError(
                f"{path} is not a checkpoint of Kindling: it has no {key}; use best.ckpt or last.ckpt of a run"
            )
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in checkpoint["state_dict"].items()):
        raise UserError(f"{path} is not a checkpoint of Kindling: its state_dict holds other things than tensors")
    for problem in plain_problems(checkpoint["config"]):
        raise UserError(f"{path} was not loaded: in its config, {problem}")
    return {key: value if key == "state_dict" else under_todays_names(value) for key, value in checkpoint.items()}


def under_todays_names(value: Any) -> Any:
    """What an older Kindling has saved names classes by the modules that they were in then."""
    if type(value) in (dict, list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        renamed = {key: under_todays_names(child) for key, child in pairs}
        return renamed if isinstance(value, dict) else list(renamed.values())
    if isinstance(value, str) and value.startswith("kindling."):
        module, _, name = value.rpartition(".")
        return f"{MOVED.get(module, module)}.{name}"
    return value


def plain_part(values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that any config file could hold: numbers, texts, lists and dicts, and not too many."""
    plain = {name: list(value) if isinstance(value, tuple | set) else value for name, value in values.items()}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}
    return {name: value for name, value in plain.items() if not list(plain_problems({name: value}))}
