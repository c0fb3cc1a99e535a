"""What there is to say of a run, before it and after it: for its summary, and in lines for the screen."""

import re
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from omegaconf import DictConfig
from torch.nn.parameter import is_lazy

from kindling import abilities
from kindling.config.asked import Asked
from kindling.data.identity import identity
from kindling.folders import near
from kindling.lightning_internals import epochs_begun, latest
from kindling.population.model import Population
from kindling.running.ending import ending

if TYPE_CHECKING:
    from kindling.running.best import Best
    from kindling.running.build import Parts


def before_training(
    cfg: DictConfig, asked: Asked, trainer: L.Trainer, datamodule: L.LightningDataModule, model: L.LightningModule
) -> dict[str, Any]:
    device = trainer.strategy.root_device
    model_name, data_name = asked.choice("model", cfg), asked.choice("data", cfg)
    return {
        "model": model_name,
        "parameters": count_parameters(model) // cfg.population,
        "population": cfg.population,
        "data": {
            "name": data_name,
            "source": abilities.source(datamodule),
            **identity(datamodule),
            "same_rows": abilities.same_rows(datamodule),
        },
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "num_devices": trainer.world_size,
        "loggers": {name: logger.version for name, logger in zip(cfg.logger, trainer.loggers, strict=False)},
    }


def after_training(cfg: DictConfig, parts: "Parts", best: "Best") -> dict[str, Any]:
    trainer, model = parts.trainer, parts.model
    monitor = {"name": cfg.monitor, "mode": cfg.mode, "best": best.score}
    if best.step is not None:
        monitor |= {"epoch": best.epoch, "step": best.step}
    if isinstance(model, Population) and model.best_values:
        member, scores = model.best_member, model.best_scores
        monitor["best_seed"] = model.seeds[member]
        monitor["best_member"] = float(scores[member])
        monitor["diverged"] = int((~scores.isfinite()).sum())
    facts = {
        "monitor": monitor,
        "ended": ending(trainer, parts.chosen) if cfg.train else {"early": False, "reason": "train=false"},
        "epochs": epochs_begun(trainer),
        "steps": trainer.global_step,
        "parameters": count_parameters(model) // cfg.population,
        "last_epoch": latest(trainer),
    }
    if len(trainer.optimizers) > 1:  # Lightning's count, which max_steps is held against
        facts["optimizers"] = len(trainer.optimizers)
    return facts


def count_parameters(model: L.LightningModule) -> int:
    """Those that are there: some layers are only made by configure_model, or by the first batch."""
    return sum(p.numel() for p in model.parameters() if not is_lazy(p))


def headline(run_dir: str, summary: dict[str, Any]) -> str:
    data, population, count = summary["data"], summary["population"], summary["parameters"]
    sizes = " / ".join(f"{size:,}" for size in data["sizes"].values())
    rows = f"{sizes}, the same rows" if data["same_rows"] else f"{sizes} rows"
    source = data["source"] and near(data["source"])
    known = ": ".join(filter(None, [source, rows if sizes else ""]))
    told = [f"{summary['model']} on {data['name']}{f' ({known})' if known else ''}"]
    if count:
        told.append(f"{count:,} parameters{f' x {population:,}' if population > 1 else ''}")
    return "\n".join([in_lines(", ".join([*told, device(summary)])), f"in {near(run_dir)}"])


def device(summary: dict[str, Any]) -> str:
    return summary["device"] if summary["num_devices"] == 1 else f"{summary['num_devices']} x {summary['device']}"


def in_lines(text: str) -> str:
    """For a terminal: broken after commas and semicolons alone."""
    first, *parts = re.split(r"(?<=[,;]) ", text)
    lines = [first]
    for part in parts:
        if len(f"{lines[-1]} {part}") <= 80:
            lines[-1] += f" {part}"
        else:
            lines.append(f"  {part}")
    return "\n".join(lines)
