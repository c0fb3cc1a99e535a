"""All pictures: measured at the end of a run, kept in its folder, drawn from there whenever they are asked for."""

import io
import logging
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from kindling.containment import follow_no_link
from kindling.errors import UserError, shown
from kindling.figure import Figure, style
from kindling.folders import read_course, write_whole
from kindling.pictures import (
    confusion,
    curves,
    decision,
    dependence,
    examples,
    first_layer,
    hidden,
    importance,
    labels,
    loss_surface,
    members,
    mistakes,
    network,
    predictions,
    reliability,
    roc,
    stuck,
    weights,
)
from kindling.pictures.about import About

if TYPE_CHECKING:
    from kindling.pictures.seen import Found, Seen

log = logging.getLogger(__name__)

WORDS = {"test": "test", "val": "validation"}
MOST_BYTES = 5_000_000  # of data.npz, packed
MOST_UNPACKED = 2**26  # bytes of one array that is read


class Picture(Protocol):
    """A module of this room."""

    def measure(self, seen: "Seen") -> "Found | None":
        """None where there is no such picture of this model and these data."""

    def draw(self, found: "Found", about: About) -> Figure: ...


PICTURES: Mapping[str, Picture] = {  # in the order in which they are shown
    "members": members,
    "stuck_members": stuck,
    "decision": decision,
    "hidden_layer": hidden,
    "predictions": predictions,
    "loss_surface": loss_surface,
    "weights": weights,
    "network": network,
    "confusion": confusion,
    "roc": roc,
    "reliability": reliability,
    "labels": labels,
    "worst_mistakes": mistakes,
    "importance": importance,
    "dependence": dependence,
    "first_layer": first_layer,
    "examples": examples,
}
MODULES: Mapping[str, Any] = {"learning_curves": curves, **PICTURES}  # the first is drawn from metrics.csv too


def captions(split: str = "test") -> dict[str, str]:
    """What one sees in each picture of those rows, and how to read it, by its name."""
    said = {name: str(getattr(module, "SAYS", "")) for name, module in MODULES.items()}
    return {name: re.sub(r"\btest (?=row|image)", f"{WORDS[split]} ", text) for name, text in said.items() if text}


def measure(seen: "Seen") -> "dict[str, Found]":
    """What each picture is drawn from, by its name."""
    found = {}
    for name, picture in MODULES.items():
        try:
            arrays = picture.measure(seen)
        except Exception as error:  # a model may answer with anything; the other pictures are measured
            reason = shown(f"{type(error).__name__}: {error}", 300)
            log.warning("WARNING: there is no picture %s: it cannot be measured (%s)", name, reason)
            continue
        if arrays:
            found[name] = arrays if seen.split == "test" else {**arrays, "split": np.array(WORDS[seen.split])}
    return found


def keep(folder: Path, found: "Mapping[str, Found]") -> None:
    """In `folder`/data.npz, which numpy reads without pickles."""
    flat = {f"{name}/{key}": value for name, arrays in found.items() for key, value in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **flat)  # type: ignore[arg-type]
    if buffer.tell() > MOST_BYTES:
        raise UserError(f"figures/data.npz: would take {buffer.tell():,} bytes, and {MOST_BYTES:,} are the most")
    folder.mkdir(exist_ok=True)
    write_whole(folder / "data.npz", buffer.getvalue())


def read(folder: Path) -> "dict[str, Found]":
    """What `keep` has written; nothing where there is no such file.

    Raises:
        UserError: where it is damaged, or larger than any that Kindling writes.
    """
    path = folder / "data.npz"
    if not path.exists():
        return {}
    try:
        with open(path, "rb", opener=follow_no_link) as file:
            if any(member.file_size > MOST_UNPACKED for member in zipfile.ZipFile(file).infolist()):
                raise UserError(f"{path}: holds more than Kindling ever writes")
            file.seek(0)
            arrays = dict(np.load(file, allow_pickle=False))
    except (ValueError, OSError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is damaged ({shown(str(error))})") from None
    found: dict[str, Any] = {}
    for key, value in arrays.items():
        name, _, of_it = key.partition("/")
        found.setdefault(name, {})[of_it] = value
    return found


def draw(run_dir: Path) -> Iterator[tuple[str, Figure]]:
    """Every picture that the folder has something of, drawn from the folder alone.

    Raises:
        UserError: after all that can be drawn, where what the folder holds of others cannot.
    """
    about, found, problems = About.of(run_dir), read(run_dir / "figures"), []
    for name in MODULES:
        try:
            figure = draw_one(name, run_dir, found.get(name), about)
        except UserError as error:
            problems.append(str(error))
            continue
        if figure is not None:
            yield name, figure
    if problems:
        raise UserError("\n".join(problems))


def draw_one(name: str, run_dir: Path, found: "Found | None", about: About) -> Figure | None:
    """None where the folder has nothing of it."""
    try:
        if name != "learning_curves":
            return None if found is None else drawn(PICTURES[name], found, about)
        if not (run_dir / "metrics.csv").exists():
            return None
        return learning_curves(pd.read_csv(io.StringIO(read_course(run_dir))), found or {}, about)
    except UserError:
        raise
    except Exception as error:  # a file that was made up, or predictions that are not finite
        of = "metrics.csv" if found is None else "figures/data.npz"
        reason = shown(f"{type(error).__name__}: {error}")
        raise UserError(f"{run_dir}/{of}: of {name} nothing can be drawn ({reason})") from error


def drawn(picture: Picture, found: "Found", about: About) -> Figure:
    """In the style of all, with the rows that were measured in its words and what it is of below."""
    with style():
        figure = picture.draw(found, replace(about, split=str(found.get("split", about.split))))
        figure.caption(about.caption)
    return figure


def learning_curves(course: pd.DataFrame, found: "Found", about: About) -> Figure | None:
    """Likewise, of metrics.csv; None where there is nothing to draw."""
    with style():
        figure = curves.draw(course, found, about)
        if figure is not None:
            figure.caption(about.caption)
    return figure
