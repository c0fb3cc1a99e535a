"""Files from strangers are refused in a sentence, before they take up time or memory, and nothing is written."""

from pathlib import Path

import pytest

from hostile import CASES, FAST, MEMORY, SECONDS, files_in, limited
from kindling import compose, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The best checkpoints of three runs."""
    folder = tmp_path_factory.mktemp("runs")
    table = folder / "table.csv"
    table.write_text(
        "size,age,town,price\n" + "".join(f"{i},{i % 7},{'north' if i % 2 else 'south'},{i}\n" for i in range(40))
    )
    settings = {
        "digits": ["model=mlp", "data=digits"],
        "linear": ["model=linear_regression", "data=linear"],
        "csv": ["model=linear_regression", "data=csv", f"data.path={table}", "data.target=price"],
    }
    quick = ["trainer=cpu", "trainer.max_epochs=1", "~callbacks.figures"]
    for name, overrides in settings.items():
        train(compose([*overrides, *quick, f"hydra.run.dir={folder / name}"]))
    return {name: folder / name / "checkpoints" / "best.ckpt" for name in settings}


def check(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    argv = CASES[name](tmp_path / "given", runs)
    before = files_in(tmp_path / "given")
    ended = limited(argv, tmp_path / "output.txt")
    lines = [line for line in ended.text.splitlines() if line.strip()]
    assert ended.code == 1, ended.text[-2000:]
    assert "Traceback" not in ended.text, ended.text[-2000:]
    assert lines[-1].startswith("error: "), lines
    assert len(ended.text) < 2000, ended.text[:2000]
    assert ended.seconds < SECONDS
    assert ended.memory < MEMORY
    if argv[0] != "train" or "resume=" in argv[1]:  # a run that fails leaves its folder
        assert files_in(tmp_path / "given") == before


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("name", FAST)
def test_a_hostile_file_is_refused(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    check(name, runs, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in CASES if name not in FAST])
def test_any_other_hostile_file_is_refused(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    check(name, runs, tmp_path)
