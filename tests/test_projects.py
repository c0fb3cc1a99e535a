"""Projects of others run unchanged: plain Lightning modules and data, brought in by a config each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import ROOT
from matrix import CELLS, PROJECTS_BY_NAME, VARIANTS, Clone, Project, check, killed_once

PAGE = ROOT / "docs" / "projects.md"
ALL = {**PROJECTS_BY_NAME, **VARIANTS}


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Clone]:
    return lambda name: Clone(tmp_path, ALL[name])


@pytest.mark.parametrize("name", list(PROJECTS_BY_NAME))
def test_a_project_trains_and_resumes(name: str, clone: Callable[[str], Clone]) -> None:
    """Killed within an epoch and gone on with; with averaged weights, the average is evaluated."""
    project = clone(name)
    for cell in ("train", *["evaluate"] * (name == "pretrained")):
        assert check(project, cell) == "yes"
    killed_once(project)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_variant(name: str, clone: Callable[[str], Clone]) -> None:
    project = clone(name)
    for cell in ("train", "resume", *["evaluate", "predict"] * (name in ("configure", "split"))):
        assert check(project, cell) == "yes"


@pytest.mark.slow
def test_every_cell(tmp_path: Path) -> None:
    """And the table in docs/projects.md, which this test writes."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # of processes, which the threads wait for
        rows = pool.map(lambda name: cells_of(PROJECTS_BY_NAME[name], tmp_path / name), PROJECTS_BY_NAME)
        cells = dict(zip(PROJECTS_BY_NAME, rows, strict=True))
    assert sum(answer != "yes" for row in cells.values() for answer in row.values()) <= 8
    assert all(row["train"] == row["resume"] == "yes" for row in cells.values())
    before, _, after = PAGE.read_text().partition("<!-- cells -->")
    _, _, after = after.partition("<!-- /cells -->")
    PAGE.write_text(f"{before}<!-- cells -->\n{table(cells)}\n<!-- /cells -->{after}")


def cells_of(project: Project, folder: Path) -> dict[str, str]:
    folder.mkdir()
    project_clone = Clone(folder, project)
    return {cell: check(project_clone, cell) for cell in CELLS}


def table(cells: dict[str, dict[str, str]]) -> str:
    lines = [f"| | {' | '.join(cells)} |", "|---" * (len(cells) + 1) + "|"]
    for cell in CELLS:
        answers = (answers_of[cell] for answers_of in cells.values())
        lines.append(f"| {cell} | {' | '.join('yes' if answer == 'yes' else f'no: {answer}' for answer in answers)} |")
    return "\n".join(lines)
