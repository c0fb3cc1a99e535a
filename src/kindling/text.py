"""Text of others: names and words out of files that nobody vouches for."""

import logging


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
