"""Studies: what they ask for is checked, their tables are those of the run folders, and only their block changes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import CONF
from kindling.config.command_line import check_command_line
from kindling.errors import UserError
from kindling.studies import page, picture, run, table
from kindling.studies.results import read_row
from kindling.studies.schema import Column
from kindling.studies.study import Study, names, read_study

FILE = """title: XOR
page: docs/course/README.md
common: model=xor trainer.max_epochs=1
seeds: 2
rows: {tanh: model.activation=tanh, "another, relu": model.activation=relu model.hidden_features=3}
columns:
  error (%): {score: test/acc, show: error}
  loss: {score: val/loss}
  parameters: {score: parameters}
published: {source: "A, 1998", tanh: 4.7}
figure: {curves: val/loss}
quick: {seeds: 1, common: model.init=default}
"""


@pytest.mark.parametrize("name", names())
def test_every_command_of_a_study_passes_the_check(name: str) -> None:
    study, small = read_study(name), read_study(name, quick=True)
    for command in [*map(study.command, study.rows), small.command(next(iter(small.rows)))]:
        check_command_line(CONF, "train", command[2:])


@pytest.mark.parametrize("name", names())
def test_every_study_has_its_place_in_a_page_and_says_how_long_it_takes(name: str) -> None:
    study = read_study(name)
    assert f"study.py {name}" in page.block(study.page, f"study {name}"), "its table has not been written"
    assert (CONF / "study" / f"{name}.yaml").read_text().startswith(f"# python scripts/study.py {name} ")


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs with one study, whose page is beside it."""
    (tmp_path / "study").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "09-xor.md").write_text("# XOR\n\n<!-- study xor -->\nold\n<!-- end -->\n\nafter\n")
    (tmp_path / "study" / "xor.yaml").write_text(FILE.replace("docs/course/README.md", "docs/09-xor.md"))
    monkeypatch.setattr("kindling.studies.study.CONF", tmp_path)
    monkeypatch.setattr("kindling.studies.study.PROJECT", tmp_path)
    return tmp_path


def left(folder: Path, **summary: object) -> None:
    """What a run leaves that ended."""
    folder.mkdir(parents=True)
    known = {"status": "completed", "seconds": {"fit": 1.0}, "device": "cpu", "parameters": 17, "started": "2026-01-02"}
    known |= {"versions": {"torch": "2"}, "git": {"revision": "abcdef123456"}, "monitor": {"epoch": 1}}
    (folder / "summary.json").write_text(json.dumps({**known, **summary}))
    (folder / "metrics.csv").write_text("epoch,step,val/loss\n0,1,0.5\n1,2,0.25\n2,3,0.75\n")


def fill(study: Study, root: Path) -> None:
    for row in study.rows:
        for seed in range(study.seeds):
            folder = study.folder(row, root) / str(seed)
            left(folder, metrics={"test/acc": 0.9 + 0.02 * seed})
            asked = [*study.common, *study.rows[row], f"seed={seed}"]
            (folder / "overrides.yaml").write_text(json.dumps(asked))


def test_the_table_is_of_the_run_folders_and_only_its_block_changes(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path / "runs")
    results = run.run(study, tmp_path / "runs")
    figure = run.write(study, results)
    text = study.page.read_text()
    assert text.startswith("# XOR\n\n<!-- study xor -->\n| XOR | overrides |")
    assert text.endswith("<!-- end -->\n\nafter\n")
    assert "| tanh | `model.activation=tanh` | 9.00 ± 1.41 | 0.25 ± 0 | 17 | 4.7 |" in text
    assert (
        "| another, relu | `model.activation=relu model.hidden_features=3` | 9.00 ± 1.41 | 0.25 ± 0 | 17 |  |" in text
    )
    assert "2 seeds" in text
    assert "In all 4 s on " in text
    assert "revision abcdef123; 2026-01-02" in text
    assert figure == tmp_path / "docs" / "figures" / "09-xor.png"
    assert figure.stat().st_size > 10_000


