"""The command line, checked against conf/ before anything heavy is imported. Every mistake is told at once."""

import argparse
import os
import re
import secrets
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config import foreign
from kindling.config.flags import read_flags
from kindling.config.help import groups
from kindling.config.overrides import choosing, combinations, parse, value_problems, values_of
from kindling.config.places import with_place
from kindling.config.quoting import quoted, typed
from kindling.config.resume import find_run
from kindling.config.sources import Source, check_flags, split
from kindling.config.sweep_record import read_record
from kindling.config.told import check_place, key_of, parsed_overrides
from kindling.config.topics import topic
from kindling.config.tree import tree
from kindling.errors import UserError, listed, shown, some, told_in_a_sentence
from kindling.folders import CONF

# `${unique:}` in a folder's name: two runs that start in the same second do not share it.
OmegaConf.register_new_resolver("unique", lambda: secrets.token_hex(3), use_cache=True, replace=True)

FOREIGN = r"allowed_packages|sweep\.storage|sweep\..*_target_"  # what only the command line may hold
HARMLESS = r"hydra/launcher=(basic|processes)|hydra\.launcher\.n_jobs=\d+"  # overrides of Hydra that a folder may hold


def check_command_line(config_dir: Path, config_name: str, argv: list[str], usage: str = "") -> list[str]:
    """The arguments for Hydra: `argv`, or with `resume=RUN` those of that run and then `argv`.

    Exits with one message that names every mistake among the overrides, or, where `argv` asks for help, with the
    `usage` and the options of each group.
    """
    with told_in_a_sentence():
        args = read_flags(argv)
        source = source_of(args, config_dir, config_name)
        if args.help or args.hydra_help or args.cfg or args.info or args.tree or args.shell_completion:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # what only prints ends quietly where nobody reads on
        if args.help and args.overrides:
            for name in args.overrides:
                print(*topic(name, source), sep="\n")
            sys.exit()
        if args.help:
            print(usage, *groups(source), sep="\n")  # Hydra takes twice as long
            sys.exit()
        if args.hydra_help or args.shell_completion:
            return argv
        with source.opened():
            overrides, problems = check_overrides(args.overrides, source, args.multirun)
            if problems:
                raise UserError(listed(problems))
            if args.tree:
                print(*tree(source.name, overrides), sep="\n")
                sys.exit()
    return [*(word for word in argv if word not in args.overrides), *overrides]


def source_of(args: argparse.Namespace, config_dir: Path, config_name: str) -> Source:
    """Where the flags say that the config is. A path is meant from where train.py is, as Hydra has it."""
    path = str(config_dir)
    if args.config_path:
        is_package = args.config_path.startswith("pkg://")
        path = args.config_path if is_package else str(config_dir.parent / args.config_path)
    given = [text for text in args.overrides if text.startswith("hydra.searchpath=")]
    return Source(path, args.config_name or config_name, args.config_dir, given[0] if given else None)  # as Hydra


def check_overrides(texts: list[str], source: Source, multirun: bool = False) -> tuple[list[str], list[str]]:
    """What to compose the config from: `texts`, or with `resume=RUN` those of that run and then `texts`; and every
    mistake among them. The source is open.

    Raises:
        UserError: where there is nothing to go on with.
    """
    problems: list[str] = []
    texts = [with_place(override) for override in parse(texts, problems)]
    overrides = list(parse(texts, problems))
    resumed = _resumed(source, overrides, multirun)
    if resumed is not None:
        overrides = [said.override for said in resumed.said]
        texts = [said.text for said in resumed.said]
    choices = choosing(overrides)
    options = list(combinations(choices, problems))
    values, told = [override for override in overrides if override not in choices], set(map(_key_of, problems))
    problems += _config_problems(source, options, values, told)
    settings = [o.input_line or "" for o in overrides if o.key_or_group.startswith("hydra.")]
    if not problems:  # the folder can wait until the rest is right: composing takes a while
        problems += _folder_problems(source.name, [*options[0], *settings], "sweep" if multirun else "run")
    if not multirun and all(override.key_or_group != "sweep.trial" for override in overrides):
        problems += [f"{o.input_line}: needs the flag -m" for o in overrides if of_sweep(o)]
        problems += [
            f"{o.input_line}: several values need the flag -m{one_text(o)}" for o in overrides if o.is_sweep_override()
        ]
    if resumed is not None and not problems:
        resumed.check(source.name)
    return texts, problems


def _resumed(source: Source, overrides: list[Override], multirun: bool) -> foreign.Resumed | None:
    """What is gone on with, where something is."""
    values = {override.key_or_group: override.value() for override in overrides}
    if values.get("sweep.resume") is not None:
        return _with_sweep(source, str(values["sweep.resume"]), overrides)
    if values.get("resume") is not None and "LOCAL_RANK" not in os.environ:
        return _with_run(source, overrides, multirun)
    return None


