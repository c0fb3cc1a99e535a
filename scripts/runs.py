"""Run folders as tables. python scripts/runs.py [list|best|compare RUN RUN] [--in outputs] [--sort METRIC]

list      all runs, sweeps included; the latest last, or with --sort the best first
best      the best run on each data set, or file, and by each monitor; with --sort by that metric
compare   what differs between two runs: configs and scores

In a terminal as much as fits; --all, a wider one or a pipe shows the whole table.
"""

import argparse
from collections.abc import Sequence

from kindling.errors import told_in_a_sentence
from kindling.text import columns, in_terminal, in_width


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", nargs="?", choices=["list", "best", "compare"], default="list")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="of compare: two run folders")
    parser.add_argument("--in", dest="root", default="outputs", metavar="FOLDER", help="where the runs are")
    parser.add_argument("--sort", metavar="METRIC", help="such as test/acc")
    parser.add_argument("--mode", choices=["min", "max"], help="whether the least or the most of the metric is best")
    parser.add_argument("--all", action="store_true", help="the whole table, however wide the terminal is")
    args = parser.parse_args(argv)
    if len(args.runs) != (2 if args.verb == "compare" else 0):
        parser.error("compare takes two run folders, list and best take none (--in FOLDER says where to look)")
    with told_in_a_sentence():
        from kindling.reopening import fitted, ranking, records

        if args.verb == "compare":
            table = records.compare_runs(*args.runs)
        else:
            table = records.list_runs(args.root)
            if args.verb == "best":
                table = ranking.best_runs(table, args.sort, args.mode)
            elif args.sort:
                table = ranking.ranked(table, args.sort, args.mode)
        if table.empty:
            print("the two do not differ" if args.verb == "compare" else f"no runs in {args.root}")
        elif args.all or not in_terminal():
            print(table.to_string(index=args.verb == "compare", na_rep="-", float_format="{:.4g}".format))
        elif args.verb == "compare":
            print(fitted.fit_values(table, columns()).to_string())
        else:
            texts, left_out = fitted.fit(table, columns())
            print(*fitted.lines(texts), sep="\n")
            if left_out:
                print(in_width(f"left out: {', '.join(left_out)} (--all shows them)"))


if __name__ == "__main__":
    main()
