"""What all pages of the course have in common."""

import re

import pytest

from course import COURSE, answers, page
from kindling.studies.page import block


@pytest.mark.parametrize("number", range(17))
def test_a_page_has_all_its_parts(number: int) -> None:
    text = page(number).read_text()
    assert text.startswith(f"# {number}. ")
    assert re.search(r"\nNeeds: (nothing|lessons? [\d, andto]+)\. Takes: \d+ minutes(, with a pencil)?\.\n", text)
    for head in ("## Change one thing", "## Exercises", "## In short", "\nNext: ["):
        assert text.count(head) == 1
    assert number == 16 or f"\nNext: [lesson {number + 1}, " in text
    assert len(answers(number)) == 3
    for figure in re.findall(r"[(\"](figures/[^)\"]+)[)\"]", text):
        assert (COURSE / figure).stat().st_size <= 80_000
    prose = re.findall(r"^(?!\||<|!\[|Each row|Our nets|Tables of).*$", text, flags=re.MULTILINE)
    assert max(map(len, prose)) <= 121


@pytest.mark.parametrize("number", range(16))  # lesson 16 says it below each table
def test_a_page_says_what_its_tables_were_made_with(number: int) -> None:
    made_by = re.findall(r"^<!-- made by (.*) -->$", page(number).read_text(), flags=re.MULTILINE)
    assert made_by
    for name in made_by:
        told = block(page(number), f"made by {name}")
        assert f"docs/course/code/{name}.py --write" in told
        assert re.search(r"(seed|random).*, \d+ s on .*; torch [\d.]+; revision [0-9a-f]{9}; \d{4}-\d\d-\d\d\.$", told)


def test_index_and_glossary() -> None:
    index = (COURSE / "README.md").read_text()
    linked = re.findall(r"\]\((\d\d-[a-z-]+\.md)\)", index)
    assert linked == sorted(set(linked))
    assert len(linked) == 17
    assert {file.name for file in COURSE.glob("[0-9]*.md")} <= set(linked)
    lines = re.findall(r"^\| (.*) \|$", (COURSE / "glossary.md").read_text(), flags=re.MULTILINE)[2:]
    terms = [line.split(" | ") for line in lines]
    assert len(terms) >= 60
    assert {len(cells) for cells in terms} == {4}
    names = [cells[0].lower() for cells in terms]
    assert names == sorted(set(names))
