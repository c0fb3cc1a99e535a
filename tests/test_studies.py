"""Studies: what they ask for is checked, their tables are those of the run folders, and only their block changes."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import CONF
from kindling.config.command_line import check_command_line
from kindling.errors import UserError
from kindling.folders import PROJECT
from kindling.studies import page, picture, run, table
from kindling.studies.results import Result, read_row, settings
from kindling.studies.schema import Column
from kindling.studies.study import Study, names, read_study
from kindling.sweep import processes

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
    assert len(result.lost) == 1
    assert "In all 2 s on" in table.table(study, {"tanh": result}), "what failed took its time too"
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
        (("common: ", "common: population=5 "), "common: population=5: how many seeds there are is said by seeds or"),
        (("common: ", "common: ++population=5 "), "common: ++population=5: how many seeds there are is said by"),
        (
            ("common: ", "common: seed=7 "),
            "common: seed=7: how many seeds there are is said by seeds or population of the",
        ),
        (("tanh: model", "tanh: seed=7 model"), "rows.tanh: seed=7: how many seeds there are is said by"),
        (("common: model.init", "common: population=5 model.init"), "quick.common: population=5: how many seeds"),
        (
            ("tanh: model", "lr: 'optimizer.lr=0.1,0.2', tanh: model"),
            "rows.lr: optimizer.lr=0.1,0.2: each value should have",
        ),
        (("tanh: model", "tanh: seeds model"), "rows.tanh: seeds: not of the form key=value"),
        (("tanh: model", 'tanh: "a=\'b", relu: model'), "rows.tanh: the overrides cannot be read (No closing"),
        (("rows: {tanh", "rows: {'': model.init=zeros, tanh"), "the row '' should have a letter or a digit"),
        (("rows: {tanh", "rows: {'!!': model.init=zeros, tanh"), "the row '!!' should have a letter or a digit"),
        (("rows: {tanh", "rows: {Tanh: model.init=zeros, tanh"), "the rows Tanh and tanh would share a folder"),
        (("rows: {tanh", "rows: {10"), "rows.10 should be text: put it in quotes"),
        (("loss: {score", "0.5: {score"), "columns.0.5 should be text: put it in quotes"),
        (("title: XOR", "title: 1998"), "title should be text: put it in quotes"),
        (("seeds: 2", "seeds: 2\npopulation: 3"), "the row tanh should have as many seeds as the others, 3"),
        (("rows: {tanh: model", "rows: {tanh: population=3 model"), "the row tanh should have as many seeds"),
        (("rows: {tanh: model", "rows: {tanh: ++population=3 model"), "the row tanh should have as many seeds"),
        (('"another, relu"', "a.b: model=mlp, a b"), "the rows a.b and a b would share a folder"),
        (("curves: val/loss", "curve: val/loss"), "figure.curve is wrong: input should be 'curves' or 'points'"),
        (("curves: val/loss", "points: eror (%)"), "figure.points=eror (%) is no column; did you mean error (%)?"),
        (("quick: {seeds", "quick: {seedz"), "quick.seedz is no key of a study; did you mean seeds?"),
        (('source: "A, 1998", ', ""), "published should have a source"),
        (("tanh: 4.7", "tan: 4.7"), "published.tan is no row; did you mean tanh?"),
        (("rows: {", "rows: [{"), "is damaged (while parsing"),
    ],
)
def test_a_study_with_a_mistake_is_refused(change: tuple[str, str], sentence: str, conf: Path) -> None:
    file = conf / "study" / "xor.yaml"
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(UserError) as info:
        [read_study("xor", quick) for quick in (False, True)]
    assert sentence in str(info.value)
    assert "xor.yaml" in str(info.value)


def test_a_study_is_of_one_seed_where_it_says_nothing_else(conf: Path) -> None:
    file = conf / "study" / "xor.yaml"
    file.write_text(file.read_text().replace("seeds: 2\n", ""))
    study = read_study("xor")
    assert (study.seeds, study.repeats, study.runs("tanh")) == (1, 1, 1)


def test_a_row_that_trains_its_seeds_at_once_is_one_run(conf: Path) -> None:
    file = conf / "study" / "xor.yaml"
    file.write_text(file.read_text().replace("tanh: model", "tanh: +population=2 model"))
    study = read_study("xor")
    assert [study.runs(row) for row in study.rows] == [1, 2]


def test_a_page_without_the_block_is_named(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    study.page.write_text("<!-- a -->\n<!-- end -->\n<!-- b -->\n<!-- end -->\n")
    page.put(study.page, "a", "table")
    assert study.page.read_text() == "<!-- a -->\ntable\n<!-- end -->\n<!-- b -->\n<!-- end -->\n"
    with pytest.raises(UserError, match=r"09-xor.md: should have one line <!-- study xor -->"):
        page.put(study.page, "study xor", "table")


def test_a_study_runs_from_its_commands_and_goes_on(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder, into one of any name; of a file that is named from the project, with a column of any name."""
    rents = tmp_path / "rents.csv"
    rents.write_text("größe,floor\n" + "".join(f"{40 + 3 * row},{row % 7}\n" for row in range(30)))
    of_file = f"model=linear_regression data=csv data.target=größe data.path={os.path.relpath(rents, PROJECT)}"
    text = (conf / "study" / "xor.yaml").read_text().replace("common: model=xor ", "common: ")
    text = text.replace("tanh: model", "tanh: model=xor model").replace(", common: model.init=default", "")
    (conf / "study" / "xor.yaml").write_text(text.replace("model.activation=relu model.hidden_features=3", of_file))
    study, root = read_study("xor", quick=True), tmp_path / "a=b, runs (1)"
    monkeypatch.chdir(tmp_path)
    results = run.run(study, root)
    assert capsys.readouterr().out.startswith(
        "python train.py -m trainer.max_epochs=1 model=xor model.activation=tanh seed=0\n"
    )
    assert results["tanh"].summaries[0]["metrics"].keys() == {"test/acc", "test/loss"}
    assert "test/rmse" in results["another, relu"].summaries[0]["metrics"]
    assert run.run(study, root) == results
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("data.path=docs/a.csv", f"data.path={PROJECT}/docs/a.csv", True),
        ("data.path=docs/a.csv", f"data.path={PROJECT}/docs/b.csv", False),
        ("data.path=[docs/a.csv,s3://b]", f"data.path=[{PROJECT}/docs/a.csv,s3://b]", True),
        ("data.path='~/a.csv'", f"data.path={Path.home()}/a.csv", True),
        ("data.target=größe", 'data.target="größe"', True),
        ("optimizer.lr=1e-3", "++optimizer.lr=0.001", True),
        ("model.bias=true", "model.bias=1", False),
        ("model.name=5", "model.name='5'", False),
        ("~model.dropout", "model.dropout=null", False),
    ],
)
def test_settings_are_the_same_where_they_mean_the_same(one: str, other: str, same: bool) -> None:
    assert (settings(["seed=1", one]).keys() == settings([other, "seed=2"]).keys()) is same


