"""The command line, checked against conf/ before anything heavy is imported. Every mistake is told at once."""

import itertools
import math
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.errors import UserError, did_you_mean, listed
from kindling.resume import find_run, quoted

# `${unique:}` in a folder's name: two runs that start in the same second do not share it.
OmegaConf.register_new_resolver("unique", lambda: secrets.token_hex(3), use_cache=True, replace=True)

# Keys whose default value is of one type of several that their signature takes; the signature is checked later.
SEVERAL_TYPES = {"trainer.devices", "data.target", "data.device_resident", "steps_per_call"}
OPTIONAL_GROUPS = {"experiment", "debug"}
REPLACEABLE = ("data", "loss", "trainer")  # groups of which a finished run can be given another option


def check_command_line(config_dir: Path, config_name: str, argv: list[str], usage: str = "") -> list[str]:
    """The arguments for Hydra: `argv`, or with `resume=RUN` those of that run and then `argv`.

    Exits with one message that names every mistake among the overrides, or, where `argv` asks for help, with the
    `usage` and the options of each group.
    """
    args = get_args_parser().parse_args(argv)
    if args.help:
        print(usage, "Groups (conf/GROUP/OPTION.yaml)\n", *_groups(config_dir), sep="\n")  # Hydra takes twice as long
        sys.exit()
    asks_hydra = args.hydra_help or args.info or args.shell_completion
    if asks_hydra or args.config_path or args.config_name or args.config_dir:
        return argv  # Hydra answers, or reads another config than the one known here
    problems: list[str] = []
    with initialize_config_dir(str(config_dir.absolute()), version_base="1.3"):
        overrides = list(_parse(args.overrides, problems))
        if any(override.key_or_group == "resume" for override in overrides) and "LOCAL_RANK" not in os.environ:
            try:
                resumed = _with_run(config_name, overrides, args.multirun)
            except UserError as error:
                sys.exit(f"error: {error}")
            argv = [*(word for word in argv if word not in args.overrides), *resumed]
            overrides = list(_parse(resumed, problems))
        for choices in _combinations([o for o in overrides if _options(o)], problems):
            try:
                cfg = compose(config_name, choices, return_hydra_config=True)
            except (HydraException, OmegaConfBaseException) as error:
                problems.append(str(error).splitlines()[0])
                continue
            job: Any = OmegaConf.to_container(cfg)
            del job["hydra"]
            problems += _value_problems(job, [o for o in overrides if not _options(o)])
        settings = [o.input_line or "" for o in overrides if o.key_or_group.startswith("hydra.")]
        if settings or not problems:  # the default folder can wait until the rest is right: composing takes a while
            problems += _hydra_problems(config_name, settings, "sweep" if args.multirun else "run")
        if not args.multirun:
            problems += [f"{o.input_line}: several values need the flag -m" for o in overrides if o.is_sweep_override()]
    if problems:
        sys.exit(f"error: {listed(problems)}")
    return argv


def _with_run(config_name: str, overrides: list[Override], multirun: bool) -> list[str]:
    """The overrides of the run to go on with, those given now, and its folder."""
    value = next(override for override in overrides if override.key_or_group == "resume").value()
    rest = [override for override in overrides if override.key_or_group != "resume"]
    texts = [override.input_line or "" for override in rest]
    if value is None:
        return texts
    if multirun:
        raise UserError(f"resume={value}: goes on with one run, without -m")
    folders = ["outputs", *(str(override.value()) for override in rest if override.key_or_group == "hydra.run.dir")]
    run = find_run(str(value), config_name, texts, [Path(folder) for folder in folders])
    if run is None:
        return texts
    new = [] if value == "auto" else texts
    for override in rest:
        if new and _options(override):
            raise UserError(
                f"{override.input_line}: a run that goes on keeps its {override.key_or_group}; "
                f"to start another from its weights: init_from={value}"
            )
    start = str(value) if str(value).endswith(".ckpt") else run.folder
    return [*run.overrides, *new, f"resume={quoted(start)}", f"hydra.run.dir={quoted(run.folder)}"]


def _groups(config_dir: Path) -> Iterator[str]:
    for group in sorted(path for path in config_dir.iterdir() if path.is_dir()):
        yield f"{group.name}: {', '.join(sorted(file.stem for file in group.glob('*.yaml')))}"


def _parse(texts: list[str], problems: list[str]) -> Iterator[Override]:
    parser = OverridesParser.create()
    for text in texts:
        try:
            yield parser.parse_override(text)
        except HydraException:
            problems.append(f"{text}: not of the form key=value (quote values with special characters: 'key=\"a b\"')")


def _options(override: Override) -> list[str]:
    """The options of the config group that the override chooses from; empty where it sets a value."""
    loader = GlobalHydra.instance().config_loader()
    return [] if "." in override.key_or_group else loader.get_group_options(override.key_or_group)


def _values(override: Override) -> list[Any]:
    """The value, or all that a sweep goes through; nothing where only Hydra can tell (intervals, globs)."""
    if not override.is_sweep_override():
        return [override.value()]
    if override.is_discrete_sweep() and override.value_type is not ValueType.GLOB_CHOICE_SWEEP:
        return list(override.sweep_iterator())
    return []


