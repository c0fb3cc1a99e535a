"""The whole report, written into the folder of its sweep."""

from filelock import FileLock

from kindling.containment import check_contained
from kindling.folders import write_whole
from kindling.report.contents import Contents
from kindling.report.figures import figures
from kindling.report.job_curves import job_curves
from kindling.report.markdown import markdown
from kindling.report.rows import rebuild
from kindling.report.sweep_page import sweep_page
from kindling.report.tables import Sweep, framed, opened

DPI = 160


def write(sweep: Sweep) -> Contents:
    """table.csv, table.md, figures/*.png and report.html, anew from the folders of the jobs; returns what they say.

    Every file is replaced as a whole. May be called while jobs are running.

    Raises:
        UserError: where the folder is not that of a sweep, or what is written into it would land elsewhere.
    """
    sweep = opened(sweep)
    check_contained(sweep.folder, shared=True)
    with FileLock(sweep.folder / ".report.lock"):
        contents = Contents(sweep, framed(sweep, rebuild(sweep)))
        pictures = [(name, caption, drawn.png(DPI)) for name, caption, drawn in figures(sweep, contents.frame)]
        folder = sweep.folder / "figures"
        folder.mkdir(exist_ok=True)
        for path in folder.glob("*.png"):
            if path.stem not in {name for name, _, _ in pictures}:
                path.unlink()  # of a report that had something to show there
        for name, _, png in pictures:
            write_whole(folder / f"{name}.png", png)
        write_whole(sweep.folder / "table.md", markdown(contents))
        write_whole(sweep.folder / "report.html", sweep_page(contents, pictures, job_curves(sweep, contents.frame)))
    return contents
