"""The command line, checked against conf/ before anything heavy is imported. Every mistake is told at once."""

import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config import foreign
from kindling.config.overrides import choosing, combinations, parse, value_problems
from kindling.config.resume import find_run, quoted
from kindling.config.sweep_record import read_record
from kindling.config.told import check_place, key_of, parsed_overrides
from kindling.errors import UserError, listed, shown, told_in_a_sentence

# `${unique:}` in a folder's name: two runs that start in the same second do not share it.
OmegaConf.register_new_resolver("unique", lambda: secrets.token_hex(3), use_cache=True, replace=True)

FOREIGN = r"allowed_packages|sweep\.storage|sweep\..*_target_"  # what only the command line may hold
HARMLESS = r"hydra/launcher=(basic|processes)|hydra\.launcher\.n_jobs=\d+"  # overrides of Hydra that a folder may hold


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
    with told_in_a_sentence(), initialize_config_dir(str(config_dir.absolute()), version_base="1.3"):
        overrides, problems = check_overrides(args.overrides, config_name, args.multirun)
        if problems:
            raise UserError(listed(problems))
    return [*(word for word in argv if word not in args.overrides), *overrides]


def check_overrides(texts: list[str], config_name: str, multirun: bool = False) -> tuple[list[str], list[str]]:
    """What to compose the config from: `texts`, or with `resume=RUN` those of that run and then `texts`; and every
    mistake among them. Hydra's config folder has been set.

    Raises:
        UserError: where there is nothing to go on with.
    """
    problems: list[str] = []
    overrides = list(parse(texts, problems))
    resumed = _resumed(config_name, overrides, multirun)
    if resumed is not None:
        overrides = [said.override for said in resumed.said]
        texts = [said.text for said in resumed.said]
    choices = choosing(overrides)
    options = list(combinations(choices, problems))
    problems += _config_problems(config_name, options, [override for override in overrides if override not in choices])
    settings = [o.input_line or "" for o in overrides if o.key_or_group.startswith("hydra.")]
    of_hydra = bool(settings) or any(o.key_or_group.startswith("hydra/") for o in choices)
    if of_hydra or not problems:  # the default folder can wait until the rest is right: composing takes a while
        chosen = options[0] if options else []
        problems += _hydra_problems(config_name, [*chosen, *settings], "sweep" if multirun else "run")
    if not multirun and all(override.key_or_group != "sweep.trial" for override in overrides):
        problems += [f"{o.input_line}: needs the flag -m" for o in overrides if of_sweep(o)]
        problems += [f"{o.input_line}: several values need the flag -m" for o in overrides if o.is_sweep_override()]
    if resumed is not None and not problems:
        resumed.check(config_name)
    return texts, problems


def _resumed(config_name: str, overrides: list[Override], multirun: bool) -> foreign.Resumed | None:
    """What is gone on with, where something is."""
    values = {override.key_or_group: override.value() for override in overrides}
    if values.get("sweep.resume") is not None:
        return _with_sweep(str(values["sweep.resume"]), overrides)
    if values.get("resume") is not None and "LOCAL_RANK" not in os.environ:
        return _with_run(config_name, overrides, multirun)
    return None


