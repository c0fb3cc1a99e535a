"""Tables as people have them: how a file is written, what is in its columns, and which rows are for what."""

import shlex
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import compose_config
from kindling.config.command_line import one_text
from kindling.config.overrides import parse
from kindling.config.quoting import argument
from kindling.data.columns import check_words
from kindling.data.csv import CSV
from kindling.data.reading import Reading
from kindling.data.setup import keep_in_precision
from kindling.errors import UserError
from kindling.reopening.config import check_test

Made = Callable[..., CSV]


@pytest.fixture
def table(tmp_path: Path) -> Made:
    """The data of a file with that content, read; "FILE" in an option is another one, with that of `other`."""

    def table(content: str | bytes, other: str = "", **options: object) -> CSV:
        (tmp_path / "other.csv").write_text(other)
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {key: str(tmp_path / "other.csv") if value == "FILE" else value for key, value in options.items()}
        datamodule = CSV(**{"path": str(path), "target": "y", "standardize": False, **options})
        datamodule.setup()
        return datamodule

    return table


def columns(datamodule: CSV) -> dict[str, list[float]]:
    """What the model sees, by name, in the order of the file."""
    x = torch.cat([split.x for split in datamodule.splits.values()])
    y = torch.cat([split.y.reshape(len(split), -1) for split in datamodule.splits.values()])
    named = zip([*datamodule.encoder.names, "y"], [*x.T, y[:, 0]], strict=True)
    return {name: sorted(values.tolist()) for name, values in named}


def refused(table: Made, content: str | bytes, **options: object) -> str:
    """The one sentence, without the folder."""
    with pytest.raises(UserError) as error:
        table(content, **options)
    text = str(error.value)
    assert "\n" not in text
    return (
        text.replace(text[text.find("/") : text.find("table.csv")], "") if "/" in text and "table.csv" in text else text
    )


def rows(*cells: str, header: str = "a,y") -> str:
    return "\n".join([header, *cells]) + "\n"


