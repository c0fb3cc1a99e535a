"""Every picture of a run: what it is drawn from, that it can be drawn again, and that it can be read."""

import shutil
from pathlib import Path

import pytest

from figure_texts import text_problems
from kindling import compose, train
from kindling.pictures import album

RUNS = {
    "xor": ["model=xor"],
    "housing": ["model=linear_regression", "data=housing"],
    "digits": ["data=digits", "trainer.max_epochs=3"],
    "population": ["model=xor", "population=5"],
}


@pytest.fixture(scope="module", params=RUNS)
def run_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / request.param
    return train(compose([*RUNS[request.param], f"run_dir={folder}"])).folder


def test_every_picture_can_be_drawn_again_from_the_folder_alone(run_dir: Path) -> None:
    drawn = {path.stem for path in (run_dir / "figures").glob("*.png")}
    shutil.rmtree(run_dir / "checkpoints")
    assert (run_dir / "figures" / "data.npz").stat().st_size <= album.MOST_BYTES
    assert {name for name, _ in album.draw(run_dir)} == drawn


def test_no_text_covers_another_or_is_too_small(run_dir: Path) -> None:
    found = {name: text_problems(figure) for name, figure in album.draw(run_dir)}
    assert not {name: problems for name, problems in found.items() if problems}
