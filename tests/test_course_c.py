"""Lessons 9 to 12: their commands run, their tables are those of the scripts, their answers are right."""

import math
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from conftest import ROOT, Finished
from course import answers, commands, page, script, smallest
from kindling.config.command_line import check_command_line
from kindling.studies.page import block

LESSONS = (9, 10, 11, 12)
BLOCKS = {
    "one_matrix": (9, ["lines", "matrix", "hidden"]),
    "activations": (10, ["slopes", "trained"]),
    "backpropagation": (11, ["output", "units", "check"]),
    "autograd": (11, ["autograd"]),
    "initialisation": (12, ["symmetry", "tanh", "relu"]),
}
ALL = [command for number in LESSONS for command in commands(page(number))]
TRAIN = [command for command in dict.fromkeys(ALL) if command.startswith("python train.py")]


def code(answer: str) -> str:
    return re.search("`([^`]*)`", answer)[1]


@pytest.mark.parametrize("number", LESSONS)
def test_every_block_of_a_page_is_looked_at(number: int) -> None:
    blocks = re.findall(r"<!-- (?!end|study|made by)(.+) -->", page(number).read_text())
    assert sorted(blocks) == sorted(name for place, names in BLOCKS.values() if place == number for name in names)


@pytest.mark.parametrize("command", TRAIN)
def test_every_run_of_a_page_trains(command: str, run: Callable[..., Finished]) -> None:
    arguments = smallest(command)[1:]
    check_command_line(ROOT / "conf", "train", arguments)
    run(*arguments)


@pytest.mark.parametrize("command", [command for command in dict.fromkeys(ALL) if command not in TRAIN])
def test_every_script_of_a_page_prints_its_blocks(command: str) -> None:
    script = smallest(command)[0]  # which checks the name of a study
    if script == "scripts/study.py":
        assert "|" in block(
            next(p for n in LESSONS if command in commands(p := page(n))), f"study {command.split()[2]}"
        )
        return
    number, names = BLOCKS[script.split("/")[-1].removesuffix(".py")]
    alone = ["-I", "-S"] if script.endswith("autograd.py") else []  # it needs the standard library only
    done = subprocess.run([sys.executable, *alone, script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for name in names:
        assert block(page(number), name) in done.stdout


def test_the_answers_of_lesson_9() -> None:
    first, second, third = answers(9)
    w1, w2, b = eval(code(first).split("=")[1])
    z = [w1 * x1 + w2 * x2 + b for x1 in (0, 1) for x2 in (0, 1)]
    assert [value > 0 for value in z] == [False, False, False, True]
    assert f"{z[0]}, {z[1]}, {z[2]} and {z[3]}" in first
    counts = [sum(p.numel() for p in torch.nn.Linear(*size).parameters()) for size in ((2, 8), (8, 8), (8, 1), (2, 1))]
    assert f"{sum(counts[:3])}. The one layer has {counts[3]}." in second
    for x1, x2 in ((0, 0), (0, 1), (1, 0), (1, 1)):
        h1, h2 = max(0, x1 + x2), max(0, x1 + x2 - 1)
        assert eval(code(third), {"h1": h1, "h2": h2}) == (x1 == x2)


def test_the_answers_of_lesson_10() -> None:
    first, second, third = answers(10)
    x = torch.zeros((), requires_grad=True)
    torch.sigmoid(x).backward()
    assert f"{x.grad:g}. Four" in first
    assert f"is {x.grad.item() ** 4:.4f}." in first
    inputs = [-x1 - x2 - 0.5 for x1 in (0, 1) for x2 in (0, 1)]
    assert f"For {sum(value > 0 for value in inputs)} rows: its sums are -0.5, -1.5, -1.5 and -2.5" in second
    assert inputs == [-0.5, -1.5, -1.5, -2.5]
    h = [torch.nn.functional.silu(torch.tensor(3 * total - 4.3)).item() for total in (0, 1, 2)]
    assert f"{h[0]:.3f}, {h[1]:.3f} and {h[2]:.3f}" in third
    assert [eval(code(third).split("=")[1], {"h": value}) > 0 for value in h] == [False, True, False]


def test_the_answers_of_lesson_11() -> None:
    first, second, third = answers(11)
    module = script("backpropagation")
    found = module.there_and_back(x=(1.0, 1.0), y=0.0)
    assert ", ".join(f"{a:.1f}" for a in found.a) == "0.3, 0.6, 1.0, 1.1"
    assert f"z = {found.z:.2f}, p = {found.p:.3f}, and dz = p - y = {found.dz:.3f}" in first
    hand = [number for row in found.dw for number in row] + found.db + found.dv + [found.dc]
    assert hand == pytest.approx(module.by_autograd(x=(1.0, 1.0), y=0.0), abs=1e-12)
    own = script("autograd")
    w = own.Value(3.0)
    loss = w * w
    loss.backward()
    loss.backward()
    assert second.startswith(f"{w.grad:g}. ")
    space = dict(vars(own))
    exec(f"def relu(self):\n    {code(third)}", space)
    for value, slope in ((-2.0, 0), (3.0, 1)):
        x = own.Value(value)
        y = space["relu"](x)
        y.backward()
        assert (y.data, x.grad) == (max(0, value), slope)


def test_the_own_autograd_has_the_gradients_of_torch() -> None:
    """Of all 17 parameters over four rows."""
    own = script("autograd")
    numbers = torch.linspace(-1, 1, 17, dtype=torch.float64)
    weights = [own.Value(number) for number in numbers.tolist()]
    own.loss_of(weights).backward()
    theirs = numbers.requires_grad_()
    x, y = (torch.tensor(part, dtype=torch.float64) for part in zip(*own.ROWS, strict=True))
    hidden = torch.tanh(x @ theirs[:12].reshape(4, 3)[:, :2].T + theirs[2:12:3])
    torch.nn.functional.binary_cross_entropy_with_logits(hidden @ theirs[12:16] + theirs[16], y).backward()
    assert [weight.grad for weight in weights] == pytest.approx(theirs.grad.tolist(), abs=1e-12)


def test_the_answers_of_lesson_12() -> None:
    first, second, third = answers(12)
    torch.manual_seed(0)
    kaiming = torch.nn.init.kaiming_normal_(torch.empty(2000, 784))
    assert kaiming.std().item() == pytest.approx(math.sqrt(2 / 784), rel=0.01)
    assert f"= {math.sqrt(2 / 784):.4f}." in first
    assert f"= {math.sqrt(2 / 6):.3f}." in second
    factor = 0.01 / math.sqrt(2 / 512)
    assert f"= {factor:.2f}, and 0.16 to the power of 6 is {factor**6:.6f}" in third
    row = next(line for line in block(page(12), "relu").splitlines() if "normal 0.01" in line)
    assert f"has {row.split('|')[-2].strip()} after layer 6" in third