@pytest.fixture
def started(conf: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments of sweeps that stop after they have begun."""
    found: list[dict[str, str]] = []

    def start(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        found.append(env)
        place = next(text for text in command if text.startswith("hydra.sweep.dir=")).partition("=")[2]
        Path(place, "sweep.yaml").write_text("")
        return subprocess.CompletedProcess(command, 1, "error: the disk is full\n")

    for name in processes.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kindling.studies.run.subprocess.run", start)
    monkeypatch.setattr(processes, "num_cpus", lambda: 8)
    return found


def test_what_a_sweep_says_that_stopped_is_handed_on(started: list[dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"runs/xor/tanh: the runs of tanh have not ended\nerror: the disk is full$"):
        run.run(read_study("xor"), tmp_path / "runs")
    assert "OMP_NUM_THREADS" not in started[0]


@pytest.mark.parametrize("jobs", [2, 20])
def test_rows_that_run_at_once_share_the_cores(jobs: int, started: list[dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="have not ended"):
        run.run(read_study("xor"), tmp_path, jobs)
    assert {env["OMP_NUM_THREADS"] for env in started} == {"4"}, "of eight for two rows, however many jobs"


def test_where_runs_failed_is_said_after_their_row(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(argv: list[str], folder: Path, at_once: int) -> str:
        for seed, status in enumerate(["completed", "failed" if folder.name == "tanh" else "completed"]):
            left(folder / str(seed), status=status)
        return ""

    monkeypatch.setattr("kindling.studies.run.start", start)
    run.run(read_study("xor"), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["    tanh: 0 s", f"    1 failed; why is in train.log below {tmp_path}/xor/tanh"]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("init_from=outputs/studies/simple/a/0", "; first run: python scripts/study.py simple"),
        ("augmentation.distillation.run=elsewhere/simple.2", ""),
    ],
)
def test_a_run_that_a_row_needs_is_missed_before_the_first_row(
    override: str, hint: str, started: list[dict[str, str]], conf: Path, tmp_path: Path
) -> None:
    file = conf / "study" / "xor.yaml"
    (conf / "study" / "simple.yaml").write_text(file.read_text())
    file.write_text(file.read_text().replace("model.hidden_features=3", override))
    with pytest.raises(UserError) as info:
        run.run(read_study("xor"), tmp_path / "runs")
    place = override.partition("=")[2]
    assert str(info.value) == f"the row another, relu of xor needs {place}, which is not there{hint}"
    file.write_text(file.read_text().replace(place, f"outputs/studies/xor/tanh/0 init_from={tmp_path}"))
    with pytest.raises(UserError, match="have not ended"):
        run.run(read_study("xor"), tmp_path / "runs")


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


def test_seeds_without_a_score_are_told_and_those_that_diverged(conf: Path, tmp_path: Path) -> None:
    """Of a score of the validation, whose table has the word nan, or nothing."""
    study = read_study("xor")
    fill(study, tmp_path)
    loss = study.columns["loss"]

    def cell_where_the_best_epoch_has(text: str) -> str:
        file = study.folder("tanh", tmp_path) / "1" / "metrics.csv"
        file.write_text(f"epoch,step,val/loss\n0,1,0.5\n1,2,{text}\n")
        result = read_row(study, "tanh", tmp_path)
        assert result is not None
        return table.cell(result, loss)

    assert cell_where_the_best_epoch_has("nan") == "0.25 (1 diverged)"
    assert cell_where_the_best_epoch_has("") == "0.25 (1 without it)"
    assert cell_where_the_best_epoch_has("0.75\n1,3,0.25") == "0.25 ± 0", "the last of the epoch"
    summary = study.folder("tanh", tmp_path) / "1" / "summary.json"
    summary.write_text(summary.read_text().replace('"epoch": 1', '"epoch": 1, "step": 2'))
    assert cell_where_the_best_epoch_has("0.25\n1,3,0.75") == "0.25 ± 0", "the step whose weights count"
    result = read_row(study, "tanh", tmp_path)
    assert result is not None
    assert table.cell(replace(result, lost=[{}]), Column(score="val/loss", show="solved")) == "0 of 3"


@pytest.mark.parametrize("text", ["", "seed,test/acc\n0,0.5\n1,0.1x\n", "seed,test/acc\n0,0.5\n1,0", "a\n1,2\n1,2,3\n"])
def test_a_damaged_table_of_members_is_named(text: str, tmp_path: Path) -> None:
    left(tmp_path / "0")
    (tmp_path / "0" / "members.csv").write_text(text)
    with pytest.raises(UserError, match=r"0/members.csv: is damaged; delete "):
        Result([tmp_path / "0"], [{}]).values("test/acc")
    (tmp_path / "0" / "members.csv").write_text("seed,test/acc\n0,0.5\n1,\n2,nan\n")
    assert table.cell(Result([tmp_path / "0"], [{}]), Column(score="test/acc")) == "0.5 (2 diverged)"


def test_several_validations_an_epoch_are_one_point_and_none_at_all_no_figure(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    for seed in range(2):
        file = study.folder("tanh", tmp_path) / str(seed) / "metrics.csv"
        file.write_text(f"epoch,step,val/loss\n0,1,9\n0,2,{seed}\n1,3,9\n1,4,3\n")
    results = run.run(study, tmp_path)
    assert results["tanh"].course("val/loss")["mean"].tolist() == [0.5, 3]
    for result in reversed(results.values()):
        assert len(picture.picture(study, results).axes[0].lines) == 2, (
            "a row without values has no line, or an empty one"
        )
        for folder in result.folders:
            (folder / "metrics.csv").write_text("epoch,step,val/loss,val/acc\n0,1,,\n1,2,nan,nan\n")
    before = study.page.read_text()
    with pytest.raises(UserError, match=r"figure.curves: no run of the study xor has a value of val/loss"):
        run.write(study, results)
    assert study.page.read_text() == before, "nothing is written where the figure is refused"


def test_bars_and_what_a_shell_would_read_otherwise_are_written_so_that_they_arrive(conf: Path, tmp_path: Path) -> None:
    rows = {"a|b": ["data.target=a b", "model.hidden_features=[3,4]", "model.name=x|y"], "it's": ["~model.dropout"]}
    study = replace(
        read_study("xor"), title="P(a|b)\n", rows=rows, common=["data.target=größe", "a={b:1}"], published={}
    )
    fill(study, tmp_path)
    results = {row: result for row in study.rows if (result := read_row(study, row, tmp_path))}
    lines = table.table(study, results).splitlines()
    assert lines[0].startswith(r"| P(a\|b) | overrides |")
    assert lines[2].startswith(r"| a\|b | `'data.target=a b' model.hidden_features=[3,4] 'model.name=x\|y'` |")
    assert lines[3].startswith("| it's | `'~model.dropout'` |")
    assert lines[5].startswith("Each row: `python train.py -m data.target=größe 'a={b:1}' ...`")


def test_a_table_names_the_processors_that_made_it_and_changes_of_the_code(conf: Path, tmp_path: Path) -> None:
    study = read_study("xor")
    fill(study, tmp_path)
    (study.folder("tanh", tmp_path) / "processors.txt").write_text("One\nTwo")
    results = run.run(study, tmp_path)
    results["tanh"].summaries[0]["git"] = {"revision": "123456789a", "dirty": True}
    text = table.table(study, results)
    assert "on One, Two; torch 2; revision 123456789 with changes that were not committed, abcdef123;" in text