def _combinations(choices: list[Override], problems: list[str]) -> Iterator[list[str]]:
    """Every combination of the options that exist, as overrides."""
    texts = []
    for override in choices:
        if override.is_delete():
            texts.append([override.input_line or ""])
            continue
        group, options, valid = override.key_or_group, _options(override), []
        for value in _values(override):
            names = value if isinstance(value, list) else [value]
            if value is None and group in OPTIONAL_GROUPS:
                continue
            wrong = [name for name in names if str(name) not in options]
            if wrong or not names:
                named = ["null" if name is None else str(name) for name in wrong or ["[]"]]
                problems += [
                    f"{group}={name}: no such option{did_you_mean(name, options)} "
                    f"({group} is one of {', '.join(options)})"
                    for name in named
                ]
            else:
                listed = f"[{','.join(names)}]" if isinstance(value, list) else value
                valid.append(f"{(override.input_line or '').split('=')[0]}={listed}")
        texts.append(valid or [""])
    for combination in itertools.product(*texts):
        yield [text for text in combination if text]


def _hydra_problems(config_name: str, settings: list[str], kind: str) -> Iterator[str]:
    """A setting of Hydra that it does not know, or a folder for the run or sweep that cannot be written to."""
    try:
        folder = compose(config_name, settings, return_hydra_config=True).hydra[kind].dir
    except (HydraException, OmegaConfBaseException) as error:
        yield str(error).splitlines()[0]
        return
    existing = Path(folder).absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield f"hydra.{kind}.dir={folder}: cannot be written to ({os.strerror(error.errno or 0)})"


def _value_problems(cfg: dict[str, Any], overrides: list[Override]) -> Iterator[str]:
    defaults = dict(_flat(cfg))
    for override in overrides:
        key = override.key_or_group
        if key.startswith("hydra."):
            continue  # Hydra's own: composed by itself
        added = override.is_add() or override.is_force_add()
        if added and any(isinstance(defaults.get(ancestor), dict) for ancestor in _ancestors(key)):
            defaults.setdefault(key, None)
        if key not in defaults:
            yield f"{key}: no such key{did_you_mean(key, defaults)}"
        elif key in defaults and not override.is_delete() and key not in SEVERAL_TYPES:
            for value in _values(override):
                yield from _type_problems(key, defaults[key], value)
    given = {override.key_or_group for override in overrides}
    for key, default in defaults.items():
        if default == "???" and key not in given:
            yield f"{key}: a value is required, as in {key}=..."


def _ancestors(key: str) -> Iterator[str]:
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every full key below `node` with its value, sections included."""
    for key, value in node.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


def _type_problems(key: str, default: Any, value: Any) -> Iterator[str]:
    """A value of another kind than the default in the YAML; null and interpolations fit everything."""
    if default is None or value is None or "${" in str(default) or "${" in str(value) or default == "???":
        return
    shown = str(value).lower() if isinstance(value, bool) else value
    if isinstance(default, bool):
        if not isinstance(value, bool | int):  # a count where the signature takes one too
            yield f"{key}={shown}: should be true or false"
    elif isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            yield f"{key}={shown}: should be a number, like {default}"
    elif isinstance(default, list):
        if not isinstance(value, list):
            yield f"{key}={shown}: should be a list, like [{', '.join(map(str, default))}]"
    elif isinstance(default, dict):
        yield f"{key}={shown}: is a section with the keys {', '.join(map(str, default))}"
    elif isinstance(value, list | dict):
        yield f"{key}={shown}: should be a single value, like {default}"


def changed(config_dir: Path, config: dict[str, Any], texts: Sequence[str]) -> DictConfig:
    """The `config` of a finished run with overrides: of values, or of its data, loss or trainer by options of conf/.

    Raises:
        UserError: with every mistake.
    """
    if not texts:
        return OmegaConf.create(config)
    problems: list[str] = []
    with initialize_config_dir(str(config_dir.absolute()), version_base="1.3"):
        overrides = list(_parse(list(texts), problems))
        choices = [o for o in overrides if _options(o)]
        problems += [f"{o.input_line}: one value is needed, not several" for o in overrides if o.is_sweep_override()]
        problems += [
            f"{o.input_line}: a finished run keeps its {o.key_or_group}; only {', '.join(REPLACEABLE)} can be replaced"
            for o in choices
            if o.key_or_group not in REPLACEABLE or o.is_delete()
        ]
        for combination in _combinations(choices, problems) if choices and not problems else []:
            composed: Any = OmegaConf.to_container(compose("train", combination))
            config = {**config, **{o.key_or_group: composed[o.key_or_group] for o in choices}}
    values = [o for o in overrides if o not in choices]
    problems += [] if problems else _value_problems(config, values)
    if problems:
        raise UserError(listed(problems))
    cfg = OmegaConf.create(config)
    for override in values:
        if override.is_delete():
            section, _, name = override.key_or_group.rpartition(".")
            del (OmegaConf.select(cfg, section) if section else cfg)[name]
        else:
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    return cfg
