"""Numbers, durations and dates for people."""

import math
from datetime import datetime
from typing import Any


def short(value: Any, digits: int = 4) -> str:
    """Few significant digits, whole numbers whole."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "" if value is None else str(value)
    if math.isfinite(value) and value % 1 == 0 and abs(value) < 1e12:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(text: Any) -> str:
    """A date of a summary, to the minute; nothing where it is none."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""