NUMBERS = {  # six cells, separated by blanks, between semicolons or commas
    "decimal commas": ("1,5 2,25 -,5 \u22124 1e3 6,", ";", [-4, -0.5, 1.5, 2.25, 6, 1000]),
    "a zero before the comma": ("0,123 1,234 3 4 5 6", ";", [0.123, 1.234, 3, 4, 5, 6]),
    "thousands before decimals": ('"1,234.5" "2,000" 3 4 5 6', ",", [3, 4, 5, 6, 1234.5, 2000]),
    "millions": ('"1,234,567" "2,000" 3 4 5 6', ",", [3, 4, 5, 6, 2000, 1234567]),
    "lakhs": ('"12,34,567" "2,000" 3 4 5 6', ",", [3, 4, 5, 6, 2000, 1234567]),
    "points between thousands": ("1.234 2.000,5 3 4 5 6", ";", [3, 4, 5, 6, 1234, 2000.5]),
    "spaces between thousands": ("1_234,5 2\u00a0000 3 4\u202f321 5 6", ";", [3, 5, 6, 1234.5, 2000, 4321]),
    "apostrophes between thousands": ("1'234.5 2\u2019000 3 4 5 6", ",", [3, 4, 5, 6, 1234.5, 2000]),
    "three decimals": ("1.234 2.345 3.456 4.5 5 6", ",", [1.234, 2.345, 3.456, 4.5, 5, 6]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_read_as_they_are_written(case: str, table: Made) -> None:
    cells, separator, expected = NUMBERS[case]
    written = [f"{cell.replace('_', ' ')}{separator}{i}" for i, cell in enumerate(cells.split(" "))]
    found = columns(table(rows(*written, header=f"a{separator}y")))
    assert found == {"a": pytest.approx(expected), "y": [0, 1, 2, 3, 4, 5]}


def test_numbers_beside_others_are_read_as_the_file_shows(table: Made) -> None:
    """By itself, 1,234 may be two numbers; a number in another column, or the target, shows which."""
    written = [f'"{i},234",{i}.5' for i in range(1, 10)]
    assert columns(table(rows(*written)))["a"][0] == 1234
    written = [f"{i},234;0,{i}" for i in range(1, 10)]
    assert columns(table(rows(*written, header="a;y")))["a"][0] == pytest.approx(1.234)
    written = [f"{'1,5' if i % 3 else ''};{i}" for i in range(1, 10)]
    assert set(columns(table(rows(*written, header="a;y")))["a"]) == {1.5}  # a gap is no other way to write


@pytest.mark.parametrize(
    ("options", "expected"), [({"decimal": "."}, 1234), ({"decimal": ","}, 1.234), ({"thousands": ","}, 1234)]
)
def test_what_may_be_two_numbers_is_asked_for(options: dict, expected: float, table: Made) -> None:
    content = rows(*[f'"{i},234",{i}' for i in range(1, 10)])
    assert refused(table, content) == (
        "data.path=table.csv: column a holds 1,234, which may be 1234 (data.decimal=.) or 1.234 ('data.decimal=\",\"')"
    )
    assert columns(table(content, **options))["a"][0] == pytest.approx(expected)


def test_numbers_written_in_two_ways_are_refused_with_both(table: Made) -> None:
    content = rows(*[f"{i},5;0.{i}53" for i in range(1, 10)], header="a;y")
    assert refused(table, content) == (
        "data.path=table.csv: columns a (1,5) and y (0.153) write their numbers differently; give data.decimal or "
        "data.thousands, and what does not fit is taken for text"
    )
    assert "a=1,5" in columns(table(content, decimal="."))


DATES = {
    "2026-01-0%d": [0, 1, 2],
    "2026/1/%d": [0, 1, 2],
    "%d.01.2026 12:00": [0, 1, 2],
    "0%d Feb 2026": [0, 1, 2],
    "2026-0%d": [0, 31, 59],
    "2026-01-01T0%d:00:00Z": [0, 1 / 24, 2 / 24],
}


@pytest.mark.parametrize("written", DATES)
def test_dates_become_days(written: str, table: Made) -> None:
    content = rows(*[f"{written % (1 + i % 3)},{i}" for i in range(9)])
    content = content.replace("3.01.2026", "31.01.2026").replace("2.01.2026", "30.01.2026")
    found = columns(table(content))
    expected = [0, 29, 30] if ".01." in written else DATES[written]
    assert found.keys() == {"a", "y"}
    assert sorted(set(found["a"])) == pytest.approx(expected)


def test_dates_of_two_readings_are_asked_for(table: Made) -> None:
    content = rows(*[f"0{i}/02/2026,{i}" for i in range(1, 8)])
    assert refused(table, content) == (
        "data.path=table.csv: column a holds 01/02/2026, which may be 2026-02-01 (data.dates=%d/%m/%Y) or "
        "2026-01-02 (data.dates=%m/%d/%Y)"
    )
    assert columns(table(content, dates="%d/%m/%Y"))["a"] == [0, 1, 2, 3, 4, 5, 6]
    assert columns(table(content, dates={"a": "%m/%d/%Y"}))["a"] == [0, 31, 59, 90, 120, 151, 181]
    assert "a" not in columns(table(content, dates={}))
    other = rows(*[f"0{i}/02/2026,{i + 12}/02/2026,{i}" for i in range(1, 8)], header="a,b,y")
    assert columns(table(other))["a"] == [0, 1, 2, 3, 4, 5, 6]  # the other column shows that the day comes first


def test_dates_may_be_told(table: Made) -> None:
    content = rows(*[f"2026010{i},2026년 1월 {i}일,{i}" for i in range(1, 8)], header="a,b,y")
    found = columns(table(content, dates={"a": "%Y%m%d", "b": "%Y년 %m월 %d일"}, features=["a", "b"]))
    assert found["a"] == found["b"] == [0, 1, 2, 3, 4, 5, 6]
    assert refused(table, content, dates="%d.%m.%Y") == (
        "data.dates=%d.%m.%Y: no column of data.path=table.csv holds such dates alone"
    )
    assert "data.dates={a: %d.%m.%Y}: column a" in refused(table, content, dates={"a": "%d.%m.%Y"})
    assert "bad directive" in refused(table, content, dates="%Q")


@pytest.mark.parametrize("word", ["NA", "None", "nan", "-", "null", "n/a"])
def test_only_an_empty_cell_is_missing_unless_told(word: str, table: Made) -> None:
    content = rows(*[f"{i},{word if i % 2 else 'b'}" for i in range(30)])
    assert table(content, task="binary").task.classes == sorted([word, "b"])
    content = rows(*[f"{word if i == 3 else i + 0.5},{i}" for i in range(30)])
    assert refused(table, content) == (
        f"data.path=table.csv: column a holds {word!r} beside its numbers; only an empty cell counts as missing: with "
        f"{argument('data.missing', [word])} these do too, with data.missing=[] the column is one of texts"
    )
    assert columns(table(content, missing=[word])).keys() == {"a", "y"}
    assert f"a={word}" in columns(table(content, missing=[]))


def test_missing_targets_are_told_or_left_out(table: Made, caplog: pytest.LogCaptureFixture) -> None:
    content = rows(*[f"{i},{'' if i in (3, 5) else i % 3}" for i in range(30)])
    assert refused(table, content) == (
        "data.target=y: 2 rows of table.csv have no value in it (an empty cell; data.missing names other words for "
        "it); data.drop_missing=true leaves them out"
    )
    assert sum(table(content, drop_missing=True).sizes.values()) == 28
    assert table(content, drop_missing=True, task="multiclass").task.classes == ["0", "1", "2"]  # and not 0.0
    marked = content.replace(",\n", ",?\n")
    assert "such as '?'" in refused(table, marked, missing=[])
    assert "data.missing=[?]" in refused(table, marked)
    assert "(an empty cell or ?; " in refused(table, marked, missing="?")


def test_encodings_are_found_or_asked_for(table: Made) -> None:
    content = rows(*[f"서울,{i},{i}" for i in range(9)], header="도시,면적,y")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert columns(table(content.encode(encoding))).keys() == {"면적", "도시=서울", "y"}
    assert columns(table(content.encode("cp949"), encoding="cp949")).keys() == {"면적", "도시=서울", "y"}
    assert "data.encoding=cp949 reads '도시' in it" in refused(table, content.encode("cp949"))
    assert "data.encoding=utf-16-le reads '도시' in it" in refused(table, content.encode("utf-16-le"))
    assert "data.encoding=cp1252 reads 'été' in it" in refused(table, rows("été,1").encode("latin-1"))
    assert refused(table, content, encoding="cp94") == "data.encoding=cp94: there is no such encoding of texts"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(separator: str, table: Made) -> None:
    assert columns(table(rows(*[f"{i}{separator}{i}" for i in range(9)], header=f"a{separator}y"))).keys() == {"a", "y"}


def test_separators_are_asked_for(table: Made) -> None:
    assert columns(table(rows(*[f"{i} {i}" for i in range(9)], header="a y"), separator=" ")).keys() == {"a", "y"}
    assert "data.separator says what separates its columns" in refused(table, rows("1 2", header="a y"))
    both = rows(*["1,2;3,4"] * 9, header="a,b;c,y")
    assert "',' and ';' both divide every row alike" in refused(table, both)
    assert "one letter is needed" in refused(table, both, separator=", ")


@pytest.mark.parametrize(
    ("content", "line", "cells"),
    [("a,y\n1,2\n3,4,5\n", 3, "3 cells"), ("a,y\n1,2\n3\n", 3, "1 cell"), ('a,y\n"1\n\n1",2\n\n3,4,\n', 6, "3 cells"),
     ("a,y\n1,2,\n", 2, "3 cells"), ("a,y\r\n1,2\r\n1,5,2\r\n", 3, "3 cells")],
)  # fmt: skip
def test_ragged_rows_are_refused_with_their_line(content: str, line: int, cells: str, table: Made) -> None:
    assert f"line {line} has {cells}, and the header has 2" in refused(table, content)


def test_what_says_nothing_is_left_out_loudly(table: Made, caplog: pytest.LogCaptureFixture) -> None:
    header = ",id,a,a,day,b,y"
    content = rows(*[f"{i},{70 - i},{i % 3},{i % 3}.0,{i + 1},x{i % 2},{i / 2}" for i in range(30)], header=header)
    assert columns(table(content)).keys() == {"a", "day", "b=x0", "b=x1", "y"}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "WARNING: column Unnamed: 0, id is left out: a saved index, which says nothing of a new row; data.features can "
        "name it",
        "WARNING: column a.1 is left out: the same as column a; data.features can name it",
        "WARNING: column day counts the rows; where it means no more than that, data.features can leave it out",
    ]
    named = table(content, features=["id", "a", "a.1"])
    assert named.encoder.names == ["id", "a", "a.1"]
    assert table(rows(*[f"{i},{2 * i}" for i in range(9)], header="id,y")).encoder.names == ["id"]  # all there is


def test_a_copy_of_the_target_and_numbers_among_texts_are_told(table: Made, caplog: pytest.LogCaptureFixture) -> None:
    table(rows(*[f"{i / 2},{i if i else 'n.v.'},{i / 2}" for i in range(30)], header="copy,a,y"))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "WARNING: column a has 30 different texts in 30 rows, most of them numbers, but for such as 'n.v.'; "
        "data.missing can name what means no value",
        "WARNING: column copy is the same as the target y, and tells it; data.features can leave it out",
    ]


