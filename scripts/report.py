"""The report of a sweep, made anew from its folder. python scripts/report.py outputs/sweeps/NAME

Writes table.csv, table.md, figures/ and report.html into the folder, and prints the best run.
"""

import argparse
from collections.abc import Sequence

from kindling.errors import told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", metavar="SWEEP", help="a folder with a sweep.yaml in it")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling import report

        print(*report.write(args.sweep).lines(), sep="\n")


if __name__ == "__main__":
    main()
