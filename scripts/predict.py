"""What a finished run predicts. python scripts/predict.py RUN [--input FILE_OR_FOLDER] --output predictions.csv

RUN is a run folder (its best checkpoint is taken) or a checkpoint, which needs neither its folder nor its data.
The input is the test split, or
  a CSV file: the columns that the model was trained on, in any order, others are ignored;
  a folder of images (PNG, JPEG, ...), scaled to the model's size, in grey where it takes grey: of MNIST, light
  strokes on a dark ground, or with --invert the other way round; what is transparent is ground;
  a .npy file: one row of numbers for each row of predictions.
The output has a row for each of the input: the class and all probabilities, or the value in the target's units.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kindling.errors import told_in_a_sentence

if TYPE_CHECKING:
    import pandas as pd


def for_spreadsheets(table: "pd.DataFrame") -> "pd.DataFrame":
    """Without names of classes, columns or files that a spreadsheet would take for a formula."""
    from kindling.text import no_formula

    written = table.map(lambda value: no_formula(value) if isinstance(value, str) else value)
    return written.rename(columns=lambda name: no_formula(str(name)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in train.py: data.path=moved.csv")
    parser.add_argument("--input", metavar="FILE_OR_FOLDER", help="or train, val, test; default: the test split")
    parser.add_argument("--invert", action="store_true", help="the images are dark on a light ground")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.csv")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.reopening.run import Run

        table = Run(args.run, args.overrides).predictions(args.input, args.invert)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        for_spreadsheets(table).to_csv(args.output, index=False)
        print(f"{len(table):,} predictions in {args.output}")


if __name__ == "__main__":
    main()