def test_a_split_that_is_not_stratified_is_told(table: Made, caplog: pytest.LogCaptureFixture) -> None:
    table(rows(*[f"{i},{'b' if i else 'c'}" for i in range(40)]), task="binary")
    (warning,) = [record.getMessage() for record in caplog.records if "stratified" in record.getMessage()]
    assert warning == (
        "WARNING: the split is not stratified, since class c has 1 row: a class may be missing from a split"
    )
    caplog.clear()
    table(rows(*[f"{i},{'bc'[i % 2]}" for i in range(40)]), task="binary")
    assert not [record for record in caplog.records if "stratified" in record.getMessage()]


def values_of(datamodule: CSV) -> dict[str, list[float]]:
    return {name: sorted(split.y[:, 0].tolist()) for name, split in datamodule.splits.items()}


TWENTY = rows(
    *[
        f"{i * 7 % 20},{['train', 'Test', 'validation', 'train'][i % 4]},g{i // 4},2026-01-{20 - i:02},{i}"
        for i in range(20)
    ],
    header="a,which,group,day,y",
)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [({}, [16, 2, 2]), ({"val_size": 0.2}, [14, 4, 2]), ({"test_size": 0.25, "val_size": 3}, [12, 3, 5]),
     ({"split": "which"}, [10, 5, 5]), ({"order": "day", "test_size": 4}, [14, 2, 4]),
     ({"test_path": "FILE"}, [18, 2, 6]), ({"test_path": "FILE", "val_size": 6}, [14, 6, 6])],
)  # fmt: skip
def test_splits_have_the_sizes_that_are_asked_for(options: dict, sizes: list[int], table: Made) -> None:
    other = rows(*[f"{i},{100 + i}" for i in range(6)])
    datamodule = table(TWENTY, other, features=["a"], **options)
    found = values_of(datamodule)
    assert [len(found[name]) for name in ("train", "val", "test")] == sizes
    everything = sorted(chain(*found.values()))
    assert everything == [*range(20), *(range(100, 106) if "test_path" in options else [])]
    if "split" in options:
        assert found["test"] == [1, 5, 9, 13, 17]
    if "order" in options:
        assert (found["test"], found["val"]) == ([0, 1, 2, 3], [4, 5])
    if "test_path" in options:
        assert found["test"] == list(range(100, 106))


