"""What those who take the repository into use look for: it agrees with the code and with itself."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import kindling
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def test_one_version_and_one_licence() -> None:
    citation = read_yaml("CITATION.cff")
    released = re.findall(r"^## \[(\d.*?)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert released[0] == (citation["version"], str(citation["date-released"]))
    assert citation["version"] == kindling.__version__
    assert citation["license"] == PROJECT["project"]["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


def test_the_page_for_contributors_knows_the_rooms() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [layer for layer in layers if (ROOT / "src" / "kindling" / layer).is_dir()]
    assert re.findall(r"^\| `(\w+)` \|", CONTRIBUTING, flags=re.MULTILINE) == rooms


def test_every_command_for_contributors_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", CONTRIBUTING):
        assert f"\n{target}:" in makefile


def test_the_hooks_are_the_checks_of_make_lint() -> None:
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].removesuffix(" --fix") for hook in repository["hooks"]]
    lint = re.findall(r"^\t@(\.venv/bin/(?:ruff|mypy|lint-imports).*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(entries) <= 5
    assert sorted(entries) == sorted(re.sub(r" --check| \.$", "", command) for command in lint)


def test_a_commit_is_held_against_the_hooks(tmp_path: Path) -> None:
    """A clone with a badly formatted file: the hook formats it, and says so."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".pre-commit-config.yaml").write_text((ROOT / ".pre-commit-config.yaml").read_text())
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (tmp_path / "bad.py").write_text("x   =  1\n")
    subprocess.run(["git", "add", "bad.py"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pre_commit", "run", "format"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "files were modified by this hook" in done.stdout, done.stderr
    assert (tmp_path / "bad.py").read_text() == "x = 1\n"


def test_the_workflow_tries_the_versions_that_the_project_takes() -> None:
    workflow = read_yaml(".github/workflows/test.yml")
    matrix = workflow["jobs"]["locked"]["strategy"]["matrix"]
    assert PROJECT["project"]["requires-python"] == f">={matrix['python'][0]},<3.{int(matrix['python'][-1][2:]) + 1}"
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}
    weekly = workflow["jobs"]["weekly"]["strategy"]["matrix"]["include"]
    assert [entry["resolution"] for entry in weekly] == ["highest", "lowest-direct"]
    assert "schedule" in workflow[True]  # YAML reads the key `on` so


def test_every_link_of_the_pages_leads_somewhere() -> None:
    """To a file of the repository, and to a heading in it."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "conf").rglob("*.md")]
    assert len(pages) > 10
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith("http"):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page}: {link}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
                assert anchor in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles], link
