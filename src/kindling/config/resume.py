"""`resume=RUN` on the command line: the run goes on in its folder, with the overrides that it was started with.

The rest of a run's config is composed anew. What the folder says is not trusted: overrides of Hydra's own are refused,
and the others are held against what the user says (foreign.py).
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config.overrides import PARTS
from kindling.config.told import check_place, is_computed, key_of, parsed_overrides
from kindling.errors import UserError, shown
from kindling.folders import is_locked
from kindling.trust.plain import plain_problems

ELSEWHERE = {"resume", "allowed_packages", "data.data_dir"}  # keys that say how or where, not what a run is
NOT_FOR_A_FOLDER = r"allowed_packages$|run_dir$|resume$|sweep($|[./])"  # to say: what may be built, and where it is
MOST_CHANGES = 5  # that a sentence names


class Started:
    """What the folder of a run says about it, read without torch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        check_place(folder)
        try:
            told: Any = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
            config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
            self.config: dict[str, Any] = config
            self.run_dir = str(config["run_dir"])
            self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        except FileNotFoundError as error:
            raise UserError(
                f"resume={folder}: is not the folder of a run: it has no {Path(error.filename).name}"
            ) from None
        except Exception as error:  # whatever a damaged file makes a parser say
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"resume={folder}: a file of the run is damaged ({shown(reason)})") from None
        for problem in plain_problems(self.config):
            raise UserError(f"resume={folder}: config.yaml is damaged ({problem})")
        if not isinstance(told, list) or not isinstance(self.summary, dict):
            raise UserError(f"resume={folder}: a file of the run is damaged (overrides.yaml or summary.json)")
        overrides = parsed_overrides([str(text) for text in told], folder / "overrides.yaml")
        self.told = [override for override in overrides if not re.match(NOT_FOR_A_FOLDER, key_of(override))]
        self.overrides = [override.input_line or "" for override in self.told]

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
        sources = dict(flat(OmegaConf.to_container(cfg)))  # type: ignore[arg-type]
        changes = []
        for key in [key for key in {**then, **now} if key not in ELSEWHERE and not key.startswith("sweep.")]:
            if now.get(key) == then.get(key):
                continue
            source = str(sources.get(key, ""))
            if is_computed(sources, source):  # which may hold a secret
                changes.append(f"{shown(key)} is what {shown(source)} gives, which was something else")
            else:
                changes.append(f"{shown(key)} is {shown(str(now.get(key)))}, was {shown(str(then.get(key)))}")
        return changes


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
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
        told = changes[:MOST_CHANGES] + [f"and {len(changes) - MOST_CHANGES} more"] * (len(changes) > MOST_CHANGES)
        raise UserError(f"resume={value}: conf/ has changed since the run was started: {'; '.join(told)}")
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
