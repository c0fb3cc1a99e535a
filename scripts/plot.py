"""The pictures of a run, drawn again. python scripts/plot.py RUN [--only NAME ...] [--format png svg] [--output FOLDER]

Everything is read from the folder of the run: its checkpoints and its data may be gone. What a model draws by itself,
by a method `figures` of its own, stays as the run has left it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import UserError, shown, told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the pictures, such as learning_curves")
    parser.add_argument("--format", nargs="+", choices=["png", "svg", "pdf"], default=["png"])
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: figures/ in the folder of the run")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.figure import save
        from kindling.pictures import album

        folder = args.output or args.run / "figures"
        figures, problem = {}, None
        try:
            figures.update(album.draw(args.run))
        except UserError as error:  # the others are drawn
            problem = error
        if problem and not figures:
            raise problem
        if not figures:
            raise UserError(f"{args.run}: is no folder of a run, or of one without pictures")
        names = args.only or list(figures)
        if unknown := [name for name in names if name not in figures]:
            raise UserError(f"--only {shown(unknown[0])}: {args.run} has {', '.join(figures)}")
        for name in names:
            save(folder, name, figures[name], args.format)
            print(*(folder / f"{name}.{kind}" for kind in args.format), sep="\n")
        if problem:
            raise problem


if __name__ == "__main__":
    main()
