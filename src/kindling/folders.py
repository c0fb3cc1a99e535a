"""The files of a run folder, read without torch or pandas, and written so that nobody ever sees half of one."""

import csv
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from kindling.errors import UserError
from kindling.files import MAX_RECORD, check_file, read_json, read_yaml
from kindling.locks import check_still_held

PROJECT = Path(__file__).parents[2]  # where the package is installed to be edited; elsewhere there is no conf/
CONF = PROJECT / "conf"
SPREADS = ("_std", "_min", "_max")  # over the members of a population


def near(path: str | Path) -> str:
    """As a command names it: from where the commands are run, if it lies there."""
    return str(path).removeprefix(f"{Path.cwd()}/")


def write_whole(path: Path, content: str | bytes) -> None:
    """Or leave what is there, whatever happens on the way. A link at the path is replaced, not followed.

    Raises:
        OSError: with the name of the file, where that fails.
        UserError: where the folder that this process trains in is no longer its own.
    """
    check_still_held()
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}.tmp"[-255:])
    try:
        with temporary.open("xb") as file:  # x: follows no link that lies in wait
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_summary(folder: Path) -> dict[str, Any]:
    """The record of a run. One that cannot be read counts as that of a run of which nothing else is known."""
    try:
        summary = read_json(folder / "summary.json")
    except (OSError, UserError):
        summary = None
    return summary if isinstance(summary, dict) and "status" in summary else {"status": "unreadable"}


def part(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of it; nothing where there is no such section."""
    value = summary.get(name)
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float | None:
    """A score as it stands in a summary; None where something else does, or a number beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, float) or abs(value) <= sys.float_info.max else None


def read_course(folder: Path) -> str:
    """metrics.csv without what is incomplete: lines that end early, as on a full disk, and those that hold no numbers.

    Raises:
        UserError: where no column is the epoch.
    """
    check_file(folder / "metrics.csv", MAX_RECORD)
    lines = (folder / "metrics.csv").read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    header = next(csv.reader(lines[:1]), [])
    if "epoch" not in header:
        raise UserError(f"{folder / 'metrics.csv'}: is damaged, it has no column epoch")

    def complete(line: str) -> bool:
        values = next(csv.reader([line]), [])
        try:
            [float(value) for value in values if value]
        except ValueError:
            return False
        return line.endswith("\n") and len(values) == len(header) and values[header.index("epoch")].isdecimal()

    return lines[0] + "".join(line for line in lines[1:] if complete(line))


def read_overrides(folder: Path) -> list[str]:
    """What was asked for; nothing where that cannot be read."""
    try:
        overrides = read_yaml(folder / "overrides.yaml")
    except (OSError, UserError):
        return []
    return [text for text in overrides if isinstance(text, str)] if isinstance(overrides, list) else []
