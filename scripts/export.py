"""A finished run as a file. python scripts/export.py RUN [--format torch-export|onnx|state-dict] [--output FILE]

The exported model takes inputs as they come (bytes of images, numbers of a table) in any number of rows and gives
probabilities, or values in the target's units. The file is read back and compared with the run on its test split:
the exit code is 1 where a prediction differs by more than 1e-4 (of the target's standard deviation).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import told_in_a_sentence

SUFFIXES = {"torch-export": ".pt2", "onnx": ".onnx", "state-dict": ".pt"}
LIMIT = 1e-4


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in train.py: data.path=moved.csv")
    parser.add_argument("--format", choices=list(SUFFIXES), default="torch-export")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: model.pt2, .onnx or .pt in the run folder"
    )
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.reopening import export
        from kindling.reopening.run import Run
        from kindling.text import printable

        run = Run(args.run, args.overrides)
        path = args.output or run.folder / f"model{SUFFIXES[args.format]}"
        difference, inputs = export.export(run, args.format, path)
        print(f"{path}: {printable(export.signature(run))}\nlargest difference {difference:.2g}, on {inputs}")
        if not difference <= LIMIT:
            sys.exit(f"error: {path}: its predictions differ by {difference:.2g}, more than {LIMIT:g}")


if __name__ == "__main__":
    main()