def test_columns_that_say_how_to_split_are_no_features(table: Made) -> None:
    assert table(TWENTY, split="which", features=None).encoder.columns.keys() == {"a", "group", "day"}
    assert "day" not in table(TWENTY, order="day").encoder.columns


def test_groups_stay_together_in_splits_and_folds(table: Made) -> None:
    def groups(datamodule: CSV, name: str) -> set[int]:
        return {int(y) // 4 for y in datamodule.splits[name].y[:, 0]}

    datamodule = table(TWENTY, group="group", test_size=5)
    assert [len(groups(datamodule, name)) for name in ("train", "val", "test")] == [3, 1, 1]
    assert not groups(datamodule, "train") & groups(datamodule, "val")
    folds = [table(TWENTY, group="group", fold=fold, num_folds=4) for fold in range(4)]
    assert len(set.union(*(groups(fold, "val") for fold in folds))) == 4
    for fold in folds:
        assert not groups(fold, "train") & (groups(fold, "val") | groups(fold, "test"))
    assert "4 groups" in refused(table, TWENTY, group="group", fold=0, num_folds=5)
    assert "has 2 groups, too few for 3 splits" in refused(
        table, TWENTY.replace("g4", "g0").replace("g3", "g0").replace("g2", "g0"), group="group"
    )


def test_folds_leave_the_test_of_a_column_or_a_file(table: Made) -> None:
    for options in ({"split": "which"}, {"test_path": "FILE"}):
        other = rows(*[f"{i},{100 + i}" for i in range(6)])
        folds = [
            values_of(table(TWENTY, other, features=["a"], fold=fold, num_folds=3, **options)) for fold in range(3)
        ]
        assert len({tuple(fold["test"]) for fold in folds}) == 1
        assert sorted(chain(*(fold["val"] for fold in folds))) == sorted(folds[0]["train"] + folds[0]["val"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"split": "which", "group": "group"}, "data.split=which and data.group=group: one of them can say"),
        ({"order": "day", "fold": 0}, "data.fold=0: does not go with data.order=day"),
        ({"val_size": 3, "fold": 0}, "data.val_size=3: would do nothing, since data.fold says"),
        ({"test_size": 3, "test_path": "FILE"}, "data.test_size=3: would do nothing, since data.test_path"),
        ({"val_size": 3, "split": "which"}, "data.val_size=3: would do nothing, since data.split=which"),
        ({"split": "which", "test_path": "FILE", "features": ["a"]}, "data.split=which: says test of rows of TABLE"),
        ({"split": "group"}, "data.split=group: says g0 of a row of"),
        ({"split": "wich"}, "data.split=wich: TABLE has no such column, only a, which"),
        ({"order": "group"}, "data.order=group: holds g0, and numbers or dates are needed"),
        ({"test_size": 15, "val_size": 0.5}, "of 20 rows, 15 for test and 10 for val leave none for training"),
        ({"test_path": "FILE", "features": ["a", "day"]}, "data.features=day: OTHER has no such column"),
    ],
)
def test_splits_that_make_no_sense_are_refused(options: dict, expected: str, table: Made, tmp_path: Path) -> None:
    other = rows(*[f"{i},{100 + i}" for i in range(6)])
    with pytest.raises(UserError) as error:
        table(TWENTY, other, **options)
    expected = expected.replace("TABLE", str(tmp_path / "table.csv")).replace("OTHER", str(tmp_path / "other.csv"))
    assert expected in str(error.value)


