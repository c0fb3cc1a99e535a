"""The page over all runs and sweeps of a folder: to find, to sort, and to compare."""

import math
import time
from pathlib import Path
from typing import Any

from kindling.config.resume import flat
from kindling.config.tree import in_yaml
from kindling.errors import UserError
from kindling.folders import number, part, write_whole
from kindling.report.frame import LINES, Cell, Rows, document, paragraph, section, table, text
from kindling.report.numbers import duration, moment, short
from kindling.report.run_folder import Columns, RunFolder, panels, places
from kindling.report.sweep_folder import SweepFolder, objective

MOST_POINTS = 100  # of a curve
OF_SWEEPS = ("sweep", "jobs", "objective", "best", "swept", "started")
FIRST = ("tick", "run", "status", "model", "data", "monitor", "best", "course")
LAST = ("epochs", "seconds", "started")


def write_index(root: str | Path) -> Path:
    """index.html of the runs and sweeps in `root` and in the folders inside it.

    Raises:
        UserError: where there are none.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: is not the folder of a sweep or a run: there is no such folder")
    runs = [RunFolder(file.parent) for file in root.rglob("summary.json")]
    if not runs:
        raise UserError(f"{root}: is not the folder of a sweep or a run, nor one that holds some")
    runs.sort(key=lambda run: (str(run.summary.get("started") or ""), str(run.folder)), reverse=True)
    path = root / "index.html"
    write_whole(path, index_page(root, runs, sweeps(root)))
    return path


def sweeps(root: Path) -> list[SweepFolder]:
    found = []
    for file in sorted(root.rglob("sweep.yaml"), reverse=True):
        try:
            found.append(SweepFolder(file.parent))
        except UserError:  # of a sweep that is damaged, the jobs are there
            continue
    return found


def index_page(root: Path, runs: list[RunFolder], found: list[SweepFolder]) -> str:
    courses = [run.columns(MOST_POINTS) for run in runs]
    counts = f"{len(runs)} run{'s' * (len(runs) != 1)}, {len(found)} sweep{'s' * (len(found) != 1)}"
    written = f"{counts}. Written {time.strftime('%Y-%m-%d %H:%M')}; anew: python scripts/report.py {root}"
    body = "".join(
        [
            f"<h1>Runs in {text(root)}</h1>\n{paragraph(written, 'quiet')}",
            section("Sweeps", table(OF_SWEEPS, [sweep_row(root, of, runs) for of in found])),
            f"<section id=runs>\n<h2>Runs</h2>\n{CONTROLS}{run_table(root, runs, courses)}</section>\n",
            "<section id=comparison></section>\n",
        ]
    )
    data = {"colours": LINES, "runs": [details(root, *pair) for pair in zip(runs, courses, strict=True)]}
    return document(f"Runs in {root}", body, data, ("tables.js", "charts.js", "index.js"))


CONTROLS = """<div class="controls">
<input type="search" id="filter" placeholder="filter: words such as xor failed" aria-label="filter">
<label><input type="checkbox" id="jobs" checked> with the jobs of sweeps</label>
<span class="quiet" id="count"></span>
</div>
<p class="quiet">Tick two runs to compare them below; a click on the head of a column sorts.</p>
"""


def sweep_row(root: Path, sweep: SweepFolder, runs: list[RunFolder]) -> list[Cell]:
    goal = ", ".join(f"{name} ({mode})" for name, mode in sweep.objectives.items())
    jobs = [run.summary for run in runs if run.folder.parent == sweep.folder]
    first, mode = next(iter(sweep.objectives.items()))
    reached = [objective(summary, first) for summary in jobs if summary["status"] == "completed"]
    found = [value for value in reached if value is not None and math.isfinite(value)]
    best = (min if mode == "min" else max)(found, default=None) if len(sweep.objectives) == 1 else None
    name = str(sweep.folder.relative_to(root))
    link = f"{name}/report.html" if (sweep.folder / "report.html").exists() else f"{name}/"
    started = min((str(summary.get("started")) for summary in jobs), default="")
    return [
        Cell(name, link=link),
        Cell(str(len(jobs)), len(jobs)),
        Cell(goal),
        value_cell(best),
        Cell(", ".join(sweep.space)),
        Cell(moment(started)),
    ]


def run_table(root: Path, runs: list[RunFolder], courses: list[Columns]) -> str:
    scores = [run.scores() for run in runs]
    counts = {name: sum(name in found for found in scores) for found in scores for name in found}
    names = sorted(counts, key=lambda name: (-counts[name], name))  # those of most runs are seen first
    rows: Rows = []
    for place, (run, found, course) in enumerate(zip(runs, scores, courses, strict=True)):
        rows.append([*first_cells(root, place, run, course), *(value_cell(found.get(name)) for name in names)])
        epochs, seconds = number(run.summary.get("epochs")), run.seconds()
        took = Cell(duration(seconds), seconds) if seconds else Cell("")
        rows[-1] += [value_cell(epochs), took, Cell(moment(run.summary.get("started")))]
    return table([*FIRST, *names, *LAST], rows)


def first_cells(root: Path, place: int, run: RunFolder, course: Columns) -> list[Cell]:
    best = run.best()
    name = place_of(root, run)
    page = f"{name}/report.html" if (run.folder / "report.html").exists() else f"{name}/"
    status = f'<span class="{text(run.status)}">{text(run.status)}</span>'
    return [
        Cell("", markup=f'<input type="checkbox" data-run="{place}" aria-label="compare {text(name)}">'),
        Cell(name, link=page),
        Cell("", markup=status),
        Cell(str(run.summary.get("model") or "")),
        Cell(str(part(run.summary, "data").get("name") or "")),
        Cell(best[0] if best else ""),
        value_cell(best[1] if best else None),
        Cell("", markup=spark(course.get(best[0] if best else "", []))),
    ]


def place_of(root: Path, run: RunFolder) -> str:
    return str(run.folder.relative_to(root)) if run.folder != root else "."


def value_cell(value: float | None) -> Cell:
    return Cell(short(value), value)


def spark(values: list[float | None]) -> str:
    """A small curve of the monitored score."""
    points = [(place, value) for place, value in enumerate(values) if value is not None and abs(value) < 1e300]
    if len(points) < 2:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    width, height = len(values) - 1, high - low or 1
    drawn = " ".join(f"{90 * at / width:.1f},{20 - 18 * (value - low) / height:.1f}" for at, value in points)
    return f'<svg class="spark" viewBox="0 0 90 22" preserveAspectRatio="none"><polyline points="{drawn}"/></svg>'


def details(root: Path, run: RunFolder, course: Columns) -> dict[str, Any]:
    """What a comparison shows: config, scores and curves."""
    own = str(run.config.get("run_dir") or "RUN")
    config = {key: in_yaml(value).replace(own, "RUN") for key, value in flat(run.config)}
    best = run.best()
    scores = {**({f"best {best[0]}": best[1]} if best else {}), **run.scores()}
    over, at = places(course)
    columns = {name: [rounded(value) for value in course[name]] for found in panels(course).values() for name in found}
    return {
        "name": place_of(root, run),
        "job": (run.folder.parent / "sweep.yaml").exists(),
        "config": config,
        "scores": scores,
        "course": {"over": over, "x": at, "columns": columns},
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
