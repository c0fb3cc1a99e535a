"""What the scripts of the lessons end with."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kindling.figure import Figure

COURSE = Path(__file__).parents[1]


def leave(page: str, tables: Mapping[str, str], figures: "Mapping[str, Callable[[], Figure]] | None" = None) -> None:
    """Print the tables; with --write put each into its block of the page too, and draw the figures."""
    print(*tables.values(), sep="\n\n")
    if "--write" not in sys.argv:
        return
    from kindling.figure import save, style
    from kindling.studies.page import put

    for name, text in tables.items():
        put(COURSE / page, name, text)
    with style():
        for name, draw in (figures or {}).items():
            save(COURSE / "figures", name, draw())
