"""Run a study: the table and the figure of a page, from runs. python scripts/study.py NAME [--quick]

Each row of conf/study/NAME.yaml is a command of several seeds. Runs that have ended are not repeated: a study that was
stopped goes on. The table goes into the page that the study names; with --quick, a small version, it is printed alone.
Without a name: which studies there are, and how long they take.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import UserError, told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of files in conf/study; all: every one")
    parser.add_argument("--quick", action="store_true", help="small, and printed only")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="rows at a time, for many cores or a GPU")
    parser.add_argument(
        "--in", dest="root", type=Path, default=Path("outputs/studies"), metavar="FOLDER", help="where the runs are"
    )
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        if args.jobs < 1:
            raise UserError(f"--jobs {args.jobs}: should be 1 or more")
        from kindling.studies import run
        from kindling.studies.study import names, opening, read_study
        from kindling.studies.table import table

        if not args.names:
            print(*(f"{name:20} {opening(name)}" for name in names()), sep="\n")
        studies = [read_study(name, args.quick) for name in (names() if args.names == ["all"] else args.names)]
        for study in studies:
            results = run.run(study, args.root, args.jobs)
            print(table(study, results))
            if not args.quick:
                figure = run.write(study, results)
                print(f"written into {study.page}" + (f", {figure}" if figure else ""))


if __name__ == "__main__":
    main()
