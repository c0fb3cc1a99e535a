"""Our nets beside other methods. python docs/course/code/other_methods.py [NAME ...] [--seeds 5] [--write]

NAME is one of linear, diabetes, boston, digits and mnist. Each of our commands is run with the seeds 0, 1, ...; the
others are those of scripts/baselines.py, on the same rows and on all of them, however long that takes. --write puts the
tables into lesson 16; all of them, and the figure, take half an hour.
"""

import argparse
import io
import statistics
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from lesson import machine, save

from kindling import compose, train
from kindling.errors import UserError, told_in_a_sentence
from kindling.figure import Figure, style
from kindling.palette import BLUE, GREY, VERMILLION
from kindling.studies.baselines import Baseline, measure
from kindling.studies.page import put

SCRIPT = "docs/course/code/other_methods.py"
PAGE = Path(__file__).parents[1] / "16-other-methods.md"
NETS = {
    "linear": ["model=linear_regression data=linear", "model=mlp data=linear loss=mse"],
    "diabetes": ["model=linear_regression data=diabetes", "model=mlp data=diabetes loss=mse"],
    "boston": [
        "model=linear_regression data=boston trainer.max_epochs=100",
        "model=mlp data=boston loss=mse trainer.max_epochs=100",
    ],
    "digits": ["model=mlp data=digits"],
    "mnist": ["model=mlp data=mnist"],
}
LIMIT = 3600.0  # seconds for a method: none needs as many, and so all learn from all rows
SCORES = {"rmse": "test/rmse", "r2": "test/r2", "acc": "test/acc"}  # in this order, those that there are
Line = tuple[str, dict[str, float], str]  # the method, its scores, and the cells of a table


def ours(command: str, seeds: int) -> Line:
    """Mean and spread over the seeds."""
    summaries = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            run = train(compose([*command.split(), f"seed={seed}", "~callbacks.figures", f"run_dir={folder}/run"]))
            summaries.append(run.summary)
    found = {
        name: [one["metrics"][score] for one in summaries]
        for name, score in SCORES.items()
        if score in summaries[0]["metrics"]
    }
    cells = [
        f"{statistics.fmean(v):.4g}" + (f" ± {statistics.stdev(v):.1g}" if seeds > 1 else "") for v in found.values()
    ]
    fit, test = (statistics.fmean(one["seconds"][stage] for one in summaries) for stage in ("fit", "test"))
    size = f"{summaries[0]['parameters']:,} weights"
    means = {name: statistics.fmean(values) for name, values in found.items()}
    return command, means, row(f"`{command}`", cells, fit, test, size)


def theirs(one: Baseline, num_scores: int) -> Line:
    if one.problem:
        cells = [f"{one.method}: cannot learn: {one.problem}", *[""] * (num_scores + 3)]
        return one.method, {}, f"| {' | '.join(cells)} |"
    kept = {name: one.scores[name] for name in SCORES if name in one.scores}
    chosen = "".join(f", {key}={value:g}" for key, value in one.chosen.items())
    name = f"{one.method}{chosen}" + "".join(f" ({note})" for note in one.notes)
    return one.method, kept, row(name, [f"{value:.4g}" for value in kept.values()], *one.seconds, one.size)


def row(name: str, scores: list[str], fit: float, predict: float, size: str) -> str:
    return f"| {' | '.join([name, *scores, f'{fit:.2f}', f'{predict:.2f}', size])} |"


def lines(name: str, seeds: int) -> list[Line]:
    nets = [ours(command, seeds) for command in NETS[name]]
    _, found = measure(compose([f"data={name}"]), limit=LIMIT)
    return [*nets, *(theirs(one, len(nets[0][1])) for one in found)]


def origin(seeds: int) -> str:
    """What the table was measured on."""
    return (
        f"Our nets: mean ± standard deviation of {seeds} seeds; the others: seed 0. One after the other on "
        f"{machine('scikit-learn')}. Written by `python {SCRIPT} --write`."
    )


def table(found: list[Line]) -> str:
    heads = ["", *(SCORES[name] for name in found[0][1]), "fit (s)", "predict (s)", "keeps"]
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(cells for _, _, cells in found)])


def picture(tables: dict[str, list[Line]]) -> Figure:
    """The share that each method explains, or gets right, a panel for each data set; without the dummy, far to the left
    of all others, and those that cannot learn.
    """
    tables = {name: [line for line in found if line[0] != "dummy" and line[1]] for name, found in tables.items()}
    methods = list(dict.fromkeys(label(method) for found in tables.values() for method, _, _ in found))[::-1]
    with style():
        figure = Figure(figsize=(5.8, 2.8), layout="constrained")
        for axes, (name, found) in zip(figure.subplots(1, len(tables), sharey=True), tables.items(), strict=True):
            score = "acc" if "acc" in found[0][1] else "r2"
            for method, scores, _ in found:
                net = method.startswith("model=")
                axes.plot(
                    scores[score], methods.index(label(method)), "s" if net else "o", color=VERMILLION if net else BLUE
                )
            best = max(scores[score] for _, scores, _ in found)
            axes.axvline(best, color=GREY, linewidth=0.8, linestyle=":")
            axes.set(title=name, xlabel=SCORES[score], yticks=range(len(methods)), yticklabels=methods)
            axes.locator_params(axis="x", nbins=2)
    return figure


def label(method: str) -> str:
    return method.split()[0].removeprefix("model=") if method.startswith("model=") else method


@told_in_a_sentence()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETS)}; default: diabetes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into the page; without names all, and the figure")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in NETS]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(NETS)}")
    if args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: should be 1 or more")
    tables = {}
    for name in args.names or (NETS if args.write else ["diabetes"]):
        tables[name] = lines(name, args.seeds)
        print(f"{name}\n\n{table(tables[name])}\n", flush=True)
        if args.write:
            put(PAGE, f"others {name}", f"{table(tables[name])}\n\n{origin(args.seeds)}")
    if args.write and len(tables) == len(NETS):
        save("16-others", picture(tables))


if __name__ == "__main__":
    main()
