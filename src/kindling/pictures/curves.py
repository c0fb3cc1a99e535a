"""Learning curves, of whatever a run has logged."""

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kindling.figure import Figure
from kindling.folders import SPREADS
from kindling.pictures.about import About

if TYPE_CHECKING:
    from kindling.pictures.seen import Found, Seen

STAGES = {"train": "training", "val": "validation", "valid": "validation", "validation": "validation"}
NO_SCORE = ("epoch", "step", "lr")
COLUMNS = 4  # panels in a row


def measure(seen: "Seen") -> "Found | None":
    """What validation measured before training; the rest is in metrics.csv."""
    start = seen.trace.start
    return {"names": np.array(list(start)), "values": np.array(list(start.values()))} if start else None


def draw(metrics: pd.DataFrame, found: "Found", about: About) -> Figure | None:
    """One panel a score, training against validation, over epochs, or over steps where an epoch has several rows.

    Of a population the mean, in a band of one standard deviation, in a lighter band of all members. None where there is
    nothing to draw.
    """
    panels = panels_of(metrics)
    if not panels or not metrics["step"].any():  # the latter: weights that were measured and not trained
        return None
    width, height = min(len(panels), COLUMNS), -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4 * width, 3.2 * height), layout="constrained")
    places = figure.subplots(height, width, squeeze=False).flatten()
    over = "step" if metrics["epoch"].duplicated().any() else "epoch"
    for axes, (name, curves) in zip(places, panels.items(), strict=False):
        for column, label in curves.items():
            draw_curve(axes, metrics.dropna(subset=[column]), over, column, label)
        if "loss" in name and all(metrics[column].min() > 0 for column in curves):
            axes.set_yscale("log")
        axes.set(xlabel=over, ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if any(curves.values()):
            axes.legend()
    for axes in places[len(panels) :]:
        axes.axis("off")
    return figure


def panels_of(metrics: pd.DataFrame) -> dict[str, dict[str, str]]:
    """By score, its columns, each with its label: `train/acc` and `val_acc` are both acc; `fid` is of no stage."""
    panels: dict[str, dict[str, str]] = {}
    for column in map(str, metrics.select_dtypes("number")):
        spread = any(column.endswith(end) and column.removesuffix(end) in metrics for end in SPREADS)
        if column in NO_SCORE or spread or metrics[column].isna().all():
            continue
        match = re.fullmatch(r"(train|val|valid|validation)[/_](.+)|(.+)[/_](train|val|valid|validation)", column)
        stage, name = (match[1] or match[4], match[2] or match[3]) if match else ("", column)
        panels.setdefault(name, {})[column] = STAGES.get(stage, "")
    # Training before validation, so that it has the same colour in every figure.
    return {name: dict(sorted(curves.items(), key=lambda curve: curve[1])) for name, curves in panels.items()}


def draw_curve(axes: Axes, metrics: pd.DataFrame, over: str, name: str, label: str) -> None:
    places, mean = metrics[over], metrics[name]
    (line,) = axes.plot(places, mean, marker="." if len(metrics) < 30 else "", label=label)
    if f"{name}_std" in metrics:
        lowest, highest, deviation = (metrics[f"{name}_{kind}"] for kind in ("min", "max", "std"))
        low, high = np.maximum(mean - deviation, lowest), np.minimum(mean + deviation, highest)
        axes.fill_between(places, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        axes.fill_between(places, lowest, highest, color=line.get_color(), alpha=0.12, linewidth=0)
