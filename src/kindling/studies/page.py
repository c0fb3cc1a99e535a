"""Blocks of a page in docs/ that a script writes: what stands between `<!-- NAME -->` and `<!-- end -->`."""

import re
from pathlib import Path

from kindling.errors import UserError
from kindling.folders import write_whole


def put(page: Path, name: str, text: str) -> None:
    """Replace the block of that name; all else on the page stays.

    Raises:
        UserError: where the page has no such block, or two.
    """
    before, _, after = parts(page, name)
    write_whole(page, f"{before}{text.strip()}\n{after}")


def block(page: Path, name: str) -> str:
    """What stands in it now.

    Raises:
        UserError: likewise.
    """
    return parts(page, name)[1].strip()


def parts(page: Path, name: str) -> tuple[str, str, str]:
    if not page.is_file():
        raise UserError(f"{page}: there is no such page")
    text = page.read_text(encoding="utf-8")
    found = list(re.finditer(rf"(?<=<!-- {re.escape(name)} -->\n)(.*?)(?=<!-- end -->)", text, flags=re.DOTALL))
    if len(found) != 1:
        raise UserError(f"{page}: should have one line <!-- {name} -->, and below it <!-- end -->; it has {len(found)}")
    return text[: found[0].start()], found[0].group(), text[found[0].end() :]
