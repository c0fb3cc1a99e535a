"""Text of others: names and words out of files that nobody vouches for."""

import logging
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence


def printable(text: str, keep: str = "") -> str:
    """Without what steers a terminal or turns its writing around; nor line ends, unless they are to `keep`."""
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)


def no_formula(text: str) -> str:
    """For a cell of a CSV file: what a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{text}" if text[1:] and text[0] in "=+-@\t\r\n" and not is_number(text) else text


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Formatter(logging.Formatter):
    """Of what a run reports: a column of a table or a class may be called anything."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n\t")


class Screen(Formatter):
    """For a terminal: no line is longer than it is wide, but for a word that is."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "\n".join(map(in_width, text.split("\n"))) if in_terminal() else text


def in_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()  # a daemon may have none


def columns() -> int:
    """Of the terminal; 80 where the output is none."""
    return shutil.get_terminal_size().columns


def in_width(line: str) -> str:
    if len(line) <= columns():
        return line
    if line.startswith("python "):
        return shell_line("", shlex.split(line), columns())
    return textwrap.fill(line, columns(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def fitting(texts: Sequence[str], width: int) -> list[str]:
    """Those that fit side by side, two spaces apart, the first ones first; what does not is empty."""
    kept, used = [], 0
    for text in texts:
        fits = used + len(text) + 2 <= width
        used += (len(text) + 2) * fits
        kept.append(text if fits else "")
    return kept


def shell_line(before: str, words: Sequence[str], width: int | None) -> str:
    """A command that a shell takes, on several lines where one would be wider than `width`."""
    quoted = [shlex.quote(word) for word in words]
    lines = [before + quoted[0]]
    for word in quoted[1:]:
        if width is None or len(lines[-1]) + len(word) + 3 <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"  {word}")
    return "\n".join(lines)
