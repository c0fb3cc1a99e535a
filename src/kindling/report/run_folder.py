"""The folder of a run, as a page shows it. Any of its files may be missing, damaged, or still being written."""

import csv
import io
import math
from functools import cached_property
from pathlib import Path
from typing import Any

from kindling.errors import UserError
from kindling.files import MAX_TEXT, check_file, read_json, read_yaml
from kindling.folders import SPREADS, near, number, part, read_course, read_overrides, read_summary
from kindling.pictures.course import is_rate, is_score, parted

Columns = dict[str, list[float | None]]

MOST_FILES = 200


class RunFolder:
    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.summary = read_summary(self.folder)
        self.status = str(self.summary["status"])

    @cached_property
    def overrides(self) -> list[str]:
        return read_overrides(self.folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._read("config.yaml")

    def __str__(self) -> str:
        return near(self.folder.absolute())

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = (read_json if name.endswith(".json") else read_yaml)(self.folder / name)
        except (OSError, UserError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        data = part(self.summary, "data").get("name")
        return f"{self.summary.get('model') or 'a run'}{f' on {data}' if data else ''}"

    def scores(self) -> dict[str, float]:
        """What the test measured."""
        found = {str(name): number(value) for name, value in part(self.summary, "metrics").items()}
        return {name: value for name, value in found.items() if value is not None and not name.endswith(SPREADS)}

    def best(self) -> tuple[str, float] | None:
        """The monitored metric and its best value."""
        monitor = part(self.summary, "monitor")
        value = number(monitor.get("best"))
        return (str(monitor.get("name")), value) if monitor.get("name") and value is not None else None

    def seconds(self) -> float:
        values = map(number, part(self.summary, "seconds").values())
        return sum(value for value in values if value is not None and math.isfinite(value))

    def columns(self, most: int) -> Columns:
        """Of metrics.csv; of more rows than `most`, evenly chosen ones and the last."""
        try:
            rows = list(csv.reader(io.StringIO(read_course(self.folder))))
        except (OSError, UserError, csv.Error):
            return {}
        header, rows = rows[0], rows[1:]
        every = -(-len(rows) // most) or 1
        rows = [*rows[::every], *(rows[-1:] if (len(rows) - 1) % every else [])]
        return {name: [float(row[place]) if row[place] else None for row in rows] for place, name in enumerate(header)}

    def pictures(self) -> list[tuple[str, str, bytes]]:
        """Name, caption and content, of a picture in both formats the PNG."""
        folder, captions = self.folder / "figures", self._read("figures/captions.json")
        paths = {path.stem: path for ending in ("svg", "png") for path in folder.glob(f"*.{ending}")}
        found = []
        for name, path in sorted(paths.items()):
            try:
                check_file(path, MAX_TEXT)
                content = b"" if path.is_symlink() else path.read_bytes()  # what a link leads to is none of the run's
            except (OSError, UserError):
                continue
            if content.startswith(b"\x89PNG") or (path.suffix == ".svg" and content):
                words = name.replace("_", " ")
                found.append((name, str(captions.get(name) or words[:1].upper() + words[1:]), content))
        return found

    def files(self) -> list[tuple[str, int]]:
        """Those that are no hidden ones, with their sizes in bytes."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            try:
                if not path.is_symlink() and path.is_file() and not name.startswith(".") and "/." not in name:
                    found.append((name, path.stat().st_size))
            except OSError:  # of a run that is at work: gone since
                continue
        return found


def panels(columns: Columns) -> dict[str, dict[str, str]]:
    """By score, its columns, each with its label: `train/acc` and `val_acc` are both acc; `fid` is of no stage."""
    found: dict[str, dict[str, str]] = {}
    for column, values in columns.items():
        if not is_score(column, columns) or all(value is None for value in values):
            continue
        stage, name = parted(column)
        found.setdefault(name, {})[column] = stage or column
    # Training before validation, so that it has the same colour everywhere; the learning rate last.
    return {name: dict(sorted(found[name].items(), key=lambda at: at[1])) for name in sorted(found, key=is_rate)}


def places(columns: Columns) -> tuple[str, list[float | None]]:
    """What curves are drawn over: epochs, or steps where an epoch has several rows."""
    epochs = columns.get("epoch", [])
    over = "step" if "step" in columns and len(set(epochs)) < len(epochs) else "epoch"
    return over, columns.get(over, [])
