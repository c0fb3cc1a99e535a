"""Do the examples reach their numbers? python scripts/examples.py [NAME ...] [--seeds 3] [--small] [--keep FOLDER]

Each is tried as its README in docs/examples/NAME says: in a copy of this template, by the commands of the README's
first block, the last of them with several seeds. What the run folders then say goes into the README's table and into
that of docs/examples/README.md, and the figures that the README shows come from a run of the last command.
"""

import argparse
import json
import math
import operator
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from kindling.errors import UserError, told_in_a_sentence

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
BETTER = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
BEFORE = "before"  # the same score of the command before
INDEX = "| example | what it shows | to reach | reached | minutes a run |\n|---|---|---|---|---|"


class Example:
    """What the README of an example says: its commands, and the numbers to reach, as in

    <!-- numbers: test/acc >= 0.97, test/loss < test/loss_of_the_mean --> ... <!-- /numbers -->

    `<!-- small: OVERRIDES -->` says what makes its commands short; default: debug=limit.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = EXAMPLES / name / "README.md"
        if not self.file.exists():
            known = ", ".join(sorted(file.parent.name for file in EXAMPLES.glob("*/README.md")))
            raise UserError(f"{name}: there is no such example; there are {known}")
        self.text = self.file.read_text()
        self.title, self.shows = self.part(r"\A# (.+)\n\n((?:.+\n)+)", "a title and a paragraph")
        self.commands = self.part(r"```bash\n(.+?)\n```", "a block of commands")[0].replace("\\\n", " ").splitlines()
        (rules,) = self.part(r"<!-- numbers: (.+?) -->", "<!-- numbers: SCORE >= NUMBER -->")
        self.rules = [tuple(rule.split()) for rule in rules.split(", ")]
        others = [other for _, _, other in self.rules if other != BEFORE and not number(other)]
        self.scores = list(dict.fromkeys([name for name, _, _ in self.rules] + others))
        small = re.search(r"<!-- small: (.+?) -->", self.text)
        self.small = small[1] if small else "debug=limit"

    def part(self, pattern: str, what: str) -> tuple[str, ...]:
        found = re.search(pattern, self.text, flags=re.DOTALL if "```" in pattern else 0)
        if not found:
            raise UserError(f"{self.file}: needs {what}")
        return found.groups()

    def figures(self) -> list[str]:
        return re.findall(r"!\[.*?\]\((\S+?)\.png\)", self.text)

    def lines(self, seeds: int, small: bool) -> Iterator[list[str]]:
        """What is typed for each command: the last is given for each seed, unless it names its seeds itself."""
        *first, last = self.commands
        several = [last] if re.search(r" seed=", last) else [f"{last} seed={seed}" for seed in range(seeds)]
        for lines in [*([line] for line in first), several]:
            if small:
                lines = [re.sub(r" seed=\S+", " seed=0", line) for line in lines[:1]]
                lines = [f"{line} {self.small}" if "train.py" in line else line for line in lines]
            yield lines


@dataclass
class Row:
    """What the runs of a command came to."""

    command: str
    runs: list[Path]

    def __post_init__(self) -> None:
        self.summaries = [json.loads((run / "summary.json").read_text()) for run in self.runs]

    def values(self, score: str) -> list[float]:
        missing = [run for run, summary in zip(self.runs, self.summaries, strict=True) if score not in scores(summary)]
        if missing:
            raise UserError(f"{missing[0]}: its summary.json has no {score}; the example must log it in its test")
        return [scores(summary)[score] for summary in self.summaries]

    def cells(self, names: Sequence[str]) -> list[str]:
        minutes = statistics.mean(sum(summary["seconds"].values()) for summary in self.summaries) / 60
        epochs = statistics.mean(summary["epochs"] for summary in self.summaries)
        measured = [spread(self.values(name)) for name in names]
        return [f"`{self.command}`", str(len(self.runs)), f"{epochs:.3g}", *measured, f"{minutes:.1f}"]


def scores(summary: dict) -> dict[str, float]:
    """Of the test; and the best value of what was monitored."""
    monitor = summary.get("monitor") or {}
    return {monitor.get("name"): monitor.get("best"), **summary["metrics"]}


def number(text: str) -> bool:
    return bool(re.fullmatch(r"-?[\d.]+(e-?\d+)?", text))


def spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{deviation}"


def tried(example: Example, folder: Path, seeds: int, small: bool) -> list[Row]:
    """A row for each training command, run in a copy of the template."""
    if folder.exists():
        raise UserError(f"{folder}: is there already; name another folder")
    folder.mkdir(parents=True)
    for name in ("train.py", "conf", "scripts", "src", "docs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    rows, seen = [], set[Path]()
    for command, lines in zip(example.commands, example.lines(seeds, small), strict=True):
        for line in lines:
            print(f"{example.name}: {line}", flush=True)
            run(line, folder)
        found = {file.parent for file in (folder / "outputs").rglob("summary.json")} - seen
        seen |= found
        if "train.py" in command:
            rows.append(Row(command, sorted(found, key=lambda path: (path / "summary.json").stat().st_mtime)))
    return rows


def run(line: str, folder: Path) -> None:
    """As from a shell in that folder, with this Python and the code that lies there."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(folder / "src")}
    done = subprocess.run(["bash", "-ec", line], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"{line}: ended with code {done.returncode}: {(done.stdout + done.stderr)[-2000:].strip()}")


