"""Which letters the bytes of a text file are."""

import codecs
import re
from pathlib import Path

from kindling.config.quoting import argument
from kindling.errors import UserError

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What else tables are written in: by Windows in Korea, Japan, China and the West; without a mark, by programs.
USUAL = ("cp949", "cp932", "gb18030", "cp1252")
USUAL_OF_TWO_BYTES = ("utf-16-le", "utf-16-be")
SAMPLE = 1 << 20  # bytes that are tried


def encoding_of(path: Path, named: str, given: str | None) -> str:
    """What a mark at the start of the file says, or else what is `given`, or UTF-8.

    Raises:
        UserError: where there is no encoding of that name.
    """
    try:
        "".encode(given or "utf-8")
    except LookupError:
        raise UserError(f"data.encoding={given}: there is no such encoding of texts") from None
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), given or "utf-8")


def not_readable(path: Path, named: str, tried: str) -> UserError:
    """What could be the right one, with what the first word in other letters would be."""
    with path.open("rb") as file:
        content = file.read(SAMPLE)
    tries = USUAL_OF_TWO_BYTES if b"\0" in content else USUAL
    readings = {name: _first_word(content, name) for name in tries if name != tried}
    told = [f"{argument('data.encoding', name)} reads {word!r} in it" for name, word in readings.items() if word]
    return UserError(
        f"{named}: is not written in {tried}; {', '.join(told) or 'data.encoding says in which encoding it is'}"
    )


def _first_word(content: bytes, encoding: str) -> str:
    """The first one in other letters than ASCII; nothing where the encoding is another."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(content)  # the sample may end within a letter
    except UnicodeError:
        return ""
    words = re.findall(r"[^\W\d_]+", text[:SAMPLE])
    readable = [word for word in words if not word.isascii()] or (words if "\0" not in text else [])
    return readable[0][:20] if readable else ""
