"""`resume=RUN` on the command line: the run goes on in its folder, with the overrides that it was started with.

The rest of a run's config is composed anew. What the folder says is not trusted: overrides of Hydra's own are refused,
and the others are held against what the user says (foreign.py).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config.overrides import PARTS
from kindling.config.places import located, names_a_place, written
from kindling.config.quoting import quoted
from kindling.config.since import filled_in
from kindling.config.sources import Source, check_flags, split
from kindling.config.told import check_place, is_computed, key_of, parsed_overrides
from kindling.errors import UserError, shown, some
from kindling.files import read_json, read_yaml
from kindling.folders import read_summary
from kindling.locks import holds, is_locked, let_go, take
from kindling.process import is_first
from kindling.trust.plain import plain_problems

MAX_OVERRIDES = 200
MAX_LENGTH = 2_000  # characters of one
ELSEWHERE = {"resume", "allowed_packages", "data.data_dir"}  # keys that say how or where, not what a run is
NOT_FOR_A_FOLDER = r"allowed_packages$|run_dir$|resume$|sweep($|[./])"  # to say: what may be built, and where it is


class Started:
    """What the folder of a run says about it, read without torch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.found: list[str] = []  # of its data, as overrides: see changes()
        for name in ("overrides.yaml", "config.yaml", "summary.json"):
            if not (folder / name).exists():
                raise UserError(f"resume={folder}: is not the folder of a run: it has no {name}")
        check_place(folder)
        try:
            told: Any = read_yaml(folder / "overrides.yaml")
            config: Any = read_yaml(folder / "config.yaml")
            self.config: dict[str, Any] = config
            self.run_dir = str(config["run_dir"])
            self.summary: dict[str, Any] = read_json(folder / "summary.json")
        except UserError as error:
            raise UserError(f"resume={folder}: {error}") from None
        except Exception as error:  # whatever a damaged file makes a parser say
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"resume={folder}: a file of the run is damaged ({shown(reason)})") from None
        for problem in plain_problems(self.config):
            raise UserError(f"resume={folder}: config.yaml is damaged ({problem})")
        if not isinstance(told, list) or not isinstance(self.summary, dict):
            raise UserError(f"resume={folder}: a file of the run is damaged (overrides.yaml or summary.json)")
        check_length(folder, [str(text) for text in told])
        self.flags, texts = split(map(str, told))
        overrides = parsed_overrides(texts, folder / "overrides.yaml")
        self.told = [override for override in overrides if not re.match(NOT_FOR_A_FOLDER, key_of(override))]
        self.overrides = [override.input_line or "" for override in self.told]

    def is_running(self) -> bool:
        if holds(self.folder) or not is_first():
            return False
        try:
            return is_locked(self.folder / ".lock")
        except OSError:  # a folder that nobody can write to; whoever trains there will be told
            return False

    def take(self) -> bool:
        """Whether the run is this process's to go on with: of several that want to at once, it is one's alone."""
        if not is_first():
            return True
        try:
            taken = take(self.folder)
        except OSError:  # likewise
            return True
        if taken and read_summary(self.folder)["status"] == "completed":  # by the one before, just now
            let_go(self.folder)
            return False
        return taken

    def changes(self, config_name: str, overrides: list[str]) -> list[str]:
        """Where the config that the overrides compose today differs from that of the run.

        What the run has found of its data since is no difference, but is kept in `found`: where they are, wherever
        this command stands, and what `auto` came to.
        """
        try:
            cfg = compose(config_name, [*overrides, f"run_dir={quoted(self.run_dir)}"])
            for part in [part for part in PARTS if self.config.get(part, "") is None]:
                cfg[part] = None  # a section that the model does not take is left out of the record
            if self.config.get("optimizer", "") is None:
                cfg.param_groups = {}
            composed: Any = OmegaConf.to_container(cfg, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            return [str(error).splitlines()[0]]
        now, then = ({key: located(key, value) for key, value in flat(c)} for c in (composed, self.config))
        then = filled_in(then, now)
        given = {text.lstrip("+~").partition("=")[0] for text in overrides}
        of_data = [key for key in then if key.startswith("data.") and key not in ELSEWHERE]
        for key in [key for key in of_data if now.get(key, then[key]) != then[key]]:
            if now[key] == "auto" or (key not in given and names_a_place(key) and is_there(then[key])):
                now[key] = then[key]
                self.found.append(f"{key}={written(then[key])}")
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


def is_there(place: Any) -> bool:
    places = place if isinstance(place, list) else [place]
    return all(isinstance(path, str) and Path(path).is_absolute() and Path(path).exists() for path in places)


def check_length(folder: Path, overrides: list[str]) -> None:
    """Raises:
    UserError: where Hydra would take long over them: texts that nobody types.
    """
    for text in overrides:
        if len(text) > MAX_LENGTH:
            raise UserError(f"resume={folder}: overrides.yaml has one of {len(text):,} characters: {shown(text)}")
    if len(overrides) > MAX_OVERRIDES:
        raise UserError(f"resume={folder}: overrides.yaml holds more than a command line does")


def flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every full key with its value. An empty section has none: older runs may not have had it at all."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def find_run(value: str, source: Source, overrides: list[str], folders: list[Path]) -> Started | None:
    """The run that `resume=value` means; None where it is `auto` and there is nothing to go on with.

    Raises:
        UserError: where the value names no run, one that is still running, or one of another config than today's.
    """
    if value == "auto":
        return newest_unfinished(source.name, overrides, folders)
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
    check_flags(run.flags, source.flags, f"resume={value}")
    changes = run.changes(source.name, run.overrides)
    if changes:
        raise UserError(f"resume={value}: conf/ has changed since the run was started: {some(changes, '; ')}")
    return run


def newest_unfinished(config_name: str, overrides: list[str], folders: list[Path]) -> Started | None:
    summaries = [path for folder in folders for path in folder.glob("**/summary.json")]
    for path in sorted(summaries, key=lambda path: path.lstat().st_mtime, reverse=True):
        try:
            run = Started(path.parent)
        except UserError:
            continue
        unfinished = run.summary.get("status") != "completed" and not run.is_running()
        if unfinished and not run.changes(config_name, overrides) and run.take():
            return run
    return None
