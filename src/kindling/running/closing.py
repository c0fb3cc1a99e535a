"""What is said of a run when it is over: how it went, where it is, and what can be done with it."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kindling.config.asked import Asked
from kindling.config.quoting import override
from kindling.errors import some
from kindling.folders import SPREADS, near
from kindling.running.facts import in_lines
from kindling.text import columns, in_terminal, shell_line


def closing(cfg: DictConfig, asked: Asked, summary: dict[str, Any]) -> str:
    return "\n".join(filter(None, [*scores(cfg, summary), in_lines(length(cfg, summary)), *whats_next(cfg, asked)]))


def scores(cfg: DictConfig, summary: dict[str, Any]) -> list[str]:
    """What the test measured; where there was none, the best of the validation."""
    metrics = summary["metrics"]
    if not metrics and cfg.monitor:
        metrics = {cfg.monitor: summary["monitor"]["best"]}
    spreads = {name + end for name in metrics for end in SPREADS} & metrics.keys()
    names = [name for name in metrics if name not in spreads]
    spread = {name: f" ± {metrics[f'{name}_std']:.2g}" if f"{name}_std" in spreads else "" for name in names}
    told = some((f"{name} {metrics[name]:.4g}{spread[name]}" for name in names), "  ")
    same_rows = summary["data"]["same_rows"] and told
    return ["tested on the same rows as it was trained on:" if same_rows else "", told]


def length(cfg: DictConfig, summary: dict[str, Any]) -> str:
    if not cfg.train:
        return "not trained"
    epochs, steps = f"{summary['epochs']} epoch{'s' * (summary['epochs'] != 1)}", f"{summary['steps']:,} steps"
    told = [steps] if cfg.trainer.get("max_epochs") == -1 else [epochs, steps]  # max_steps says how long it is
    if "optimizers" in summary:
        told[-1] += f" of {summary['optimizers']} optimizers together"
    told[-1] += f" in {summary['seconds']['fit']:.1f} s"
    if "samples_per_second" in summary:
        told.append(f"{summary['samples_per_second']:,} samples a second")
    early = f"\nended early: {summary['ended']['reason']}" if summary["ended"]["early"] else ""
    return ", ".join(told) + early


def whats_next(cfg: DictConfig, asked: Asked) -> list[str]:
    """The folder, and the commands that go on from there; none where nothing was saved."""
    folder = near(cfg.run_dir)
    told = [f"files:    {folder}"]
    if Path(cfg.run_dir, "checkpoints", "best.ckpt").exists():
        told.append(command("evaluate: ", ["python", "scripts/evaluate.py", folder]))
    if cfg.train and last(cfg).exists():
        told.append(command("train on: ", [*going_on(folder, asked), *longer(cfg)]))
    return told


def going_on(folder: str, asked: Asked) -> list[str]:
    return ["python", "train.py", *asked.flags, override("resume", folder)]


def longer(cfg: DictConfig) -> list[str]:
    """Twice as long, in what the length is given in."""
    for key in ("max_steps", "max_epochs"):
        value = cfg.trainer.get(key)
        if isinstance(value, int) and value > 0:
            return [f"trainer.{key}={2 * value}"]
    return []


def last(cfg: DictConfig) -> Path:
    """The checkpoint that the run goes on from."""
    return Path(cfg.run_dir, "checkpoints", "last.ckpt")


def stopped(cfg: DictConfig, asked: Asked) -> str:
    """By a signal."""
    if not last(cfg).exists():
        return f"stopped before anything was saved; {near(cfg.run_dir)} can be deleted"
    return "\n".join(["saved; to go on:", command("  ", going_on(near(cfg.run_dir), asked))])


def command(before: str, words: list[str]) -> str:
    """To be copied: in a terminal that is too narrow, a line for each of its words."""
    return shell_line(before, words, columns() if in_terminal() else None)
