"""Lesson 16 and the published tables: every command, every number of a page, every answer."""

import re
from pathlib import Path

import pytest

from course import COURSE, Checkout, page
from kindling import compose
from kindling.studies.baselines import measure
from kindling.studies.page import block
from kindling.studies.study import read_study

LESSON, PUBLISHED = page(16), COURSE / "published.md"
SAME = ("dummy", "least_squares", "ridge", "knn", "svm")  # on every machine; the others draw random numbers


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    checkout = Checkout(tmp_path_factory.mktemp("course"))
    return {**checkout.run_page(LESSON), **checkout.run_page(PUBLISHED)}


def cells(text: str) -> dict[str, list[str]]:
    """The rows of a table by what stands first in them."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {re.split(r"[, ]", name)[0]: rest for name, *rest in rows}


def test_every_command_of_the_pages_runs(outputs: dict[str, str]) -> None:
    assert "least_squares" in outputs["python scripts/baselines.py data=diabetes"]
    assert "boston" in outputs["python scripts/study.py boston"]
    assert (
        "train 1,294, val 324, test 179"
        in outputs["python scripts/baselines.py data=digits data.fold=0 --only ridge,knn"]
    )


def test_digits_of_agreement_with_certified_values(outputs: dict[str, str]) -> None:
    """Rounding of another machine may cost a digit."""
    found = cells(outputs["python docs/course/code/certified.py Norris Wampler1"])
    told = cells(block(PUBLISHED, "certified"))
    for name in ("Norris", "Wampler1"):
        for ours, written in zip(found[name][1:], told[name][1:], strict=True):
            assert float(ours) == pytest.approx(float(written), abs=1.5)
    assert min(map(float, found["Norris"][1:])) >= 9
    assert float(told["Norris"][1]) >= 9
    assert len(told) == 1 + 14  # and the head


@pytest.mark.parametrize("data", ["linear", "diabetes", "digits"])
def test_the_scores_of_the_page_are_those_of_the_command(data: str) -> None:
    told = cells(block(LESSON, f"others {data}"))
    _, found = measure(compose([f"data={data}"]), SAME)
    for one in found:
        expected = [one.scores[name] for name in ("rmse", "r2", "acc") if name in one.scores]
        assert list(map(float, told[one.method][: len(expected)])) == pytest.approx(expected, rel=2e-3, abs=1e-4)


def test_the_answers_of_lesson_16() -> None:
    answers = LESSON.read_text().partition("## Exercises")[2]
    _, found = measure(compose(["model=xor"]), ["least_squares", "knn"])
    assert {one.method: one.scores["acc"] for one in found} == {"least_squares": 0.5, "knn": 1.0}
    assert "`least_squares` 0.5 and `knn` 1." in answers
    assert answers.count("<details><summary>Answer</summary>") == 3
    numbers = 55_000 * 784
    assert f"{numbers:,} numbers, {round(numbers / 203_530)} times" in answers
    _, found = measure(compose(["data=digits"]), ["knn", "svm"])
    right = {one.method: round(one.scores["acc"] * 179) for one in found}
    assert right == {"knn": 176, "svm": 178}
    assert "is 178, 0.9832 is 176: a difference of 2 images" in answers
    deviation = (0.98 * 0.02 / 179) ** 0.5
    assert f"a score of 0.98 on 179 images moves by {deviation:.2f}" in " ".join(answers.split())


def test_what_the_lesson_says_of_the_tables_is_so() -> None:
    boston = {name: rest for name, *rest in (row.strip("| ").split(" | ") for row in rows_of("study boston"))}
    rmse, r2 = ({name: float(rest[i].split()[0]) for name, rest in boston.items()} for i in (1, 3))
    for net in ("a line", "13-64-1"):
        assert rmse[f"{net}, columns as they are"] > rmse[net]
        assert rmse[f"{net}, the last rows held out"] < rmse[net]
        assert r2[f"{net}, the last rows held out"] < r2[net]


def rows_of(name: str) -> list[str]:
    return [line for line in block(LESSON, name).splitlines() if line.startswith("| ")][2:]


def test_the_printed_nets_on_fashion_mnist_are_those_of_the_table() -> None:
    study = read_study("fashion")
    assert study.published["784-100-10"] == 87.1
    assert "| MLPClassifier | relu, one hidden layer of 100 | 87.1 |" in PUBLISHED.read_text()
    assert Path(study.page) == PUBLISHED
