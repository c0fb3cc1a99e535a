"""Where the config is: conf/train.yaml, and what --config-path, --config-name, --config-dir and hydra.searchpath say.

Hydra reads them by itself when it runs the app. Here they are read for the checks before that, and for the record: the
folder of a run says with which of them it was started. To give them again is for the user, since what is read with them
is not looked at like what a folder says.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from yaml import MarkedYAMLError

from kindling.errors import UserError, did_you_mean, shown
from kindling.folders import CONF

FLAG = r"--config-(path|name|dir)=|hydra\.searchpath="


@dataclass(frozen=True)
class Source:
    """Args:
    path: of the folder with the groups, or pkg://PACKAGE.
    name: of the file in it that says what a run is made of.
    more: a folder with more options.
    searchpath: as on the command line, `hydra.searchpath=[...]`.
    """

    path: str = str(CONF)
    name: str = "train"
    more: str | None = None
    searchpath: str | None = None

    @classmethod
    def of_app(cls, hydra: Any) -> "Source":
        """By the node `hydra` of a config that has been composed."""
        paths = {source.provider: source for source in hydra.runtime.config_sources}
        main, more = paths["main"], paths.get("command-line")
        path = main.path if main.schema == "file" else f"{main.schema}://{main.path}"
        given = [text for text in hydra.overrides.hydra if text.startswith("hydra.searchpath=")]
        return cls(path, hydra.job.config_name, more and more.path, given[0] if given else None)

    @property
    def flags(self) -> list[str]:
        """What to give train.py for it to find this config; nothing for conf/train.yaml."""
        elsewhere = self.path.startswith("pkg://") or Path(self.path).resolve() != CONF.resolve()
        return [
            *[f"--config-path={self.path}"] * elsewhere,
            *[f"--config-name={self.name}"] * (self.name != "train"),
            *([f"--config-dir={Path(self.more).absolute()}"] if self.more else []),
            *([self.searchpath] if self.searchpath else []),
        ]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hydra composes this config, and knows its options.

        Raises:
            UserError: where there is no such config.
        """
        if self.path.startswith("pkg://"):
            initialized: Any = initialize_config_module(self.path.removeprefix("pkg://"), version_base="1.3")
        else:
            if not Path(self.path).is_dir():
                raise UserError(f"--config-path={self.path}: there is no such folder")
            initialized = initialize_config_dir(str(Path(self.path).absolute()), version_base="1.3")
        with initialized:
            loader: Any = GlobalHydra.instance().config_loader()
            if self.more:
                self.check_folder(Path(self.more))
                add(loader, "command-line", [str(Path(self.more).absolute())])
            with readable():
                extend(loader, self.name, [self.searchpath] if self.searchpath else [])
                if loader.repository.load_config(self.name) is None:
                    names = [name for name in loader.get_group_options("") if not name.startswith("_")]
                    folders = " or ".join(filter(None, (self.path, self.more)))
                    raise UserError(f"--config-name={self.name}: is not in {folders}{did_you_mean(self.name, names)}")
                yield

    def check_folder(self, more: Path) -> None:
        """Raises:
        UserError: where there is none, or where it has a file of a name that is taken: Hydra reads the other one.
        """
        if not more.is_dir():
            raise UserError(f"--config-dir={more}: there is no such folder")
        for first in sorted(Path(self.path).glob("**/*.yaml")):
            file = more / first.relative_to(self.path)
            if file.is_file() and file.read_bytes() != first.read_bytes():
                raise UserError(f"{file}: would not be read, since {first} comes first; give it another name")


@contextmanager
def readable() -> Iterator[None]:
    """Raises:
    UserError: where a file of the config is no YAML.
    """
    try:
        yield
    except MarkedYAMLError as error:
        place = f"{error.problem_mark.name}, line {error.problem_mark.line + 1}" if error.problem_mark else "the config"
        raise UserError(f"{place}: is no YAML ({error.problem})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"a file of the config is no text: {error}") from None


def add(loader: Any, provider: str, paths: Iterable[str]) -> None:
    """To where the loader looks, in the place where Hydra puts them."""
    search_path = loader.get_search_path()
    for path in paths:
        search_path.prepend(provider, path, SearchPathQuery(provider="schema"))
    loader.repository.initialize_sources(search_path)


def extend(loader: ConfigLoader, name: str, overrides: Sequence[str]) -> None:
    """By hydra.searchpath of the overrides, or else of the config of that name: Hydra looks there when it composes, but
    not when it is asked for the options of a group.
    """
    given = [text for text in overrides if text.startswith("hydra.searchpath=")]
    value: Any = None
    if given:
        with suppress(HydraException):  # which is told with the other overrides
            value = OverridesParser.create().parse_override(given[0]).value()
    elif primary := loader.repository.load_config(name):  # type: ignore[attr-defined]
        value = OmegaConf.select(primary.config, "hydra.searchpath")
    if value is None:
        return
    if isinstance(value, str) or not (isinstance(value, Sequence) and all(isinstance(path, str) for path in value)):
        text = given[0] if given else f"hydra.searchpath={value}"
        raise UserError(f"{text}: should be a list, like [file:///FOLDER]")
    add(loader, "hydra.searchpath", value)
    for source in loader.get_sources():
        if not source.available():
            raise UserError(f"hydra.searchpath: there is no {source.path}")


def split(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """The flags among them, and the others."""
    all_words = list(words)
    found = [word for word in all_words if re.match(FLAG, word)]
    return found, [word for word in all_words if word not in found]


def check_flags(recorded: Sequence[str], now: Sequence[str], *command: str) -> None:
    """Raises:
    UserError: where one that was recorded is not given now. Its value may be another: folders move.
    """
    keys = {flag.partition("=")[0] for flag in now}
    missing = [flag for flag in recorded if flag.partition("=")[0] not in keys]
    if missing:
        again = shlex.join(["python", "train.py", *recorded, *command])
        raise UserError(
            f"{command[-1]}: was started with {shown(shlex.join(missing), 500)}; give that again: {shown(again, 1000)}"
        )