def test_runs_of_other_settings_are_not_taken_for_those_of_the_study(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    file = study.folder("tanh", tmp_path) / "1" / "overrides.yaml"
    file.write_text(file.read_text().replace("tanh", "silu"))
    with pytest.raises(UserError, match=r"tanh/1: has other settings than the study has now \(model.activation=silu "):
        read_row(study, "tanh", tmp_path)


def test_what_failed_is_told_and_what_has_not_ended_is_no_result(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    for row, status in (("tanh", "failed"), ("another, relu", "running")):
        file = study.folder(row, tmp_path) / "0" / "summary.json"
        file.write_text(file.read_text().replace("completed", status))
    result = read_row(study, "tanh", tmp_path)
    assert result is not None
    assert result.failed == 1
    assert table.cell(result, study.columns["error (%)"]) == "8.00 (1 failed)"
    assert read_row(study, "another, relu", tmp_path) is None


def test_members_of_a_population_count_as_seeds(conf: Path, tmp_path: Path) -> None:
    (conf / "study" / "many.yaml").write_text(
        (conf / "study" / "xor.yaml").read_text().replace("seeds: 2", "population: 3").replace("error}", "solved}")
    )
    study = read_study("many")
    folder = study.folder("tanh", tmp_path) / "0"
    left(folder, metrics={"test/acc": 0.9})
    (folder / "members.csv").write_text("seed,test/acc\n0,1.0\n1,0.75\n2,1.0\n")
    (folder / "metrics.csv").write_text("epoch,step,val/loss,val/loss_std\n0,1,0.5,0.1\n")
    result = read_row(study, "tanh", tmp_path)
    assert result is not None
    assert table.cell(result, study.columns["error (%)"]) == "2 of 3"
    assert picture.curves(study, {"tanh": result}).axes[0].lines[0].get_ydata().tolist() == [0.5]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("title: XOR", "titel: XOR"), "says nothing of title"),
        (("title: XOR", "title: XOR\ntitel: XOR"), "titel is no key of a study; did you mean title?"),
        (
            ("show: error", "show: errors"),
            "columns.error (%).show is wrong: input should be 'number', 'percent', 'error'",
        ),
        (("seeds: 2", "seeds: 0"), "seeds is wrong: input should be greater than 0"),
        (("seeds: 2", "seeds: 2\npopulation: 3"), "the row tanh should have as many seeds as the others, 3"),
        (("rows: {tanh: model", "rows: {tanh: population=3 model"), "the row tanh should have as many seeds"),
        (('"another, relu"', "a.b: model=mlp, a b"), "the rows a.b and a b would share a folder"),
        (("curves: val/loss", "curve: val/loss"), "figure.curve is wrong: input should be 'curves' or 'points'"),
        (("curves: val/loss", "points: eror (%)"), "figure.points=eror (%) is no column; did you mean error (%)?"),
        (("quick: {seeds", "quick: {seedz"), "quick.seedz is no key of a study; did you mean seeds?"),
        (('source: "A, 1998", ', ""), "published should have a source"),
        (("tanh: 4.7", "tan: 4.7"), "published.tan is no row; did you mean tanh?"),
        (("rows: {", "rows: [{"), "is damaged (while parsing"),
        (("seeds: 2\n", ""), ""),
    ],
)
def test_a_study_with_a_mistake_is_refused(change: tuple[str, str], sentence: str, conf: Path) -> None:
    file = conf / "study" / "xor.yaml"
    file.write_text(file.read_text().replace(*change))
    if not sentence:
        assert read_study("xor").seeds == 1
        return
    with pytest.raises(UserError) as info:
        read_study("xor")
    assert sentence in str(info.value)
    assert "xor.yaml" in str(info.value)


def test_a_page_without_the_block_is_named(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    study.page.write_text("# XOR\n")
    study.page.write_text("<!-- a -->\n<!-- end -->\n<!-- b -->\n<!-- end -->\n")
    page.put(study.page, "a", "table")
    assert study.page.read_text() == "<!-- a -->\ntable\n<!-- end -->\n<!-- b -->\n<!-- end -->\n"
    with pytest.raises(UserError, match=r"09-xor.md: should have one line <!-- study xor -->"):
        page.put(study.page, "study xor", "table")


def test_a_study_runs_from_its_commands_and_goes_on(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = read_study("xor", quick=True)
    results = run.run(study, tmp_path / "runs")
    assert capsys.readouterr().out.startswith(
        "python train.py -m model=xor trainer.max_epochs=1 model.activation=tanh model.init=default"
    )
    assert results["tanh"].summaries[0]["metrics"].keys() == {"test/acc", "test/loss"}
    assert run.run(study, tmp_path / "runs") == results
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["../xor", "./xor", "study/xor", "", "xor.yaml"])
def test_the_name_of_a_study_is_no_path(name: str, conf: Path) -> None:
    (conf / "xor.yaml").write_text(FILE)
    with pytest.raises(UserError, match="there is no such study"):
        read_study(name)


def test_what_a_table_cannot_show_is_told(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    results = {row: result for row in study.rows if (result := read_row(study, row, tmp_path))}
    results["tanh"].summaries[0]["metrics"]["test/acc"] = float("nan")
    assert "| 8.00 (1 diverged) |" in table.table(study, results)
    with pytest.raises(UserError, match=r"columns.error \(%\): no run of the study xor has a score test/f1"):
        table.table(replace(study, columns={"error (%)": Column(score="test/f1")}), results)
    with pytest.raises(UserError, match=r"metrics.csv: has no val/los for a figure; did you mean val/loss\?"):
        picture.picture(replace(study, figure={"curves": "val/los"}), results)
    (tmp_path / "docs" / "09-xor.md").write_text("# XOR\n")
    with pytest.raises(UserError, match="should have one line <!-- study xor -->"):
        run.run(study, tmp_path / "nothing yet")


def test_a_table_names_the_processors_that_made_it_and_changes_of_the_code(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    (study.folder("tanh", tmp_path) / "processors.txt").write_text("One\nTwo")
    results = run.run(study, tmp_path)
    results["tanh"].summaries[0]["git"] = {"revision": "123456789a", "dirty": True}
    text = table.table(study, results)
    assert "on One, Two; torch 2; revision 123456789 with changes that were not committed, abcdef123;" in text