def test_a_model_reads_new_files_as_it_has_learned(table: Made, tmp_path: Path) -> None:
    """Decimal commas, thousands, dates, words and codes by what training has shown, though the new file shows less."""
    cells = [f"1.{i:03},5;1{i % 10}.02.2026;0{2 + i % 2};{'-' if i == 3 else i};{i}" for i in range(1, 20)]
    first = table(rows(*cells, "1;28.02.2026;x;1;1", header="a;day;code;b;y"), missing=["-"])
    other = CSV(path="unused.csv", target="y", standardize=False)
    other.load_state_dict(first.state_dict())
    (tmp_path / "new.csv").write_text(rows("1.234;12.02.2026;02;-", ";13.03.2026;03;2,5", header="a;day;code;b"))
    x = other.read_inputs(tmp_path / "new.csv")
    found = dict(zip(first.encoder.names, x.T.tolist(), strict=True))
    assert found["a"][0] == 1234
    assert found["day"] == [2, 31]
    assert found["b"][1] == 2.5
    assert np.isnan([found["a"][1], found["b"][0]]).all()
    assert (found["code=02"], found["code=03"]) == ([1, 0], [0, 1])
    (tmp_path / "new.csv").write_text(rows("1,2;2026-03-13;02;1", header="a;day;code;b"))
    with pytest.raises(UserError, match=r"column day holds 2026-03-13, which is no date of the form %d.%m.%Y"):
        other.read_inputs(tmp_path / "new.csv")


def test_an_encoder_of_before_reads_as_before(table: Made, tmp_path: Path) -> None:
    """A checkpoint without a reading: the words of pandas for gaps, and no dates."""
    first = table(rows(*[f"{i},{i}" for i in range(9)]))
    state = {key: value for key, value in first.state_dict().items() if key != "reading"}
    other = CSV(path=str(tmp_path / "table.csv"), target="y", standardize=False)
    other.load_state_dict(state)
    (tmp_path / "new.csv").write_text("a\nNA\n2\n")
    assert np.isnan(other.read_inputs(tmp_path / "new.csv")[0, 0].item())
    other.setup()
    assert columns(other) == columns(first)
    less = CSV(path=str(tmp_path / "less.csv"), target="y")
    less.load_state_dict(state)
    (tmp_path / "less.csv").write_text(rows(*["1,2"] * 9, header="b,y"))
    with pytest.raises(UserError, match=r"data.features=a: .* has no such column, only b, y"):
        less.setup()


