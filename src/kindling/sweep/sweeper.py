"""`python train.py -m`: what the command sweeps, checked and written down before the first job."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.distributions import distribution_to_json
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from kindling.config.resume import flat
from kindling.config.since import filled_in
from kindling.config.sources import Source, extend
from kindling.config.sweep_record import Record, by_key, differences, read_record
from kindling.containment import check_contained, is_name
from kindling.errors import UserError, shown, some
from kindling.files import read_yaml
from kindling.folders import write_whole
from kindling.process import quiet
from kindling.sweep.checks import check, job_configs
from kindling.sweep.loader import SweepConfigLoader
from kindling.sweep.running import Sweep
from kindling.sweep.space import read_space
from kindling.sweep.startup import notes
from kindling.sweep.study import Queue, SeededByTrial, open_study
from kindling.text import in_terminal, in_width

NOT_OF_THE_LAUNCHER = ("hydra.mode", "hydra.sweep.", "hydra.searchpath")
OF_A_JOB = ("sweep.name", "sweep.trial", "hydra.sweep.dir", "hydra.sweep.subdir")  # set by the sweep itself


def sweep(config: DictConfig, arguments: list[str], hydra_context: HydraContext, task: TaskFunction) -> None:
    """Do what is left of the sweep that the arguments describe, in its folder.

    Raises:
        UserError: before the first job, where the sweep or one of its jobs makes no sense, or is not the one that the
            folder holds.
        SystemExit: with a sentence and code 1 where jobs failed; with 128 + the signal after Ctrl-C and SIGTERM.
    """
    quiet()
    settings, folder = config.sweep, Path(config.hydra.sweep.dir)
    extend(hydra_context.config_loader, config.hydra.job.config_name, config.hydra.overrides.hydra)
    option = config.hydra.runtime.choices.sweep
    check_settings(config)
    if (folder / "sweep.yaml").exists():
        check_contained(folder, shared=True)
    space = read_space(arguments, hydra_context.config_loader, option == "grid", texts_of(folder))
    loader = SweepConfigLoader(hydra_context.config_loader, [*space.swept, *OF_A_JOB])
    trials = space.grid() if option == "grid" else [{}] * (settings.n_trials or 0)
    record = Record(
        name=settings.name,
        command=[*Source.of_app(config.hydra).flags, *arguments],
        hydra=[text for text in config.hydra.overrides.hydra if not text.startswith(NOT_OF_THE_LAUNCHER)],
        sweep=option,
        objectives=objectives_of(config),
        n_trials=min(settings.n_trials or len(trials), len(trials)),
        space={key: distribution_to_json(distribution) for key, distribution in space.swept.items()},
    )
    if settings.resume or not (folder / "sweep.yaml").exists():
        check(config, space, loader)
    context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    record = claim(folder, record, job_configs(config, space, loader))
    modes = list(record.objectives.values())
    study = open_study(folder, record.name, settings.storage, make_sampler(settings.sampler), modes)
    name_objectives(study, list(record.objectives))
    queue = Queue(study, folder, space)
    for number, lack in queue.add(trials[: record.n_trials]).items():
        print(f"job {number} is done again: {folder / str(number)} has no {lack}", flush=True)
    for note in [] if settings.quiet else notes(option, settings.sampler, record.n_trials, space):
        print(in_width(note) if in_terminal() else note, flush=True)
    Sweep(folder, record, space, queue, launcher, config).run()


def texts_of(folder: Path) -> list[str]:
    """The swept keys whose values the study in the folder holds as texts: of a sweep from before there were numbers."""
    if not (folder / "sweep.yaml").exists():
        return []
    choices = {
        key: json.loads(text)["attributes"].get("choices", [0]) for key, text in read_record(folder).space.items()
    }
    return [key for key, values in choices.items() if all(isinstance(value, str) for value in values)]


def name_objectives(study: Study, names: list[str]) -> None:
    """For other clients of the study, to which the first would be "Objective 0"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if study.metric_names != names:
            study.set_metric_names(names)


def claim(folder: Path, record: Record, configs: dict[str, dict[str, Any]]) -> Record:
    """The record of the sweep that the folder is for from now on, or has been for: its name and command stay.

    Raises:
        UserError: where the folder holds the sweep of another command, or conf/ has changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".start.lock"):
        if (folder / "sweep.yaml").exists():
            then = read_record(folder)
            changes = differences(by_key(record.command), by_key(then.command))
            if not changes:
                configs_then: Any = read_yaml(folder / "config.yaml", len(configs))
                now = dict(flat(configs))
                changes = differences(now, filled_in(dict(flat(configs_then)), now))
            if changes:
                told = some(changes, "; ")
                raise UserError(f"{folder} holds another sweep: {told}; choose another sweep.name, or undo that")
            if record.n_trials < then.n_trials:
                raise UserError(
                    f"sweep.n_trials={record.n_trials}: the sweep has {then.n_trials} jobs; it can only grow"
                )
            record = replace(record, name=then.name, command=then.command)
        else:
            write_whole(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(configs)))
        record.write(folder)
    return record


def check_settings(config: DictConfig) -> None:
    """Raises:
    UserError: where a setting of the sweep makes no sense.
    """
    settings, objectives = config.sweep, objectives_of(config)
    if not isinstance(settings.name, str | int) or not is_name(str(settings.name)):
        raise UserError(
            f"sweep.name={shown(str(settings.name))}: should name a folder in outputs/sweeps, like lr or mnist/lr; "
            "hydra.sweep.dir=FOLDER puts a sweep elsewhere"
        )
    for key in ("n_trials", "max_failures", "batch_size"):
        value = settings[key]
        if value is not None and (type(value) is not int or value < 1):
            raise UserError(f"sweep.{key}={value}: should be a whole number from 1, or null")
    n_jobs = config.hydra.launcher.get("n_jobs", 1)
    if type(n_jobs) is not int or n_jobs < 1:
        raise UserError(f"hydra.launcher.n_jobs={n_jobs}: should be a whole number from 1")
    if not isinstance(objectives, dict) or any(mode not in ("min", "max") for mode in objectives.values()):
        raise UserError(f"sweep.objectives={objectives}: should give min or max for each name, like {{val/loss: min}}")
    if not isinstance(settings.quiet, bool):
        raise UserError(f"sweep.quiet={settings.quiet}: should be true or false")
    searches = config.hydra.runtime.choices.sweep != "grid"
    if config.monitor is None and ((searches and not settings.objectives) or settings.pruner != "none"):
        raise UserError("monitor=null: leaves a search nothing to judge jobs by; set monitor, or sweep.objectives")
    if settings.pruner not in settings.pruners:
        raise UserError(f"sweep.pruner={settings.pruner}: should be one of {', '.join(settings.pruners)}")
    if len(objectives) > 1 and settings.pruner != "none":
        raise UserError(f"sweep.pruner={settings.pruner}: judges by one objective, and there are {len(objectives)}")


def objectives_of(config: DictConfig) -> Any:
    """Without a monitor, jobs are told apart by their time alone."""
    by_default = {config.monitor: config.mode} if config.monitor else {"seconds": "min"}
    return OmegaConf.to_container(config.sweep.objectives or OmegaConf.create(by_default))


def make_sampler(node: DictConfig) -> BaseSampler:
    if "seed" not in node:
        return instantiate(node)
    return SeededByTrial(lambda seed: instantiate(node, seed=seed), node.seed)
