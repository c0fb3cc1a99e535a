"""What a leak does to a score, and layers in the wrong mode. python docs/course/code/generalisation.py [--write]"""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from lesson import leave
from torch import Tensor, nn

from kindling import Run, compose, train
from kindling.figure import Figure, style
from kindling.palette import BLUE, VERMILLION

ROWS, FEATURES, KEPT, DRAWS = 100, 2000, 20, 100
SHARE_OF_GAPS = 0.2


def strongest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The numbers of the KEPT features that differ most between the two classes."""
    difference = x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)
    return np.argsort(-abs(difference))[:KEPT]


def accuracy(x: np.ndarray, y: np.ndarray, rows: slice, others: slice) -> float:
    """Learned on `rows`, measured on the `others`: a row is of the class whose mean is nearer."""
    means = np.stack([x[rows][y[rows] == label].mean(axis=0) for label in (0, 1)])
    distances = ((x[others][:, None] - means) ** 2).sum(axis=2)
    return float((distances.argmin(axis=1) == y[others]).mean())


def filled(x: np.ndarray, gaps: np.ndarray, seen: slice | np.ndarray) -> np.ndarray:
    """Each gap gets the median of what there is of its feature among the rows that are `seen`."""
    return np.where(gaps, np.nanmedian(np.where(gaps, np.nan, x)[seen], axis=0), x)


def leak_table() -> str:
    """Numbers drawn at random, and classes drawn at random: there is nothing to learn."""
    random, of_gaps = np.random.default_rng(0), np.random.default_rng(1)
    learn, test, everything = slice(0, 50), slice(50, ROWS), slice(0, ROWS)
    scores: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        x, y = random.normal(size=(ROWS, FEATURES)), random.integers(0, 2, ROWS)
        gaps = of_gaps.random(x.shape) < SHARE_OF_GAPS
        by_class = np.where(y[:, None] == 1, filled(x, gaps, y == 1), filled(x, gaps, y == 0))
        tried = {"the median of its class that fills gaps | all rows, the test's too": by_class}
        for name, seen in (("the training rows", learn), ("all rows, the test's too", everything)):
            tried[f"the 20 best features | {name}"] = x[:, strongest(x[seen], y[seen])]
            tried[f"the median that fills gaps | {name}"] = filled(x, gaps, seen)
            tried[f"mean and spread of each | {name}"] = (x - x[seen].mean(axis=0)) / x[seen].std(axis=0)
        for name, features in tried.items():
            scores.setdefault(name, []).append(accuracy(features, y, learn, test))
    lines = ["| fitted | on | test accuracy |", "|---|---|---|"]
    lines += [f"| {name} | {100 * np.mean(values):.0f} % |" for name, values in sorted(scores.items(), reverse=True)]
    return "\n".join(lines)


def run_of(folder: Path, name: str, *overrides: str) -> Run:
    """A net of the 8x8 digits, trained without a word."""
    given = ["model=mlp", "data=digits", "~callbacks.figures", f"run_dir={folder / name}"]
    with contextlib.redirect_stdout(io.StringIO()):
        return train(compose([*given, *overrides]))


def fit_runs(folder: Path) -> dict[str, Run]:
    """Too simple, too few rows, and neither."""
    common = ["trainer.max_epochs=30", "model.dropout=0", "optimizer.weight_decay=0", "scheduler=constant"]
    return {
        "2 hidden units, 1,439 images": run_of(folder, "simple", *common, "model.hidden_features=[2]"),
        "256 hidden units, 50 images": run_of(folder, "few", *common, "data.num_train=50", "+data.num_repeats=20"),
        "256 hidden units, 1,439 images": run_of(folder, "both", *common),
    }


def fit_table(runs: dict[str, Run]) -> str:
    lines = ["| net and data | training accuracy | validation accuracy |", "|---|---|---|"]
    for name, run in runs.items():
        last = run.summary["last_epoch"]
        lines.append(f"| {name} | {100 * last['train/acc']:.0f} % | {100 * last['val/acc']:.0f} % |")
    return "\n".join(lines)


def draw(runs: dict[str, Run]) -> Figure:
    with style():
        figure = Figure(figsize=(5.8, 2.4), layout="constrained")
        for axes, (name, run) in zip(figure.subplots(1, 3, sharey=True), runs.items(), strict=True):
            for score, label, colour in (("train/loss", "training", BLUE), ("val/loss", "validation", VERMILLION)):
                course = run.metrics.dropna(subset=[score])
                axes.plot(course["epoch"] + 1, course[score], color=colour, label=label)
            axes.set_title(name.replace(", ", "\n"), fontsize=8)
            axes.set(xlabel="epoch", yscale="log", ylim=(1e-3, 4))
        axes.legend()
        figure.axes[0].set_ylabel("loss")
    return figure


def tested(run: Run) -> tuple[nn.Module, Tensor, Tensor]:
    """The net, and the standardised test images with their labels."""
    split = run.datamodule.splits["test"]
    return run.model.cpu(), *split[torch.arange(len(split))]


@torch.no_grad()
def percent(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    right = sum(int((model(x).argmax(dim=1) == y).sum()) for x, y in batches)
    return 100 * right / sum(len(y) for _, y in batches)


def dropout_table(run: Run) -> str:
    model, x, y = tested(run)
    torch.manual_seed(0)
    right = percent(model.eval(), [(x, y)])
    left_on = [percent(model.train(), [(x, y)]) for _ in range(100)]
    return "\n".join(
        [
            "| dropout at test time | test accuracy |",
            "|---|---|",
            f"| off, `model.eval()` | {right:.0f} % |",
            f"| left on, mean of 100 tries | {np.mean(left_on):.0f} % |",
        ]
    )


def batch_norm_table(run: Run) -> str:
    model, x, y = tested(run)
    order = y.argsort(stable=True)
    mixed, sorted_rows = list(zip(x.split(16), y.split(16), strict=True)), []
    for label in range(10):
        sorted_rows += [(x[order][y[order] == label], torch.full((int((y == label).sum()),), label))]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    lines = ["| statistics | batches | test accuracy |", "|---|---|---|"]
    for mode, told in ((False, "of training, `model.eval()`"), (True, "of the batch, `model.train()`")):
        for name, batches in (("of 16, mixed", mixed), ("one for each digit", sorted_rows)):
            model.load_state_dict(state)  # batch norm learns from what it sees in training mode
            lines.append(f"| {told} | {name} | {percent(model.train(mode), batches):.0f} % |")
    return "\n".join(lines)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = fit_runs(folder)
        tables = {
            "fit": fit_table(runs),
            "dropout": dropout_table(run_of(folder, "dropout", "model.dropout=0.8")),
            "batch norm": batch_norm_table(run_of(folder, "norm", "model.normalization=batch")),
            "leak": leak_table(),
        }
        leave("08-generalisation.md", tables, {"08-fit": lambda: draw(runs)})


if __name__ == "__main__":
    main()