@pytest.mark.parametrize(
    "reading",
    [
        3,
        {"separator": 5},
        {"decimal": ".."},
        {"dates": {"a": ["%Y"]}},
        {"dates": {"a": ["%Y", "x"]}},
        {"missing": 1},
    ],
)
def test_a_reading_out_of_a_checkpoint_is_not_trusted(reading: object, table: Made) -> None:
    first = table(rows(*[f"{i},{i}" for i in range(9)]))
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        CSV(path="unused.csv", target="y").load_state_dict({**first.state_dict(), "reading": reading})


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("data.target=가격", "가격"),
        ("data.target=가격 총액", "가격 총액"),
        ("data.target=[가격,naïve]", ["가격", "naïve"]),
        ("data.features=[면적,'b c',\"층\"]", ["면적", "b c", "층"]),
        ("data.path=폴더/가격.csv", "폴더/가격.csv"),
    ],
)
def test_names_in_any_script_are_taken_as_they_are_typed(typed: str, read: object) -> None:
    (override,) = parse([typed], [])
    assert override.value() == read
    (again,) = parse([override.input_line or ""], [])  # what the run keeps is read again when it goes on
    assert again.value() == read


def test_a_config_is_composed_with_names_in_any_script() -> None:
    assert compose_config("data=csv", "data.path=a.csv", "data.target=가격").data.target == "가격"


@pytest.mark.parametrize(
    "name", ["price (usd)", "size [m2]", "a=b", "a,b", "50 %, net", "#1", 'say "hi"', "it's", "가격(원)", "a{b}", "a\\"]
)
def test_names_with_special_characters_are_told_as_they_are_typed(name: str) -> None:
    problems: list[str] = []
    (*overrides,) = parse([f"data.target={name}"], problems)
    told = [*problems, *(one_text(override) for override in overrides if override.is_sweep_override())]
    for text in told:
        words = text.partition("for the shell: ")[2] or text.partition("as one text: ")[2]
        (override,) = parse(shlex.split(words), [])
        assert override.value() == name
    assert told or overrides[0].value() == name
    (features,) = parse(shlex.split(argument("data.features", [name, "b"])), [])
    assert features.value() == [name, "b"]


def test_a_near_name_is_told_as_it_is_typed(table: Made) -> None:
    content = rows(*[f"{i},{i}" for i in range(9)], header='a,"price (usd)"')
    assert "did you mean price (usd)? ('data.target=\"price (usd)\"')" in refused(table, content, target="price usd")


# Longley, Journal of the American Statistical Association 62 (1967), as certified by NIST's Statistical Reference
# Datasets (www.itl.nist.gov/div898/strd/lls/data/Longley.shtml): y, then x1 to x6, and the coefficients.
LONGLEY = """
60323,83.0,234289,2356,1590,107608,1947
61122,88.5,259426,2325,1456,108632,1948
60171,88.2,258054,3682,1616,109773,1949
61187,89.5,284599,3351,1650,110929,1950
63221,96.2,328975,2099,3099,112075,1951
63639,98.1,346999,1932,3594,113270,1952
64989,99.0,365385,1870,3547,115094,1953
63761,100.0,363112,3578,3350,116219,1954
66019,101.2,397469,2904,3048,117388,1955
67857,104.6,419180,2822,2857,118734,1956
68169,108.4,442769,2936,2798,120445,1957
66513,110.8,444546,4681,2637,121950,1958
68655,112.6,482704,3813,2552,123366,1959
69564,114.2,502601,3931,2514,125368,1960
69331,115.7,518173,4806,2572,127852,1961
70551,116.9,554894,4007,2827,130081,1962
"""
CERTIFIED = [
    *(-3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683, -1.03322686717359),
    *(-0.511041056535807e-01, 1829.15146461355),
]


