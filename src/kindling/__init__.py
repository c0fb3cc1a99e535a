"""Kindling: a research template on PyTorch Lightning and Hydra.

`compose` a config, `train` it, and come back to the `Run`; `compare` several.
"""

from typing import TYPE_CHECKING, Any

from kindling.environment import read_env
from kindling.version import __version__ as __version__

if TYPE_CHECKING:
    from kindling.config.compose import compose as compose
    from kindling.reopening.compare import compare as compare
    from kindling.reopening.run import Run as Run
    from kindling.running.train import train as train

PUBLIC = {
    "compose": "kindling.config.compose",
    "train": "kindling.running.train",
    "Run": "kindling.reopening.run",
    "compare": "kindling.reopening.compare",
}

read_env()  # here, so that train.py, every script, a notebook and what a launcher starts know the same


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: the command line is checked without torch."""
    from importlib import import_module

    if name not in PUBLIC:
        raise AttributeError(f"module kindling has no attribute {name}")
    return getattr(import_module(PUBLIC[name]), name)
