"""The report of a sweep as one page."""

from typing import Any

from kindling.report.contents import Contents
from kindling.report.frame import Rows, charts, code, document, figures, link, paragraph, section, table, text
from kindling.report.markdown import sections


def sweep_page(contents: Contents, pictures: list[tuple[str, str, bytes]], curves: list[dict[str, Any]]) -> str:
    """`pictures`: name, caption, PNG."""
    (of_means, means), (of_jobs, jobs) = sections(contents)
    body = "".join(
        [
            f"<h1>{text(contents.sweep.name)}</h1>\n{paragraph(contents.headline)}",
            *(paragraph(words) for words in contents.remarks),
            *(paragraph(words, "quiet") for words in contents.about),
            code(contents.command),
            section(of_means, table(*means)),
            verdict(contents),
            section("Curves", charts("curves") if curves else ""),
            section("Figures", figures(pictures)),
            section(of_jobs, job_table(contents, *jobs)),
        ]
    )
    return document(contents.sweep.name, body, {"curves": curves}, ("tables.js", "charts.js"))


def verdict(contents: Contents) -> str:
    if not contents.winners:
        return paragraph(contents.verdict)
    parts = [
        f"{paragraph(contents.reached(job))}"
        f'<p class="quiet">{link(contents.page_of(job), str(contents.sweep.folder / str(job)))}</p>\n'
        f"{code(contents.command_of(job))}"
        for job in contents.shown
    ]
    return section(contents.verdict, "".join(parts))


def job_table(contents: Contents, columns: list[str], rows: Rows) -> str:
    return table(columns, rows, [place for place, row in enumerate(rows) if row[0].value in contents.winners])