def test_rows_in_double_precision_keep_the_digits_of_the_file(table: Made, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("y,x1,x2,x3,x4,x5,x6" + LONGLEY)
    datamodule = CSV(path=str(tmp_path / "table.csv"), target="y")
    keep_in_precision(datamodule, "64-true")
    datamodule.setup()
    splits = [datamodule.splits[name] for name in ("train", "val", "test")]
    x, y = (torch.cat([getattr(split, name) for split in splits]) for name in "xy")
    assert x.dtype == y.dtype == datamodule.task.mean.dtype == torch.float64
    mean, std = np.array(datamodule.encoder.mean), np.array(datamodule.encoder.std)
    design = np.column_stack([np.ones(16), x.numpy()])
    (constant, *slopes), *_ = np.linalg.lstsq(design, datamodule.task.target(y).numpy()[:, 0], rcond=None)
    slopes = np.array(slopes) / std * datamodule.task.std.item()
    constant = constant * datamodule.task.std.item() + datamodule.task.mean.item() - slopes @ mean
    digits = -np.log10(np.abs(np.array([constant, *slopes]) / CERTIFIED - 1) + 1e-16)
    assert digits.min() > 10


UNORDERED = rows(
    *[f"{'xyz'[i % 3]},{['True', 'False', ''][i % 3]},{i * 7 % 20},{i}" for i in range(20)], header="t,b,a,y"
)


@pytest.mark.parametrize("features", [None, ["t", "a", "b"]])
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_table_with_texts_first_stays_the_same_data(decimal: str, features: list | None, table: Made) -> None:
    """The encoder puts numbers first; a run goes on where its rows are as they were, in the order of the file."""
    content = UNORDERED if decimal == "." else UNORDERED.replace(",", ";").replace("\n", ",5\n").replace("y,5", "y")
    first = table(content, features=features)
    again = CSV(path=str(first.path), target="y", standardize=False, features=features)
    again.load_state_dict(first.state_dict())
    again.setup()
    assert again.digest == first.digest
    assert columns(again) == columns(first)
    assert list(first.sizes) == ["train", "val", "test"]


def test_words_among_many_numbers_are_found_at_once() -> None:
    cells = [f"{i},5" for i in range(200_000)]
    with pytest.raises(UserError, match="column a holds 'NA' beside its numbers"):
        check_words({"a": [*cells, "NA"]}, "table.csv", Reading(decimal=","))


TWO_CLASSES = rows(*[f"{i},{'bc'[i % 2]}" for i in range(20)])
HALVES = rows(*[f"{i},{i + 0.5}" for i in range(1, 20)])
NO_MONTHS = rows(*[f"20{i:02}-{i + 1:02},{i}" for i in range(1, 11)])
THREE = rows(*[f"{i // 4},{i % 7},{i % 2}" for i in range(20)], header="b,a,y")
BIRTHS = rows(*[f"31/12/{i},{i}" for i in range(60, 80)])
ADDRESSES = rows(*[f"1.{i}.200,{i}" for i in range(200, 210)])


@pytest.mark.parametrize(
    ("content", "other", "options", "expected"),
    [
        (TWO_CLASSES, rows("1,d"), {"task": "binary"}, "data.test_path=OTHER: the class d is none of training, which"),
        (HALVES, "a,y\n", {}, "data.test_path=OTHER: has no rows to test with"),
        (HALVES, rows("x,1"), {}, "data.test_path=OTHER: column a holds x, which is no number"),
        (HALVES, rows("1,1e39"), {}, "data.test_path=OTHER: column y holds infinite values, or beyond"),
        (
            rows(*[f"{i},5;{i}" for i in range(9)], header="a;y"), rows("1.5;2", header="a;y"), {},
            "data.test_path=OTHER: column a holds 1.5, which is no number, as the model has learned to read them "
            "(decimal ,)",
        ),
        (BIRTHS, "", {}, "column a holds 31/12/68, which may be of 1968 or 2068: give years of four digits, or "
         "data.dates=%d/%m/%y for 2068"),
        (ADDRESSES, "", {}, "column a holds 1.200.200, which may be 1200200 (data.thousands=.) or a text "
         "(data.decimal=.)"),
        (NO_MONTHS, "", {}, "column a holds 2001-02, which may be a month (data.dates=%Y-%m) or a season, which is text"
         " (data.dates={})"),
        (rows(*["1;2;3"] * 9, header="a;y;y"), "", {}, "data.target=y: TABLE has several columns of this name"),
        (rows(*["1;2;3"] * 9, header="g;g;y"), "", {"group": "g"}, "data.group=g: TABLE has several columns of this"),
        (HALVES, "", {"separator": ";"}, "'data.separator=\";\"': the header of TABLE has none"),
        ("sep=,\n" + HALVES, "", {}, "its first line, sep=,, is for Excel alone; delete it"),
        (THREE, "", {"target": ["a", "y"], "task": "binary"}, "data.target: data.task=binary takes one column, not 2"),
        (THREE, rows("3,1,1", header="b,a,y"), {"group": "b"}, "data.group=b: 3 has rows in TABLE and in"),
    ],
)  # fmt: skip
def test_what_would_be_silently_wrong_is_refused(
    content: str, other: str, options: dict, expected: str, table: Made, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        table(content, other, **({"test_path": "FILE"} if other else {}), **options)
    expected = expected.replace("TABLE", str(tmp_path / "table.csv")).replace("OTHER", str(tmp_path / "other.csv"))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("content", "options", "found"),
    [
        (BIRTHS, {"dates": "%d/%m/%y"}, {"a": 20}),
        (rows(*[f"31/12/{i},{i}" for i in (*range(95, 100), *range(10, 20))]), {}, {"a": 15}),
        (ADDRESSES, {"thousands": "."}, {"a": 10}),
        (NO_MONTHS, {"dates": "%Y-%m"}, {"a": 10}),
        (rows(*[f"{'-' if i == 3 else f'2026-01-0{i}'},{i}" for i in range(1, 9)]), {"missing": ["-"]}, {"a": 7}),
        (rows(*[f"\u2212{i},{i}" for i in range(1, 9)]), {}, {"a": 8}),
        (rows(*[f"\u00a0{i}\u202f,{i}" for i in range(1, 9)]), {}, {"a": 8}),
    ],
)
def test_what_is_told_or_certain_is_read(content: str, options: dict, found: dict, table: Made) -> None:
    read = columns(table(content, **options))
    del read["y"]
    assert {name: len(set(values)) for name, values in read.items()} == found


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (ADDRESSES, {"decimal": "."}),
        (NO_MONTHS, {"dates": {}}),
        (rows(*[f"{'-' if i == 3 else f'2026-01-0{i}'},{i}" for i in range(1, 9)]), {"missing": []}),
    ],
    ids=["addresses", "seasons", "dates with a word"],
)
def test_what_is_told_to_be_text_stays_text(content: str, options: dict, table: Made) -> None:
    assert table(content, **options).encoder.columns["a"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([f"{i}%" for i in range(5)], "column a has 5 different texts in 40 rows, such as '0%'; where these are num"),
        ([f"$1{i}.50" for i in range(5)], "column a has 5 different texts in 40 rows, such as '$10.50'; where"),
        (["1,5", "2.5", "3.5", "4.5"], "column a has 4 different texts in 40 rows, most of them numbers, but for such"),
        (["1", "2", "3", "4", "n/v"], "most of them numbers, but for such as 'n/v'; data.missing can name what"),
        (["Q1", "Q2", "Q3"], None),
    ],
)
def test_numbers_that_became_texts_are_told(
    cells: list[str], expected: str | None, table: Made, caplog: pytest.LogCaptureFixture
) -> None:
    table(rows(*[f"{cells[i % len(cells)]};{i + 0.5}" for i in range(40)], header="a;y"))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == (expected is not None)
    assert all(expected is not None and expected in text for text in warnings)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("a,a,y", "several columns are named a: the second is taken as NAME.1"),
     ("1,2,3", "the header holds numbers alone, 1, 2, 3: the first line should name the columns")],
)  # fmt: skip
def test_an_odd_header_is_told(header: str, expected: str, table: Made, caplog: pytest.LogCaptureFixture) -> None:
    table(rows(*[f"{i % 3},{i % 4},{i + 0.5}" for i in range(20)], header=header), target=header[-1])
    assert f"WARNING: {expected}" in caplog.messages


