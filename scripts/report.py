"""Pages made anew from folders alone, also while runs are at work. python scripts/report.py FOLDER

outputs/sweeps/NAME   the report of a sweep: table.csv, table.md, figures/ and report.html; prints the best run
outputs/xor/RUN       report.html of a run
outputs               index.html over all runs and sweeps in it: sorts, filters, compares
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", help="of a sweep, of a run, or of many")
    folder = Path(parser.parse_args(argv).folder)
    with told_in_a_sentence():
        from kindling import report

        if (folder / "sweep.yaml").exists():
            print(*report.write(folder).lines(), sep="\n")
        elif (folder / "config.yaml").exists() or (folder / "summary.json").exists():
            print(report.write_run(folder))
        else:
            print(report.write_index(folder))


if __name__ == "__main__":
    main()
