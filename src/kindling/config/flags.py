"""Hydra's flags, such as -m and --cfg: which of them are given, and what cannot be."""

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

from kindling.errors import UserError
from kindling.version import __version__

SETTING = "a setting is written KEY=VALUE, without dashes"
COMMANDS = {
    **{"run": "--run", "cfg": "--cfg", "multirun": "-m"},
    **{"shell_completion": "--shell-completion", "info": "--info", "tree": "--tree"},
}


def read_flags(argv: Sequence[str]) -> argparse.Namespace:
    """Raises:
    UserError: where a flag is none, or does not go with another.
    """
    parser = get_args_parser()
    parser.add_argument("--tree", action="store_true")  # of ours: config/tree.py
    version: Any = parser._option_string_actions["--version"]
    version.version = f"Kindling {__version__}"
    parser.error = refuse  # type: ignore[method-assign]  # which else prints ten lines of usage
    flags = list(parser._option_string_actions)
    for word, following in pairwise([*argv, ""]):
        key, equals, value = word.partition("=")
        attached = not equals and word[:2] in flags  # -cjob is -c job
        if word.startswith("-") and not attached and not any(flag.startswith(key) for flag in flags):
            if not equals and not following.startswith("-") and "=" not in following:
                value = following
            raise UserError(f"{word}: {SETTING}: {key.lstrip('-')}={value or '...'}")
    args, unknown = parser.parse_known_intermixed_args(list(argv))  # settings and flags in any order
    for problem in problems(args, unknown):
        raise UserError(problem)
    return args


def refuse(message: str) -> NoReturn:
    raise UserError(f"{message.removeprefix('argument ')}; python train.py --hydra-help lists the flags, and {SETTING}")


def problems(args: argparse.Namespace, unknown: Sequence[str]) -> Iterator[str]:
    """Where Hydra ends in a traceback, or goes on as if nothing had been asked."""
    given = [flag for name, flag in COMMANDS.items() if getattr(args, name)]
    if unknown:
        yield f"{unknown[0]}: no such flag; {SETTING}"
    if args.experimental_rerun:
        yield (
            "--experimental-rerun: needs a pickle, which no run leaves behind; the command in a run's summary.json "
            "repeats it, resume=FOLDER goes on with it"
        )
    if len(given) > 1:
        yield f"{' and '.join(given)}: do not go together; leave out {given[-1] if '--run' in given else '-m'}"
    if args.cfg is None:
        yield from (f"--{name}: goes with --cfg job" for name in ("resolve", "package") if getattr(args, name))
    if args.cfg == "hydra" and args.resolve:
        yield "--resolve: goes with --cfg job or --cfg all, since Hydra's own part refers to the rest"
    for name in ("config_path", "config_name", "config_dir"):
        if getattr(args, name) == "":
            yield f"--{name.replace('_', '-')}: a value is required"
    completion = r"(un)?install=(bash|fish|zsh)|query=(bash|fish|zsh)"
    if args.shell_completion and not (len(args.overrides) == 1 and re.fullmatch(completion, args.overrides[0])):
        yield "--shell-completion: goes with install=SHELL or uninstall=SHELL, where SHELL is bash, fish or zsh"
