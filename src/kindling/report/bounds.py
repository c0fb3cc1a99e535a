"""Whether a search has looked far enough: the best value may lie where the space ends."""

import math
from typing import Any

import pandas as pd

from kindling.report.axes import number
from kindling.report.importances import is_numeric
from kindling.report.sweep_folder import SweepFolder
from kindling.report.tables import completed, settings

NEAR = 0.05  # of an interval, on the axis that it was drawn on
FEWEST = 3  # values of a list: of two one is always at its end


def at_bounds(sweep: SweepFolder, frame: pd.DataFrame) -> list[str]:
    """A sentence for each parameter of which the best setting has a value at the bound of those that were tried."""
    if len(sweep.objectives) > 1 or completed(sweep, frame)[next(iter(sweep.objectives))].nunique() < 2:
        return []
    found = settings(sweep, frame)
    told = []
    for key in sweep.settings:
        if not len(found) or not is_numeric(found[key]):
            continue
        best, fields = float(found[key].iloc[0]), sweep.space[key].get("attributes", {})
        side, where = bound(best, fields, found[key])
        if side:
            more = "larger" if side == "upper" else "smaller"
            told.append(f"The best {key}, {number(best)}, {where}: a {more} one may do better.")
    return told


def bound(best: float, fields: dict[str, Any], values: pd.Series) -> tuple[str, str]:
    """Which, and in words; nothing where the value lies within."""
    if "low" in fields:
        low, high = float(fields["low"]), float(fields["high"])
        if not low <= best <= high or low == high:
            return "", ""
        ends = [math.log(value) if fields.get("log") else value for value in (low, best, high)]
        at = (ends[1] - ends[0]) / (ends[2] - ends[0])
        side = "lower" if at <= NEAR else "upper" if at >= 1 - NEAR else ""
        return side, f"lies at the {side} bound of its interval, {number(low)} to {number(high)}"
    if values.nunique() < FEWEST or values.min() < best < values.max():
        return "", ""
    side = "upper" if best == values.max() else "lower"
    return side, f"is the {'largest' if side == 'upper' else 'smallest'} of the values that were tried"
