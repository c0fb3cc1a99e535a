"""sweep.yaml: what a sweep is, for those who go on with it and for the report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from kindling.config.sources import split
from kindling.containment import is_name
from kindling.errors import UserError, shown
from kindling.files import read_yaml
from kindling.folders import write_whole

# Keys that say how, where or how long, not what is swept.
CHANGEABLE = (
    "sweep.name",
    "sweep.resume",
    "sweep.n_trials",
    "sweep.max_failures",
    "sweep.batch_size",
    "sweep.quiet",
    "allowed_packages",
)


@dataclass(frozen=True)
class Record:
    """Args:
    command: the overrides as typed, after the flags that say where the config is; `hydra` those of Hydra's own, such as
        the launcher.
    sweep: the option chosen from conf/sweep.
    objectives: metrics, and which of `min` and `max` is best.
    n_trials: jobs in total.
    space: by swept key, Optuna's description of what its values are drawn from, in JSON.
    """

    name: str
    command: list[str]
    hydra: list[str]
    sweep: str
    objectives: dict[str, Literal["min", "max"]]
    n_trials: int
    space: dict[str, str]

    def write(self, folder: Path) -> None:
        write_whole(folder / "sweep.yaml", OmegaConf.to_yaml(OmegaConf.create(asdict(self))))


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    keys = [key for key in {**then, **now} if now.get(key, "not set") != then.get(key, "not set")]
    return [f"{key} is {now.get(key, 'not set')}, was {then.get(key, 'not set')}" for key in keys]


def by_key(command: list[str]) -> dict[str, str]:
    """What is swept, by key: two commands that say the same make the same sweep."""
    pairs = (text.partition("=") for text in split(command)[1])
    return {key: value for key, _, value in pairs if key not in CHANGEABLE}


def read_record(folder: Path) -> Record:
    """Raises:
    UserError: where the folder is not that of a sweep, or its record is damaged.
    """
    file = folder / "sweep.yaml"
    try:
        record = TypeAdapter(Record).validate_python(read_yaml(file))
        for text in record.space.values():
            json.loads(text)["attributes"].keys()
        names = [record.name, record.sweep, *record.objectives, *record.space]
        if is_name(record.name) and all(map(str.isprintable, names)):
            return record
        reason = "a name in it is none"
    except FileNotFoundError:
        raise UserError(
            f"{folder}: is not the folder of a sweep; name one with a sweep.yaml in it, such as outputs/sweeps/NAME"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        reason = "its space is none of Optuna's"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise UserError(f"{file}: is damaged ({shown(reason)})")
