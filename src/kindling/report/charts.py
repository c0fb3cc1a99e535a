"""The curves of one run or several, as the scripts of a page draw them (charts.js)."""

import math
from typing import Any

from kindling.folders import part
from kindling.palette import BLUE, GREY, VERMILLION
from kindling.report.frame import LINES
from kindling.report.run_folder import Columns, RunFolder, panels, places

STAGE_COLOURS = {"training": BLUE, "validation": VERMILLION}
MOST_POINTS = 2000  # of a line


def curves(run: RunFolder) -> list[dict[str, Any]]:
    """A chart a score, training against validation; of a population the mean, in a band of all members."""
    columns = run.columns(MOST_POINTS)
    over, at = places(columns)
    if len(at) < 2:
        return []
    best = part(run.summary, "monitor").get(over)
    specs = []
    for name, found in panels(columns).items():
        spare = iter(colour for colour in LINES if colour not in STAGE_COLOURS.values())
        lines = [
            line(columns, at, column, label, STAGE_COLOURS.get(label) or next(spare, GREY))
            for column, label in found.items()
        ]
        spec = {"title": name, "over": over, "lines": lines, "log": "loss" in name and spans_a_decade(columns, found)}
        specs.append(spec | {"sync": "run"} | ({"best": best} if isinstance(best, int) else {}))
    return specs


def line(columns: Columns, at: list[float | None], column: str, label: str, colour: str) -> dict[str, Any]:
    band = {}
    if f"{column}_min" in columns and f"{column}_max" in columns:
        band = {"low": columns[f"{column}_min"], "high": columns[f"{column}_max"]}
    return {"label": label, "colour": colour, "x": at, "y": columns[column], **band}


def spans_a_decade(columns: Columns, names: Any) -> bool:
    values = [value for name in names for value in columns[name] if value is not None and math.isfinite(value)]
    return bool(values) and min(values) > 0 and max(values) >= 10 * min(values)
