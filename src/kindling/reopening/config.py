"""The config of a finished run, made ready to build its model and data from: trusted, confined, and with overrides."""

import copy
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kindling.config.checks import ACCELERATORS, SETTINGS, problems
from kindling.config.overrides import PARTS, changed
from kindling.config.sizes import size_problems
from kindling.errors import UserError, listed, shown
from kindling.folders import CONF
from kindling.trust import targets
from kindling.trust.confinement import confined

EVALUATED_WITH = {"_target_", "accelerator", "precision", "limit_test_batches"}  # keys of the trainer
ONE_DEVICE = {
    "devices": 1,
    "strategy": "auto",
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
}


def reopened(
    saved: dict[str, Any],
    checkpoint: Path,
    run_dir: Path,
    overrides: Sequence[str] = (),
    allowed_packages: Collection[str] | None = None,
) -> DictConfig:
    """The config that a checkpoint says its run had, with `overrides`, and without what is for training alone.

    It goes on one device: that of the run, or another where there is none such.

    Raises:
        UserError: where it names or reaches what a checkpoint may not, or an override is a mistake.
    """
    packages, settings = own_settings(overrides, allowed_packages)
    new: dict[str, Any] = {section: {} for section in targets.BUILT_OF_PARTS}  # which older runs do not have
    saved = {**new, **settings, **copy.deepcopy(saved), "callbacks": {}, "logger": {}, "param_groups": {}}
    nameless = [
        f"{key}: names no class"
        for key in targets.BUILT
        if not (key in PARTS and saved.get(key) is None)
        and (not isinstance(saved.get(key), dict) or "_target_" not in saved[key])
    ]
    if isinstance(saved.get("trainer"), dict):
        saved["trainer"] = evaluating(saved["trainer"])
    for text in overrides:
        clear(saved, text.lstrip("+~").partition("=")[0])  # what the user sets, the checkpoint has no say in
    check_test(saved, overrides)
    foreign = nameless or targets.problems(saved, packages)
    if foreign:
        raise UserError(f"{checkpoint} was not opened: {listed(foreign)}")
    saved = confined(saved, run_dir, Path(os.environ.get("KINDLING_DATA", "data")))
    cfg = changed(CONF, {**saved, "allowed_packages": list(packages)}, overrides)
    given = {text.lstrip("+~").partition("=")[0] for text in overrides}
    cfg.trainer.update({key: value for key, value in ONE_DEVICE.items() if f"trainer.{key}" not in given})
    workers = cfg.data.get("num_workers")
    if type(workers) is int and "data.num_workers" not in given:  # as many as suited the machine that it was trained on
        cfg.data.num_workers = min(workers, os.cpu_count() or 1)
    mistakes = problems(cfg) or size_problems(OmegaConf.to_container(cfg))
    if mistakes:
        raise UserError(listed(mistakes))
    return cfg


def check_test(saved: dict[str, Any], overrides: Sequence[str]) -> None:
    """Raises:
    UserError: where other data are given, and those of the run's own test would be used all the same.
    """
    given = dict(text.lstrip("+~").split("=", 1) for text in overrides if "=" in text)
    test = saved["data"].get("test_path") if isinstance(saved.get("data"), dict) else None
    if "data.path" in given and "data.test_path" not in given and test:
        path = given["data.path"]
        raise UserError(
            f"data.path={path}: the test of the run is data.test_path={shown(str(test))}; give data.test_path={path} "
            "too for the test on all of these rows, or data.test_path=null for one on a part of them"
        )


def own_settings(
    overrides: Sequence[str], allowed_packages: Collection[str] | None
) -> tuple[Collection[str], dict[str, Any]]:
    """The packages that the user allows, and this project's settings, for those that the run did not have yet."""
    own: Any = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml")) if CONF.exists() else {}
    packages = own.get("allowed_packages", []) if allowed_packages is None else allowed_packages
    for text in overrides:
        if text.startswith("allowed_packages="):
            given: Any = OmegaConf.to_container(OmegaConf.from_dotlist([text]))
            packages = given["allowed_packages"]
            if not isinstance(packages, list):
                raise UserError(f"{text}: should be a list of names, like allowed_packages=[my_project]")
    return packages, {key: own[key] for key in SETTINGS if key in own and key != "run_dir"}


def evaluating(trainer: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in trainer.items() if key in EVALUATED_WITH and not isinstance(value, dict)}
    accelerator = ACCELERATORS.get(str(kept.get("accelerator")))
    if accelerator and not accelerator.is_available():
        kept["accelerator"] = "auto"
    return {**kept, **ONE_DEVICE}


def clear(node: Any, key: str) -> None:
    """Set what is at a dotted key to null, where it is there."""
    *sections, name = key.split(".")
    for section in sections:
        node = node.get(section) if isinstance(node, dict) else None
    if isinstance(node, dict) and name in node:
        node[name] = None
