"""Lesson 6: how many rows an update sees: one, a few, all.

python docs/course/code/batches.py            the tables of the lesson
python docs/course/code/batches.py --write    and the page and its figure anew

The model is the simplest for classes: one layer from the 64 pixels of a digit to 10 classes, plain gradient descent.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from lesson import leave
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LR = 0.1
SIZES = {"one row": 1, "10 rows": 10, "100 rows": 100, "all 1,000": 1000}
Batches = Callable[[int], Iterator[Tensor]]  # from the epoch to the numbers of the rows of each batch


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """1,000 rows to train on and 797 for test."""
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, test = order[:1000], order[1000:]
    return x[train], y[train], x[test], y[test]


def shuffled(num_rows: int, batch_size: int) -> Batches:
    """Another order in each epoch."""

    def batches(epoch: int) -> Iterator[Tensor]:
        order = torch.randperm(num_rows, generator=torch.Generator().manual_seed(epoch))
        yield from order.split(batch_size)

    return batches


class Course:
    """What was seen on the way."""

    def __init__(self) -> None:
        self.batch_loss: list[float] = []  # of each update's own rows, before it
        self.batch_accuracy: list[float] = []
        self.loss: list[float] = []  # over all training rows, at the start and after each epoch
        self.test_error = 0.0


def learn(x: Tensor, y: Tensor, batches: Batches, epochs: int, test: tuple[Tensor, Tensor]) -> Course:
    net = nn.Linear(64, 10)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    course = Course()
    for epoch in range(epochs):
        course.loss.append(loss_function(net(x), y).item())
        for rows in batches(epoch):
            logits = net(x[rows])
            loss = loss_function(logits, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.batch_loss.append(loss.item())
            course.batch_accuracy.append((logits.argmax(dim=1) == y[rows]).float().mean().item())
    course.loss.append(loss_function(net(x), y).item())
    course.test_error = (net(test[0]).argmax(dim=1) != test[1]).float().mean().item()
    return course


# What the page shows.
def courses(epochs: int) -> dict[str, Course]:
    x, y, *test = digits()
    return {name: learn(x, y, shuffled(1000, size), epochs, (test[0], test[1])) for name, size in SIZES.items()}


def table_of_epochs(seen: dict[str, Course]) -> str:
    lines = ["| rows an update | updates in 10 epochs | loss after them | test error |", "|---|---|---|---|"]
    for name, course in seen.items():
        lines.append(f"| {name} | {len(course.batch_loss):,} | {course.loss[-1]:.2f} | {course.test_error:.0%} |")
    return "\n".join(lines)


def table_of_updates() -> str:
    """After as many updates for all, whatever rows they took."""
    x, y, *test = digits()
    lines = ["| rows an update | rows seen in 100 updates | loss after them |", "|---|---|---|"]
    for name, size in SIZES.items():
        endless = shuffled(1000, size)
        first = [rows for epoch in range(100) for rows, _ in zip(endless(epoch), range(100), strict=False)][:100]
        course = learn(x, y, lambda _, first=first: iter(first), 1, (test[0], test[1]))
        lines.append(f"| {name} | {100 * size:,} | {course.loss[-1]:.2f} |")
    return "\n".join(lines)


def table_of_noise() -> str:
    """The loss of many batches, all of the same weights: how far they lie apart."""
    x, y, *_ = digits()
    net = nn.Linear(64, 10)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    draw = torch.Generator().manual_seed(0)
    lines = ["| rows a batch | gradients lie apart by | of one row's |", "|---|---|---|"]
    of_one = 0.0
    for size in (1, 4, 16, 64):
        gradients = []
        for _ in range(1000):
            rows = torch.randint(1000, (size,), generator=draw)
            net.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            assert net.weight.grad is not None
            gradients.append(net.weight.grad.flatten().clone())
        spread = torch.stack(gradients).var(dim=0).sum().sqrt().item()
        of_one = of_one or spread
        lines.append(f"| {size} | {spread:.1f} | {spread / of_one:.2f} |")
    return "\n".join(lines)


def table_of_counts() -> str:
    lines = [
        "| rows | rows a batch | batches an epoch | rows of the last | updates in 10 epochs |",
        "|---|---|---|---|---|",
    ]
    for rows, size in ((100, 20), (105, 20), (105, 105), (105, 1)):
        batches = list(DataLoader(TensorDataset(torch.arange(rows)), batch_size=size))
        lines.append(f"| {rows} | {size} | {len(batches)} | {len(batches[-1][0])} | {10 * len(batches)} |")
    return "\n".join(lines)


def never_seen(num_rows: int, epochs: int, order: Callable[[int], Tensor], whole: bool) -> int:
    """Rows that no update has seen; `whole` keeps the last batch, which is smaller."""
    seen = torch.zeros(num_rows, dtype=torch.bool)
    for epoch in range(epochs):
        rows = order(epoch)
        for number in range(-(-num_rows // 100) if whole else num_rows // 100):
            seen[rows[number * 100 : (number + 1) * 100]] = True
    return int((~seen).sum())


def table_of_left_over() -> str:
    def in_order(epoch: int) -> Tensor:
        return torch.arange(1259)

    def anew(epoch: int) -> Tensor:
        return torch.randperm(1259, generator=torch.Generator().manual_seed(epoch))

    lines = ["| loop over 1,259 rows | never seen in 1 epoch | never seen in 10 |", "|---|---|---|"]
    loops = {
        "`range(len(X) // 100)`, same order": (in_order, False),
        "`range(len(X) // 100)`, shuffled each epoch": (anew, False),
        "`DataLoader(..., batch_size=100)`": (in_order, True),
    }
    for name, (order, whole) in loops.items():
        one, ten = (never_seen(1259, epochs, order, whole) for epochs in (1, 10))
        lines.append(f"| {name} | {one} | {ten} |")
    return "\n".join(lines)


def table_of_order() -> str:
    x, y, *test = digits()
    by_class = torch.argsort(y, stable=True)
    orders: dict[str, Batches] = {
        "shuffled in each epoch": shuffled(1000, 10),
        "all 0s first, then all 1s, ...": lambda _: iter(by_class.split(10)),
    }
    lines = ["| order, batches of 10 | test error after 1 epoch | after 10 |", "|---|---|---|"]
    for name, batches in orders.items():
        one, ten = (learn(x, y, batches, epochs, (test[0], test[1])).test_error for epochs in (1, 10))
        lines.append(f"| {name} | {one:.0%} | {ten:.0%} |")
    return "\n".join(lines)


def draw(seen: dict[str, Course]) -> Any:
    from kindling.figure import Figure, style

    with style():
        figure = Figure(figsize=(5.4, 4.2), layout="constrained")
        panels = figure.subplots(2, 2)
        for axes, (name, course) in zip(panels.flat, list(seen.items())[:3], strict=False):
            axes.plot(course.batch_accuracy[:100], ".", markersize=4)
            axes.set(title=f"{name} an update", ylim=(-0.08, 1.08), xlabel="updates")
        for axes in panels[:, 0]:
            axes.set(ylabel="share of them right")
        last = panels[1, 1]
        for name, course in seen.items():
            last.plot(course.loss, label=name)
        last.set(title="Loss over all rows", ylim=(0, 3.3), xlabel="epochs", ylabel="loss")
        last.legend(fontsize=7, loc="upper right", ncols=2)
    return figure


def main() -> None:
    seen = courses(10)
    tables = {
        "counts": table_of_counts(),
        "epochs": table_of_epochs(seen),
        "updates": table_of_updates(),
        "noise": table_of_noise(),
        "order": table_of_order(),
        "left over": table_of_left_over(),
    }
    leave("06-batches.md", tables, {"06-batches": lambda: draw(seen)})


if __name__ == "__main__":
    main()
