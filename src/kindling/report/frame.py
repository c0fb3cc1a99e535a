"""What all pages share: a frame with its style and scripts, tables, pictures, escaping. None needs a file beside it."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from kindling.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from kindling.text import printable

LINES = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, GREY)
WIDE = 1000  # pixels of a picture, beyond which none stands beside it
LONG = 40  # characters in a cell, beyond which its lines wrap


@dataclass
class Cell:
    """Args:
    value: of a number, to sort by.
    link: from the page to a file.
    markup: before the text; of ours alone.
    """

    text: str
    value: float | None = None
    link: str | None = None
    markup: str = ""


Rows = list[list[Cell]]


def document(title: str, body: str, data: Any = None, scripts: Sequence[str] = ("tables.js",)) -> str:
    """The page. Its scripts find `data` in the element of that name; with it they may draw curves."""
    parts = [f'<script type="application/json" id="data">{embedded(data)}</script>'] if data is not None else []
    names = ["uPlot.iife.min.js", *scripts] if "charts.js" in scripts else scripts
    if "charts.js" in scripts:
        parts += [f"<script>\n/* uPlot\n{asset('uPlot.LICENSE')}\n*/</script>"]  # which goes with each copy of it
    parts += [f"<script>\n{asset(name)}</script>" for name in names]
    style = asset("style.css") + (asset("uPlot.min.css") if "charts.js" in scripts else "")
    return Template(asset("frame.html")).substitute(title=text(title), style=style, body=body, scripts="\n".join(parts))


@cache
def asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def text(value: object) -> str:
    """Fit for a page, whoever has written it."""
    return escape(printable(str(value), keep="\n"))


def embedded(data: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.dumps(finite(data), ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def finite(data: Any) -> Any:
    """With nothing where a number is none, since JSON has no NaN; its texts fit for a page."""
    if isinstance(data, dict):
        return {printable(str(key)): finite(value) for key, value in data.items()}
    if isinstance(data, str):
        return printable(data, keep="\n")
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def paragraph(words: object, kind: str = "") -> str:
    return f'<p class="{kind or "plain"}">{text(words)}</p>\n' if words else ""


def code(words: str) -> str:
    return f"<pre>{text(words)}</pre>\n" if words else ""


def link(path: str, words: str) -> str:
    return f'<a href="{escape(quote(path))}">{text(words)}</a>'


def section(title: str, content: str) -> str:
    """Nothing where there is nothing to show."""
    return f"<section>\n<h2>{text(title)}</h2>\n{content}</section>\n" if content else ""


def charts(name: str) -> str:
    """Where scripts draw the curves that the data of the page have under that name."""
    hint = "Drag to zoom, double-click to go back; a click on a name hides its line."
    return f'<p class="quiet">{hint}</p>\n<div class="charts" data-charts="{name}"></div>\n'


def figures(pictures: Sequence[tuple[str, str, bytes]]) -> str:
    """`pictures`: name, caption, and PNG or SVG."""
    return f'<div class="figures">\n{"".join(figure(*picture) for picture in pictures)}</div>\n' if pictures else ""


def figure(name: str, caption: str, content: bytes) -> str:
    is_png = content.startswith(b"\x89PNG")
    width = int.from_bytes(content[16:20]) if is_png else WIDE  # of the header of every PNG
    source = f"data:image/{'png' if is_png else 'svg+xml'};base64,{base64.b64encode(content).decode()}"
    # On a telephone it is as wide as its words can be read, and moves in its own box.
    limit = f' style="max-width: {width}px; min-width: {width * 9 // 20}px"' if is_png else ""
    return (
        f"<figure{' class=wide' * (width > WIDE)}>"
        f'<img src="{source}" alt="{text(caption or name)}"{limit}><figcaption>{text(caption)}</figcaption></figure>\n'
    )


def table(columns: Sequence[str], rows: Rows, best: Sequence[int] = (), plain: bool = False) -> str:
    """Sorted by a click, unless it is `plain`; `best` are the places of rows."""
    if not rows:
        return ""
    is_number = [any(row[index].value is not None for row in rows) for index in range(len(columns))]
    names = "".join(
        f"<th{' class=number' * right}>{text(name)}</th>" for name, right in zip(columns, is_number, strict=True)
    )
    head = f"<thead><tr>{names}</tr></thead>" if any(columns) else ""
    body = "\n".join(
        f"<tr{' class=best' * (place in best)}>{''.join(map(data_cell, row, is_number))}</tr>"
        for place, row in enumerate(rows)
    )
    return f"<div class='table{' plain' * plain}'><table>{head}\n<tbody>{body}</tbody></table></div>\n"


def data_cell(cell: Cell, right: bool) -> str:
    kind = " class=number" if right else " class=long" if len(cell.text) > LONG else ""
    value = f' data-value="{cell.value!r}"' if cell.value is not None else ""
    content = text(cell.text) if cell.link is None else link(cell.link, cell.text)
    return f"<td{kind}{value}>{cell.markup}{content}</td>"
