"""What a run has logged, by panel of its learning curves. Without pandas: pages are made of it too."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kindling.folders import SPREADS

if TYPE_CHECKING:
    import pandas as pd

STAGES = {"train": "training", "val": "validation", "valid": "validation", "validation": "validation"}
STAGE = re.compile(r"(train|val|valid|validation)[/_](.+)|(.+)[/_](train|val|valid|validation)")
WORDS = {
    "acc": "accuracy",
    "auroc": "area under the ROC curve",
    "average_precision": "average precision",
    "calibration_error": "calibration error",
    "exact": "rows with all labels right",
    "f1": "F1 score",
    "mae": "mean absolute error",
    "mape": "mean absolute percentage error",
    "mcc": "Matthews correlation",
    "mse": "mean squared error",
    "pearson": "Pearson correlation",
    "r2": "R²",
    "rmse": "root mean squared error",
    "top_k": "accuracy among the likeliest",
}
ERRORS = re.compile(r"loss|error|norm|perplexity|divergence|learning rate", re.IGNORECASE)  # shown by their decades
IN_UNITS = ("mae", "rmse")  # of the target


@dataclass
class Panel:
    """The `lines` of one score: columns, each with its label."""

    name: str
    lines: dict[str, str] = field(default_factory=dict)

    def title(self, unit: str = "") -> str:
        return WORDS.get(self.name, self.name) + (f"\n({unit})" if unit and self.name in IN_UNITS else "")


def panels_of(metrics: "pd.DataFrame") -> tuple[list[Panel], list[Panel]]:
    """Those of the scores: `train/acc` and `val_acc` are both acc; `fid` is of no stage. Then those of the rest:
    learning rates and norms of gradients.
    """
    scores: dict[str, Panel] = {}
    rest: dict[str, Panel] = {}
    for column in map(str, metrics.select_dtypes("number")):
        if not is_score(column, metrics) or metrics[column].isna().all():
            continue
        if is_rate(column):
            rest.setdefault("learning rate", Panel("learning rate")).lines[column] = column
        elif match := re.fullmatch(r"grad_norm(_max)?(_\d+)?|(grad_norm_\d+)_max", column):
            largest = bool(match[1] or match[3])
            panel = rest.setdefault("gradient norm", Panel("gradient norm"))
            panel.lines[column] = f"largest {column.replace('_max', '')}" if largest else f"mean {column}"
        else:
            stage, name = parted(column)
            scores.setdefault(name, Panel(name)).lines[column] = stage
    for panel in scores.values():  # training before validation
        panel.lines = dict(sorted(panel.lines.items(), key=lambda line: line[1]))
    return list(scores.values()), [rest[name] for name in ("learning rate", "gradient norm") if name in rest]


def is_score(column: str, columns: "Collection[str] | pd.DataFrame") -> bool:
    """Not where and when it was measured, nor how far the members of a population lie apart in another column."""
    spread = any(column.endswith(end) and column.removesuffix(end) in columns for end in SPREADS)
    return column not in ("epoch", "step") and not spread


def is_rate(column: str) -> bool:
    return bool(re.fullmatch(r"lr([-/_].+)?", column))


def parted(column: str) -> tuple[str, str]:
    """Stage and score: `train/acc` is training and acc; `fid` is of no stage."""
    found = STAGE.fullmatch(column)
    stage, name = (found[1] or found[4], found[2] or found[3]) if found else ("", column)
    return STAGES.get(stage, ""), name.removesuffix("_epoch")  # as Lightning calls what it logs by the step as well
