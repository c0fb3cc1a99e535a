"""The curves of the jobs of a sweep, as the scripts of its page draw them."""

from typing import Any

import pandas as pd

from kindling.report.axes import number
from kindling.report.figures import paint
from kindling.report.importances import importance
from kindling.report.run_folder import RunFolder, places
from kindling.report.sweep_folder import SweepFolder
from kindling.report.tables import best

MOST_JOBS = 60  # whose curves can be told apart; the figure has all
MOST_POINTS = 200  # of a line


def job_curves(sweep: SweepFolder, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A chart of the objective, or of the monitor where that has no course: a line a job, the best ones first."""
    names = [*sweep.objectives, sweep.monitored()]
    first, mode = next(iter(sweep.objectives.items()))
    ordered = frame.sort_values([first, "job"], ascending=[mode == "min", True])["job"].tolist()[:MOST_JOBS]
    courses = {job: RunFolder(sweep.folder / str(job)).columns(MOST_POINTS) for job in ordered}
    name = next((name for name in names if any(name in course for course in courses.values())), None)
    if name is None:
        return []
    colours, winners = paint(sweep, frame, importance(sweep, frame)), best(sweep, frame)["job"].tolist()
    values, lines, reached = frame.set_index("job"), [], list[float]()
    for job, course in courses.items():
        if name not in course:
            continue
        tried = ", ".join(f"{key.rpartition('.')[2]} {number(values.loc[job, key])}" for key in sweep.space)
        label = f"job {job}{': best' * (job in winners)}, {tried}"
        line = {"label": label, "colour": colours.colour(job), "x": places(course)[1], "y": course[name]}
        lines.append(line | {"width": 3 if job in winners else 1.2})
        reached += [value for value in course[name] if value is not None]
    log = "loss" in name and min(reached, default=0) > 0
    return [{"title": name, "over": places(courses[ordered[0]])[0], "lines": lines, "log": log}]
