"""What a process needs before all else: the variables in the file .env beside train.py, and imports in an order."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from kindling.folders import PROJECT

log = logging.getLogger(__name__)


def read_env() -> None:
    """What the environment has already stays."""
    file = PROJECT / ".env"
    if not file.is_file():
        return
    from dotenv import load_dotenv  # not above: most machines have no such file
    from dotenv.parser import parse_stream

    logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # which does not say of which file it speaks
    try:
        with file.open(encoding="utf-8") as stream:
            wrong = [binding.original.line for binding in parse_stream(stream) if binding.error]
        load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("WARNING: %s was not read: %s", file, error)
    else:
        for line in wrong:
            log.warning("WARNING: %s: line %d is left out, since it is no NAME=VALUE", file, line)


def import_before_torch(cfg: Mapping[str, Any]) -> None:
    """W&B, where it is a logger: pydantic walks through all modules that are there for each of its classes, and after
    torch there are so many that it takes a second longer.
    """
    if "wandb" in (cfg.get("logger") or {}):
        with suppress(ImportError):  # told where the logger is built
            import_module("wandb.sdk.launch.inputs.internal")  # which wandb.init asks for
