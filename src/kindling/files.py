"""Files from anywhere, judged before they are read: a pipe waits, a device never ends, a huge one fills the machine."""

import json
import re
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from kindling.errors import UserError, shown

MAX_TEXT = 2**24  # bytes of a summary
MAX_RECORD = 2**28  # bytes of a table of scores
MAX_YAML = 2**20  # bytes
MAX_EVENTS = 50_000  # of its parser; a config has some hundred
MAX_DEPTH = 100
# Whole numbers beyond 64 bits, as YAML writes them; one of base 60 takes a time that grows with its square.
HUGE = re.compile(r"[-+]?(\d[\d_:]{18,}|0x[\da-fA-F_]{17,}|0b[01_]{64,})")


def check_file(path: Path, limit: int, named: str | None = None) -> int:
    """The size in bytes, of a regular file of up to `limit`.

    Raises:
        UserError: with what the file is `named`, where it is another kind of thing, or larger.
        OSError: where there is none.
    """
    status, named = path.stat(), named or str(path)
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{named}: is a folder, where a file is needed")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{named}: is a device or a pipe, where a file is needed")
    if status.st_size > limit:
        raise UserError(f"{named}: has {in_bytes(status.st_size)}, and should have {in_bytes(limit)} at most")
    return status.st_size


def in_bytes(size: int) -> str:
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    power = min((int(size).bit_length() - 1) // 10, len(units) - 1) if size else 0
    return f"{size / 1024**power:,.4g} {units[power]}"


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    check_file(path, limit)
    return path.read_text(encoding="utf-8")


def read_json(path: Path) -> Any:
    """Raises:
    UserError: where the file is damaged, or no regular one.
    OSError: where there is none.
    """
    try:
        return json.loads(read_text(path), parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged ({shown(str(error))})") from None


def _whole_number(text: str) -> int:
    if HUGE.fullmatch(text):
        raise ValueError(f"it has a number of {len(text)} digits")
    return int(text)


def read_yaml(path: Path, configs: int = 1) -> Any:
    """As plain containers, with its interpolations as they are; of no more than so many `configs` of the usual size.

    Raises:
        UserError: where the file is damaged, or no regular one.
        OSError: where there is none.
    """
    try:
        text = read_text(path, configs * MAX_YAML)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is damaged ({error})") from None
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if number > configs * MAX_EVENTS or depth > MAX_DEPTH:
                raise ValueError("it has more values, or levels of them, than a config")
            if isinstance(event, yaml.AliasEvent):  # nine levels of ten each are a billion values
                raise ValueError(f"it repeats its part {event.anchor} by an alias")
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and HUGE.fullmatch(event.value):
                raise ValueError(f"it has a number of {len(event.value)} digits")
        return OmegaConf.to_container(OmegaConf.load(StringIO(text)))
    except Exception as error:  # whatever a damaged file makes a parser say
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: is damaged ({shown(reason)})") from None
