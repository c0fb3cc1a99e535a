"""Lessons 8 and 13 to 15: their commands run, their numbers are those of their scripts, and their answers are right."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from math import comb

import pytest
import torch
from torch import nn

from course import Checkout, answers, commands, page, script, smallest
from kindling.data.images import Digits
from kindling.studies.page import block
from kindling.studies.study import read_study

LESSONS = (8, 13, 14, 15)
LONG = ("docs/course/code/tuning.py", "sweep=random", "sweep=cmaes")  # as sweep=tpe


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("course"))


def others() -> list[object]:
    """Commands that are no scripts of a lesson, in their order, for some need the run of those before them."""
    found = dict.fromkeys(command for lesson in LESSONS for command in commands(page(lesson)))
    return [
        pytest.param(command, marks=[pytest.mark.slow] if any(text in command for text in LONG) else [])
        for command in found
        if "course/code" not in command or any(text in command for text in LONG)
    ]


@pytest.mark.parametrize("command", others())
def test_every_command_runs(command: str, checkout: Checkout) -> None:
    if "RUN" in command and checkout.newest_run() == "RUN":  # alone, or in another process than those before it
        checkout.run("train.py", "data.source=subset", "trainer.max_epochs=1")
    printed = checkout.run(*smallest(command))
    assert printed


@pytest.mark.parametrize(("lesson", "script"), [(13, "paths"), (14, "parameters")])
def test_the_tables_of_the_page_are_those_of_its_script(lesson: int, script: str, checkout: Checkout) -> None:
    printed = checkout.run(f"docs/course/code/{script}.py")
    blocks = [name for name in re.findall(r"<!-- (.+) -->", page(lesson).read_text()) if name != "end"]
    for name in [name for name in blocks if not name.startswith(("study ", "made by "))]:
        assert block(page(lesson), name) in printed
    assert max(map(len, printed.splitlines())) < 80


def numbers(table: str) -> list[float]:
    """The percentages of a table, from above."""
    return [float(number) for number in re.findall(r"([\d.]+) %", table)]


def test_a_leak_makes_noise_predictable_and_wrong_modes_cost_accuracy(checkout: Checkout) -> None:
    """What trained nets score differs by a percent between processors; what the page says of it does not."""
    fit, dropout, norm, leak = checkout.run("docs/course/code/generalisation.py").split("\n\n")
    assert leak.strip() == block(page(8), "leak")
    honest, filled_by_class, chosen = (numbers(leak)[place] for place in (3, 2, 4))
    assert honest == 50
    assert min(filled_by_class, chosen) > 80
    for name, printed in (("fit", fit), ("dropout", dropout), ("batch norm", norm)):
        assert numbers(printed) == pytest.approx(numbers(block(page(8), name)), abs=4)
    simple, few, both = (numbers(fit)[place : place + 2] for place in (0, 2, 4))
    assert simple[0] < 50
    assert few[0] == both[0] == 100
    assert few[1] < both[1] - 10
    assert numbers(dropout)[0] > numbers(dropout)[1] + 2
    assert numbers(norm)[3] < 30 < 90 < numbers(norm)[1]


def test_momentum_leaves_the_hollow_in_which_gradient_descent_stays() -> None:
    table = block(page(13), "hollows")
    assert "| gradient descent | 0.03, 0.1, 0.3 | no rate |" in table
    assert "| momentum | 0.003, 0.01 | 0.03, 0.1 |" in table
    paths = script("paths")
    turned = paths.turned_valley(torch.tensor([[-5.515, 7.212]], dtype=torch.float64))
    assert turned.item() == pytest.approx(paths.valley(torch.tensor([-9.0, 1.2])).item(), rel=1e-3)


def test_each_optimizer_has_had_the_same_budget() -> None:
    tried: dict[str, int] = {}
    for row in read_study("optimizers_lr").rows:
        name = row.rpartition(" ")[0]
        tried[name] = tried.get(name, 0) + 1
    study = read_study("optimizers")
    assert tried == dict.fromkeys(study.rows, 6)
    searched = read_study("optimizers_lr").rows
    for name, overrides in study.rows.items():
        rate = overrides[-1].partition("=")[2]
        assert searched[f"{name} {rate}"] == overrides  # the best is one of those that were tried


# The answers: each computed, and found in what the page says.
def updates() -> str:
    return f"{math.ceil((70_000 - 10_000 - 5_000) / 128)}:"


def kept_units() -> str:
    torch.manual_seed(0)
    return f"by {nn.Dropout(0.5)(torch.ones(100)).max():.0f},"


def lucky_features() -> str:
    chance = sum(comb(50, heads) for heads in range(35, 51)) / 2**50
    assert f"{chance:.4f}" in page(8).read_text()
    return f"About {2000 * chance:.0f}:"


def momentum() -> str:
    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0, momentum=0.9)
    w.grad = torch.ones(1)
    for _ in range(200):
        before = w.item()
        optimizer.step()
    return f"{before - w.item():.0f} times"


def first_step_of_adam() -> str:
    w = torch.zeros(2, requires_grad=True)
    w.grad = torch.tensor([5.0, 0.002])
    torch.optim.Adam([w], lr=0.001).step()
    first, second = w.abs().tolist()
    assert first == pytest.approx(second, rel=1e-4)
    return f"Both by {first:.3f}."


def fastest_rate() -> str:
    paths = script("paths")
    for rate, flies in ((0.0395, False), (0.0405, True)):
        end = paths.path(paths.valley, (0.0, 1.0), "gradient descent", rate)[-1, 1].item()
        assert (abs(end) > 1) == flies
    return "0.04, which is 2 / 50"


def parameters(*sizes: int) -> int:
    net = nn.Sequential(*(nn.Linear(before, after) for before, after in pairwise(sizes)))
    return eval(answers(14)[2].strip("`"), {"net": net})


def deeper() -> str:
    return f"{parameters(784, 128, 64, 10):,}:"


def more_than_images() -> str:
    return f"{next(units for units in range(1, 200) if parameters(784, units, 10) > 55_000)}."


def line_that_counts() -> str:
    assert parameters(784, 256, 10) == 203_530
    return "numel()"


def jobs_of_a_grid() -> str:
    return f"{5 * 4 * 3 * 3}:"


def draws() -> str:
    return f"{next(number for number in range(1, 200) if 0.95**number <= 0.05)}."


def spread_of_validation() -> str:
    data = Digits()
    data.setup()
    rows = data.sizes["val"]
    assert f"{rows} validation rows" in page(15).read_text()
    return f"{100 * math.sqrt(0.95 * 0.05 / rows):.1f} %"


ANSWERS = {
    8: (updates, kept_units, lucky_features),
    13: (momentum, first_step_of_adam, fastest_rate),
    14: (deeper, more_than_images, line_that_counts),
    15: (jobs_of_a_grid, draws, spread_of_validation),
}


@pytest.mark.parametrize(
    ("lesson", "number", "computed"),
    [(lesson, number, one) for lesson, three in ANSWERS.items() for number, one in enumerate(three)],
)
def test_the_answer_is_what_is_computed(lesson: int, number: int, computed: Callable[[], str]) -> None:
    assert computed() in answers(lesson)[number]
