"""`resume=RUN` on the command line: the run goes on in its folder, with the overrides that it was started with.

The rest of a run's config is composed anew. What the folder says is not trusted: overrides of Hydra's own are refused,
and what the config names is checked before it is built.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config.overrides import PARTS
from kindling.errors import UserError, shown
from kindling.files import read_json, read_yaml
from kindling.folders import is_locked

MAX_OVERRIDES = 200
MAX_LENGTH = 2_000  # characters of one
MAX_INTERPOLATIONS = 24  # in all; each may stand for a text that holds the next one several times
ELSEWHERE = {"resume", "allowed_packages", "data.data_dir"}  # keys that say how or where, not what a run is


class Started:
    """What the folder of a run says about it, read without torch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        try:
            self.overrides: list[str] = [str(text) for text in read_yaml(folder / "overrides.yaml")]
            config: Any = read_yaml(folder / "config.yaml")
            self.config: dict[str, Any] = config
            self.run_dir = str(config["run_dir"])
            self.summary: dict[str, Any] = read_json(folder / "summary.json")
        except FileNotFoundError as error:
            raise UserError(
                f"resume={folder}: is not the folder of a run: it has no {Path(error.filename).name}"
            ) from None
        except Exception as error:  # whatever a damaged file makes a parser say
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"resume={folder}: a file of the run is damaged ({reason})") from None
        check_length(folder, self.overrides)
        for path in [*folder.iterdir(), *folder.glob("checkpoints/*")]:
            if path.exists() and not path.is_dir() and not path.is_file():  # a pipe waits, and a device never ends
                raise UserError(f"resume={folder}: {path.relative_to(folder)} is a device or a pipe, not a file")
        # What may be built from the folder is not for the folder to say; where it is, it cannot know.
        elsewhere = ("allowed_packages", "run_dir=")
        self.overrides = [text for text in self.overrides if not text.lstrip("+~").startswith(elsewhere)]
        foreign = [text for text in self.overrides if text.lstrip("+~").startswith("hydra")]
        if foreign:
            raise UserError(f"resume={folder}: overrides.yaml may not hold {foreign[0]}")

    def is_running(self) -> bool:
        try:
            return is_locked(self.folder / ".lock")
        except OSError:  # a folder that nobody can write to; whoever trains there will be told
            return False

    def changes(self, config_name: str, overrides: list[str]) -> list[str]:
        """Where the config that the overrides compose today differs from that of the run."""
        try:
            cfg = compose(config_name, [*overrides, f"run_dir={quoted(self.run_dir)}"])
            for part in [part for part in PARTS if self.config.get(part, "") is None]:
                cfg[part] = None  # a section that the model does not take is left out of the record
            composed: Any = OmegaConf.to_container(cfg, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            return [str(error).splitlines()[0]]
        now, then = dict(flat(composed)), dict(flat(self.config))
        keys = [key for key in {**then, **now} if key not in ELSEWHERE and not key.startswith("sweep.")]
        return [f"{key} is {now.get(key)}, was {then.get(key)}" for key in keys if now.get(key) != then.get(key)]


def check_length(folder: Path, overrides: list[str]) -> None:
    """Raises:
    UserError: where Hydra would take long over them: values that repeat each other, and texts that nobody types.
    """
    for text in overrides:
        if len(text) > MAX_LENGTH:
            raise UserError(f"resume={folder}: overrides.yaml has one of {len(text):,} characters: {shown(text)}")
    if len(overrides) > MAX_OVERRIDES or sum(text.count("${") for text in overrides) > MAX_INTERPOLATIONS:
        raise UserError(f"resume={folder}: overrides.yaml holds more than a command line does")


def flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every full key with its value."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def quoted(path: str | Path) -> str:
    """For the grammar of overrides."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"


def find_run(value: str, config_name: str, overrides: list[str], folders: list[Path]) -> Started | None:
    """The run that `resume=value` means; None where it is `auto` and there is nothing to go on with.

    Raises:
        UserError: where the value names no run, one that is still running, or one of another config than today's.
    """
    if value == "auto":
        return newest_unfinished(config_name, overrides, folders)
    path = Path(value)
    if path.suffix == ".ckpt":
        if not path.is_file():
            raise UserError(f"resume={value}: there is no such file")
        path = path.absolute().parents[1]
    if not path.is_dir():
        raise UserError(f"resume={value}: there is no such folder")
    run = Started(path)
    if run.is_running():
        raise UserError(f"resume={value}: the run is still going")
    changes = run.changes(config_name, run.overrides)
    if changes:
        raise UserError(f"resume={value}: conf/ has changed since the run was started: {'; '.join(changes)}")
    return run


def newest_unfinished(config_name: str, overrides: list[str], folders: list[Path]) -> Started | None:
    summaries = [path for folder in folders for path in folder.glob("**/summary.json")]
    for path in sorted(summaries, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            run = Started(path.parent)
        except UserError:
            continue
        unfinished = run.summary.get("status") != "completed" and not run.is_running()
        if unfinished and not run.changes(config_name, overrides):
            return run
    return None
