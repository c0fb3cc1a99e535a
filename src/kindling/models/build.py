"""A model, made from its config and from what the data say of themselves."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

import lightning as L
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from kindling.config.construct import construct
from kindling.config.overrides import PARTS
from kindling.config.signatures import signature, wanted
from kindling.data.setup import attribute
from kindling.errors import UserError
from kindling.models.chosen import make_metrics
from kindling.models.param_groups import Grouped, describe, grouped
from kindling.models.schedule import Schedule


def model_maker(
    cfg: DictConfig,
    datamodule: L.LightningDataModule,
    known: Mapping[str, Any] = MappingProxyType({}),
    within: AbstractContextManager[Any] = nullcontext(),  # noqa: B008  # it holds nothing
) -> tuple[Callable[[], L.LightningModule], dict[str, Any]]:
    """What makes the model; and what it is told of the data, of which `known` comes from a checkpoint.

    The parts of the model are made `within` a context, such as a budget.

    Raises:
        UserError: where the model wants to know what nobody says.
    """
    node: Any = OmegaConf.to_container(cfg.model, resolve=True)
    told: dict[str, Any] = {}
    of_parts: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, required in wanted(node).items():
        if name in PARTS:
            if cfg[name] is not None:
                known_to_part = told_to(name, cfg, datamodule, known)
                of_parts |= known_to_part
                with within:
                    parts[name] = construct(name, cfg[name], **known_to_part)
        elif name == "metrics":
            if cfg.metrics or required:
                task = known.get("task") or attribute(datamodule, "task", False)
                with within:
                    parts[name] = make_metrics(cfg.metrics, task)
        elif name == "monitor":
            parts[name] = cfg.monitor
        else:
            value = known[name] if name in known else attribute(datamodule, name, required)
            if value is not None:
                told[name] = value
        if required and name not in parts and name not in told:
            raise missing(cfg, name)
    if "scheduler" in parts and isinstance(parts["scheduler"], partial):
        parts["scheduler"] = Schedule(parts["scheduler"])
    if "optimizer" in parts:
        parts["optimizer"] = grouped(parts["optimizer"], OmegaConf.to_container(cfg.param_groups, resolve=True))  # type: ignore[arg-type]
    with within:
        make = construct("model", cfg.model, _partial_=True, **parts, **told)

    def make_model() -> L.LightningModule:
        try:
            model = make()
        except TypeError as error:
            for name in PARTS:  # of a base class, of which nobody knows what a subclass hands on to it
                if cfg[name] is None and "required" in str(error) and f"'{name}'" in str(error):
                    raise missing(cfg, name) from None
            raise
        if not isinstance(model, L.LightningModule):
            kind = type(model).__name__
            raise UserError(f"model: {cfg.model._target_} makes a {kind}, and a LightningModule is needed")
        if isinstance(parts.get("scheduler"), Schedule):
            parts["scheduler"].model = model
        if isinstance(parts.get("optimizer"), Grouped):
            parts["optimizer"].describe = partial(describe, model)
        return model

    return make_model, {**told, **of_parts}


def told_to(part: str, cfg: DictConfig, datamodule: L.LightningDataModule, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a loss whose classes have weights is told of them."""
    if part != "loss" or cfg.loss.get("class_weights") is None:
        return {}
    if "class_counts" not in signature(get_object(cfg.loss._target_)):  # of a loss of the user's own
        return {}
    if "class_counts" in known:
        return {"class_counts": known["class_counts"]}
    counts = attribute(datamodule, "class_counts", needed=cfg.loss.class_weights == "balanced")
    return {} if counts is None else {"class_counts": counts}


def missing(cfg: DictConfig, name: str) -> UserError:
    where = f"choose {name}=..." if name in PARTS else f"neither the config nor {cfg.data._target_} has it"
    return UserError(f"model.{name}: a value is required by {cfg.model._target_}, and {where}")