def _config_problems(config_name: str, options: list[list[str]], values: list[Override]) -> list[str]:
    """Keys and values that do not fit any combination of the options."""
    problems: list[str] = []
    for chosen in options:
        try:
            cfg = compose(config_name, chosen, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            problems.append(sentence(error))
            continue
        job: Any = OmegaConf.to_container(cfg)
        del job["hydra"]
        problems += value_problems(job, values)
    return problems


def _with_run(config_name: str, overrides: list[Override], multirun: bool) -> foreign.Resumed | None:
    """The run to go on with, where there is one."""
    value = next(override for override in overrides if override.key_or_group == "resume").value()
    rest = [override for override in overrides if override.key_or_group != "resume"]
    texts = [override.input_line or "" for override in rest]
    if multirun:
        raise UserError(f"resume={value}: goes on with one run, without -m")
    folders = ["outputs", *(str(override.value()) for override in rest if override.key_or_group == "hydra.run.dir")]
    run = find_run(str(value), config_name, texts, [Path(folder) for folder in folders])
    if run is None:
        return foreign.Resumed([foreign.Said(override, by_user=True) for override in rest], Path())
    chosen = [o for o in choosing(rest) if o.input_line not in run.overrides and value != "auto"]
    kept = compose(config_name, run.overrides, return_hydra_config=True).hydra.runtime.choices if chosen else {}
    for override in chosen:
        if override.is_delete() or str(override.value()) != str(kept.get(override.key_or_group)):
            raise UserError(
                f"{override.input_line}: a run that goes on keeps its {override.key_or_group}; "
                f"to start another from its weights: init_from={value}"
            )
    start = str(value) if str(value).endswith(".ckpt") else run.folder
    place = parse([f"resume={quoted(start)}", f"hydra.run.dir={quoted(run.folder)}"], [])
    told = [] if value == "auto" else run.told  # what is typed is the same config, and trusted
    return foreign.Resumed(foreign.merge(told, [*rest, *place]), run.folder / "overrides.yaml")


def _with_sweep(value: str, overrides: list[Override]) -> foreign.Resumed:
    """The sweep to go on with. What is executed is not for its folder to say."""
    folder = Path(value)
    if folder.is_dir():
        check_place(folder, shared=True)
    record = read_record(folder)
    told = parsed_overrides(record.command, folder / "sweep.yaml")
    given = {key_of(override) for override in overrides}
    for override in told:
        text = override.input_line or ""
        if re.match(FOREIGN, text.lstrip("+~ ")) and key_of(override) not in given:
            raise UserError(f"sweep.resume={value}: sweep.yaml may not hold {shown(text)}; give it again")
    launcher = [] if "hydra/launcher" in given else record.hydra
    if not all(re.fullmatch(HARMLESS, text) for text in launcher):
        raise UserError(
            f"sweep.resume={value}: was run with {shown(' '.join(launcher))}; give that again, or hydra/launcher=..."
        )
    place = [
        f"sweep.n_trials={record.n_trials}",
        f"sweep.name={quoted(record.name)}",
        f"hydra.sweep.dir={quoted(value)}",
    ]
    return foreign.Resumed(
        foreign.merge([*parse(launcher, []), *told, *parse(place, [])], overrides), folder / "sweep.yaml"
    )


def sentence(error: Exception) -> str:
    """What Hydra says of a config that it cannot compose; of a group without a default, with the options."""
    first, *rest = str(error).splitlines()
    options = [line.strip() for line in rest if line.startswith("\t")]
    return f"{first} ({', '.join(options)})" if options and "must specify" in first else first


def of_sweep(override: Override) -> bool:
    return override.key_or_group.split(".")[0] == "sweep"


def _groups(config_dir: Path) -> Iterator[str]:
    options: dict[str, list[str]] = {}
    for file in sorted(config_dir.glob("*/**/*.yaml")):
        options.setdefault(file.parent.relative_to(config_dir).as_posix(), []).append(file.stem)
    for group, names in options.items():
        yield f"{group}: {', '.join(names)}"


def _hydra_problems(config_name: str, settings: list[str], kind: str) -> Iterator[str]:
    """A setting of Hydra that it does not know, or a folder for the run or sweep that cannot be written to."""
    try:
        folder = compose(config_name, settings, return_hydra_config=True).hydra[kind].dir
    except (HydraException, OmegaConfBaseException) as error:
        hint = " Give the launcher too: hydra/launcher=processes" if "'hydra.launcher." in str(error) else ""
        yield sentence(error) + hint
        return
    existing = Path(folder).absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield f"hydra.{kind}.dir={folder}: cannot be written to ({os.strerror(error.errno or 0)})"
