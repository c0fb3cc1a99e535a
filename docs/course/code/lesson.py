"""What the scripts of the lessons end with."""

import io
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kindling.figure import Figure

COURSE = Path(__file__).parents[1]
PROJECT = COURSE.parents[1]
BEGAN = time.monotonic()


def leave(
    page: str,
    tables: Mapping[str, str],
    figures: "Mapping[str, Callable[[], Figure | bytes]] | None" = None,
    seeds: str = "seed 0",
) -> None:
    """Print the tables. With --write put each into its block of the page too, below all what they were made with, and
    draw the figures: of the defaults, which the page is about.
    """
    print(*tables.values(), sep="\n\n")
    if "--write" not in sys.argv:
        return
    if sys.argv[1:] != ["--write"]:
        sys.exit("error: --write goes with no other argument: the page is about the defaults")
    from kindling.figure import style
    from kindling.studies.page import put

    script = Path(sys.argv[0]).stem
    told = (
        f"Tables of `docs/course/code/{script}.py --write`: {seeds}, {time.monotonic() - BEGAN:.0f} s on {machine()}."
    )
    for name, text in {**tables, f"made by {script}": told}.items():
        put(COURSE / page, name, text)
    with style():
        for name, draw in (figures or {}).items():
            save(name, draw())


def machine(*packages: str) -> str:
    """Processor, versions of torch and of those packages, and revision; the day."""
    from kindling.studies.table import processor, revision

    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", *packages))
    changed = git("status", "--porcelain", "--", "*.py", "*.yaml")  # pages change while they are written
    code = revision({"revision": git("rev-parse", "HEAD"), "dirty": bool(changed)})
    return f"{processor()}; {versions}; revision {code}; {date.today()}"


def git(*command: str) -> str:
    return subprocess.run(["git", *command], capture_output=True, text=True, cwd=PROJECT).stdout.strip()


def save(name: str, drawn: "Figure | bytes", colours: int = 200) -> None:
    """As docs/course/figures/`name`.png, of few colours, which is small."""
    from PIL import Image

    png = drawn if isinstance(drawn, bytes) else drawn.png()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(colours)
    picture.save(COURSE / "figures" / f"{name}.png", optimize=True)