def missed(example: Example, rows: list[Row]) -> list[str]:
    """The rules that the last row does not keep, on the average."""
    found = []
    for name, sign, other in example.rules:
        reached = statistics.mean(rows[-1].values(name))
        if number(other):
            wanted = float(other)
        else:
            wanted = statistics.mean(rows[-2].values(name) if other == BEFORE else rows[-1].values(other))
        if not (math.isfinite(reached) and BETTER[sign](reached, wanted)):
            found.append(f"{example.name}: {name} is {reached:.4g}, and should be {sign} {wanted:.4g}")
    return found


def table(example: Example, rows: list[Row]) -> str:
    head = ["command", "runs", "epochs", *example.scores, "minutes a run"]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *(row.cells(example.scores) for row in rows))]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def between(text: str, name: str, content: str) -> str:
    """The text with other content between the marks of that name."""
    return re.sub(
        rf"(<!-- {name}.*? -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.S
    )


def write(example: Example, rows: list[Row]) -> None:
    example.file.write_text(between(example.file.read_text(), "numbers", table(example, rows)))
    for name in example.figures():
        drawn = [run / f"{name}.png" for run in rows[-1].runs if (run / f"{name}.png").exists()]  # of a sweep, the best
        if not drawn:
            raise UserError(f"{example.file}: shows {name}.png, which no run of the last command has drawn")
        (example.file.parent / name).parent.mkdir(exist_ok=True)
        shutil.copy(drawn[0], example.file.parent / f"{name}.png")


def index() -> str:
    """The table of all examples, from their READMEs alone."""
    lines = [INDEX]
    for file in sorted(EXAMPLES.glob("*/README.md")):
        example = Example(file.parent.name)
        found = re.findall(r"^\| `?(?:python|command).*\|$", example.text, flags=re.MULTILINE)
        head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found] or [[]]
        last = dict(zip(head, rows[-1], strict=True)) if rows else {}
        before = dict(zip(head, rows[-2], strict=True)) if len(rows) > 1 else {}
        wanted = [" ".join(rule) for rule in example.rules]
        reached = [f"{name} {last.get(name, '-')}" for name in example.scores]
        reached += [f"before {before.get(name, '-')}" for name, _, other in example.rules if other == BEFORE]
        cells = [f"[{example.title}]({example.name}/README.md)", " ".join(example.shows.split()), ", ".join(wanted)]
        lines.append(f"| {' | '.join([*cells, ', '.join(reached), last.get('minutes a run', '-')])} |")
    return "\n".join(lines)


@told_in_a_sentence()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders in docs/examples; default: all")
    parser.add_argument("--seeds", type=int, default=3, help="of the last command of each")
    parser.add_argument("--small", action="store_true", help="a few steps of each; nothing is written")
    parser.add_argument("--keep", metavar="FOLDER", help="where the copies and their runs stay; default: nowhere")
    args = parser.parse_args(argv)
    names = args.names or sorted(file.parent.name for file in EXAMPLES.glob("*/README.md"))
    not_reached = []
    for example in [Example(name) for name in names]:
        with nullcontext(args.keep) if args.keep else tempfile.TemporaryDirectory() as folder:
            rows = tried(example, Path(folder) / example.name, args.seeds, args.small)
            print(table(example, rows), flush=True)
            if not args.small:
                write(example, rows)
                not_reached += missed(example, rows)
    if not args.small:
        page = EXAMPLES / "README.md"
        page.write_text(between(page.read_text(), "index", index()))
    if not_reached:
        raise UserError("; ".join(not_reached))


if __name__ == "__main__":
    main()
