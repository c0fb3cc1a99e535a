"""The report as one page that needs nothing beside it."""

import base64
from html import escape
from pathlib import Path
from string import Template

from kindling.report.contents import Cell, Contents, Rows
from kindling.report.markdown import sections

WIDE = 900  # pixels of a picture, beyond which none stands beside it
LONG = 40  # characters in a cell, beyond which its lines wrap


def page(contents: Contents, pictures: list[tuple[str, str, bytes]]) -> str:
    """`pictures`: name, caption, PNG."""
    means, jobs = (section(contents, title, *content) for title, content in sections(contents))
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(contents.sweep.name),
        headline=escape(contents.headline),
        command=escape(contents.command),
        verdict=verdict(contents),
        means=means,
        figures=f'<h2>Figures</h2>\n<div class="figures">{"".join(map(figure, pictures))}</div>' if pictures else "",
        jobs=jobs,
    )


def verdict(contents: Contents) -> str:
    if not contents.winners:
        return f"<p>{escape(contents.verdict)}</p>"
    parts = [f"<h2>{contents.verdict}</h2>"]
    for job in contents.shown:
        parts += [f"<p>{escape(contents.reached(job))}</p>"]
        parts += [f'<p class="quiet">{escape(str(contents.sweep.folder / str(job)))}</p>']
        parts += [f"<pre>{escape(contents.command_of(job))}</pre>"]
    return "\n".join(parts)


def figure(picture: tuple[str, str, bytes]) -> str:
    _, caption, png = picture
    width = int.from_bytes(png[16:20])  # of the header of every PNG
    data = base64.b64encode(png).decode()
    caption = escape(caption)
    return (
        f"<figure{' class=wide' * (width > WIDE)}>"
        f'<img src="data:image/png;base64,{data}" alt="{caption}" style="max-width: {width}px">'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def section(contents: Contents, title: str, columns: list[str], rows: Rows) -> str:
    if not rows:
        return ""
    is_number = [any(row[index].value is not None for row in rows) for index in range(len(columns))]
    head = "".join(
        f"<th{' class=number' * right}>{escape(name)}</th>" for name, right in zip(columns, is_number, strict=True)
    )
    winners = set(contents.winners) if columns[0] == "job" else set()
    body = "\n".join(
        f"<tr{' class=best' * (row[0].value in winners)}>{''.join(map(data_cell, row, is_number))}</tr>" for row in rows
    )
    return (
        f'<h2>{escape(title)}</h2>\n<div class="table"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def data_cell(cell: Cell, right: bool) -> str:
    kind = " class=number" if right else " class=long" if len(cell.text) > LONG else ""
    value = f' data-value="{cell.value!r}"' if cell.value is not None else ""
    return f"<td{kind}{value}>{escape(cell.text)}</td>"
