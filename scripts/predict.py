"""What a finished run predicts. python scripts/predict.py RUN [--input FILE ...] [--output predictions.csv]

RUN is a run folder (its best checkpoint is taken) or a checkpoint, which needs neither its folder nor its data.
The input is the test split, or one or several of
  a CSV file: the columns that the model was trained on, in any order, others are ignored;
  an image (PNG, JPEG, ...) or a folder of them, scaled to the model's size, in grey where it takes grey. Drawings and
  photos of digits are prepared as MNIST was: the ink is found, dark or light, cropped, scaled and centred; those of
  just the model's size are taken as they are. What is transparent is ground;
  a .npy file: one row of numbers for each row of predictions.
There is a row for each of the input: the class and all probabilities, or the value in the target's units. Without
--output, the first rows are printed, in short. Images are drawn as the net saw them, beside its answers.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kindling.errors import told_in_a_sentence

if TYPE_CHECKING:
    import pandas as pd

    from kindling.reopening.run import Run

ROWS = 20  # that are printed


def for_spreadsheets(table: "pd.DataFrame") -> "pd.DataFrame":
    """Without names of classes, columns or files that a spreadsheet would take for a formula."""
    from kindling.text import no_formula

    written = table.map(lambda value: no_formula(value) if isinstance(value, str) else value)
    return written.rename(columns=lambda name: no_formula(str(name)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as in train.py: data.path=moved.csv")
    parser.add_argument(
        "--input", nargs="+", action="extend", metavar="FILE_OR_FOLDER", help="or train, val, test; default: the test"
    )
    parser.add_argument(
        "--invert",
        action=argparse.BooleanOptionalAction,
        help="the images are dark on a light ground, or are not; default: of digits it is found",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.csv", help="default: a short table is printed")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.reopening.answers import draw
        from kindling.reopening.predict import answers
        from kindling.reopening.run import Run

        given = args.input or []
        run = Run(args.run, [*args.overrides, *filter(is_override, given)])
        inputs = [word for word in given if not is_override(word)]
        table, x = answers(run, inputs or None, args.invert)
        if args.output:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            for_spreadsheets(table).to_csv(args.output, index=False)
            print(f"{len(table):,} predictions in {args.output}")
        else:
            print(*lines(table), sep="\n")
        figure = draw(run, x, table)
        if figure is not None:
            path = (
                args.output.with_suffix(".png")
                if args.output
                else Path("outputs", "predict", name_of(run), "inputs.png")
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=100)
            print(f"as the net saw them: {path}")


def is_override(word: str) -> bool:
    """--input takes all words that follow."""
    return "=" in word and not Path(word).exists()


def name_of(run: "Run") -> str:
    return run.folder.resolve().name or "run"


def lines(table: "pd.DataFrame") -> list[str]:
    """Of the first rows, in short."""
    from kindling.reopening.answers import said
    from kindling.reopening.records import as_text

    short = as_text(said(table.head(ROWS)))
    printed = short.to_string(index="file" not in table, float_format="{:.4g}".format, line_width=80)
    rest = len(table) - len(short)
    return [printed, *([f"and {rest:,} more; --output FILE.csv writes all of them"] if rest else [])]


if __name__ == "__main__":
    main()