def _config_problems(
    source: Source, options: list[list[str]], values: list[Override], told: Collection[str]
) -> list[str]:
    """Keys and values that do not fit any combination of the options; of those that have been `told`, nothing more."""
    of_hydra = [override for override in values if override.key_or_group.startswith("hydra.")]
    of_task = [override for override in values if override not in of_hydra]
    problems: list[str] = []
    for chosen in options:
        try:
            cfg = compose(source.name, chosen, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            problems.append(sentence(error))
            continue
        job: Any = OmegaConf.to_container(cfg)
        hydra = job.pop("hydra")
        if source.name != "train":  # which is then the user's own
            problems += _primary_problems(source.name, job, hydra)
        problems += value_problems(job, of_task, told)
        problems += _hydra_problems(hydra, of_hydra)
    return problems


def _primary_problems(name: str, job: dict[str, Any], hydra: dict[str, Any]) -> Iterator[str]:
    """What it has not taken over from conf/train.yaml."""
    settings = OmegaConf.load(CONF / "train.yaml").keys() - {"defaults", "hydra"}
    missing = sorted(str(key) for key in settings - job.keys())
    if hydra["runtime"]["choices"].get("hydra/sweeper") != "study":
        missing.append("hydra/sweeper: study")
    if missing:
        yield f"--config-name={name}: has no {some(missing)}; begin it with defaults: [train, _self_]"


def _hydra_problems(hydra: dict[str, Any], overrides: list[Override]) -> Iterator[str]:
    option = hydra["runtime"]["choices"]["hydra/launcher"]
    for override in overrides:
        if option == "basic" and override.key_or_group.startswith("hydra.launcher."):
            yield f"{override.input_line}: does nothing without a launcher; give one too: hydra/launcher=processes"
        else:
            yield from value_problems({"hydra": hydra}, [override])


def _key_of(problem: str) -> str:
    return re.split("[=:]", problem)[0].lstrip("+~")


def _with_run(source: Source, overrides: list[Override], multirun: bool) -> foreign.Resumed | None:
    """The run to go on with, where there is one."""
    value = next(override for override in overrides if override.key_or_group == "resume").value()
    rest = [override for override in overrides if override.key_or_group != "resume"]
    texts = [override.input_line or "" for override in rest]
    if multirun:
        raise UserError(f"resume={value}: goes on with one run, without -m")
    folders = ["outputs", *(str(override.value()) for override in rest if override.key_or_group == "hydra.run.dir")]
    run = find_run(str(value), source, texts, [Path(folder) for folder in folders])
    if run is None:
        return foreign.Resumed([foreign.Said(override, by_user=True) for override in rest], Path())
    chosen = [o for o in choosing(rest) if o.input_line not in run.overrides and value != "auto"]
    kept = compose(source.name, run.overrides, return_hydra_config=True).hydra.runtime.choices if chosen else {}
    for override in chosen:
        if override.is_delete() or str(override.value()) != str(kept.get(override.key_or_group)):
            raise UserError(
                f"{override.input_line}: a run that goes on keeps its {override.key_or_group}; "
                f"to start another from its weights: init_from={value}"
            )
    start = str(value) if str(value).endswith(".ckpt") else run.folder
    place = parse([f"resume={quoted(start)}", f"hydra.run.dir={quoted(run.folder)}"], [])
    told = [] if value == "auto" else run.told  # what is typed is the same config, and trusted
    found = parse([text for text in run.found if text not in [override.input_line for override in told]], [])
    return foreign.Resumed(foreign.merge([*told, *found], [*rest, *place]), run.folder / "overrides.yaml")


def _with_sweep(source: Source, value: str, overrides: list[Override]) -> foreign.Resumed:
    """The sweep to go on with. What is executed is not for its folder to say."""
    folder = Path(value)
    if (folder / "sweep.yaml").exists():
        check_place(folder, shared=True)
    record = read_record(folder)
    flags, command = split(record.command)
    check_flags(flags, source.flags, "-m", f"sweep.resume={value}")
    told = parsed_overrides(command, folder / "sweep.yaml")
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
    if first.startswith("Error merging override"):
        return f"{first.removeprefix('Error merging override ')}: {str(error.__cause__).partition(chr(10))[0]}"
    if found := re.match("Multiple values for .* use 'override (.*): (.*)'", first):
        return f"+{found[1]}={found[2]}: there is one already; leave out the +"
    options = [line.strip() for line in rest if line.startswith("\t")]
    return f"{first} ({some(options)})" if options and "must specify" in first else first


def one_text(override: Override) -> str:
    """What to type where the comma belongs to a name, as it may in those of columns."""
    texts = override.key_or_group.startswith("data.") and all(isinstance(v, str) for v in values_of(override))
    return f"; as one text: {typed(override.input_line or '')}" if texts else ""


def of_sweep(override: Override) -> bool:
    return override.key_or_group.split(".")[0] == "sweep"


def _folder_problems(config_name: str, settings: list[str], kind: str) -> Iterator[str]:
    """A setting that Hydra does not take, or a folder for the run or sweep that cannot be written to."""
    try:
        folder = compose(config_name, settings, return_hydra_config=True).hydra[kind].dir
    except (HydraException, OmegaConfBaseException) as error:
        yield sentence(error)
        return
    existing = Path(folder).absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield f"hydra.{kind}.dir={folder}: cannot be written to ({os.strerror(error.errno or 0)})"