def test_one_large_group_is_for_training(table: Made, caplog: pytest.LogCaptureFixture) -> None:
    content = rows(*[f"{'x' if i < 18 else i},{i}" for i in range(20)])
    assert table(content, group="a", features=["a"]).sizes == {"train": 18, "val": 1, "test": 1}
    assert "part that was" not in caplog.text
    table(rows(*[f"{i // 7},{i}" for i in range(21)]), group="a", features=["a"])
    assert "WARNING: 7 rows of one group are in a part that was to have 2" in caplog.messages


def test_a_test_file_may_write_truths_as_numbers(table: Made) -> None:
    content = rows(*[f"{i % 2 == 0},{i}" for i in range(20)])
    x = table(content, rows("1,3", "0,4"), test_path="FILE").splits["test"].x
    assert x.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(UserError, match="column a holds 2, and True or False is needed"):
        table(content, rows("2,3"), test_path="FILE")


def test_other_data_are_not_scored_on_the_old_test_file() -> None:
    saved = {"data": {"path": "a.csv", "test_path": "test.csv"}}
    with pytest.raises(UserError) as error:
        check_test(saved, ["data.path=b.csv"])
    assert str(error.value) == (
        "data.path=b.csv: the test of the run is data.test_path=test.csv; give data.test_path=b.csv too for the test "
        "on all of these rows, or data.test_path=null for one on a part of them"
    )
    for given in (["data.path=b.csv", "data.test_path=b.csv"], ["data.test_path=null", "data.path=b.csv"], ["seed=1"]):
        check_test(saved, given)
    check_test({"data": {"path": "a.csv", "test_path": None}}, ["data.path=b.csv"])
