"""What data are, before training. python scripts/look.py [data=NAME] [KEY=VALUE ...] [--output FOLDER] [--json]

Overrides are those of train.py: data=csv data.path=prices.csv data.target=price. Prints sizes, classes, ranges, gaps
and correlations, and draws look.png: histograms and correlations of a table, or examples of each class of images.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="of look.png; default: outputs/look/NAME")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args, flags = parser.parse_known_args(argv)
    with told_in_a_sentence():
        from kindling import compose
        from kindling.folders import write_whole
        from kindling.running.look import look

        facts, figure = look(compose([*args.overrides, *flags]))
        folder = args.output or Path("outputs", "look", facts["data"])
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "look.png", figure.png())
        if args.json:
            print(json.dumps({**facts, "figure": str(folder / "look.png")}, indent=2))
        else:
            from kindling.data.look_text import lines

            print(*lines(facts), "", folder / "look.png", sep="\n")


if __name__ == "__main__":
    main()
