"""What other methods make of the data. python scripts/baselines.py [data=NAME] [KEY=VALUE ...] [--only ridge,svm]

Overrides are those of train.py: data=csv data.path=prices.csv data.target=price. Methods of scikit-learn learn from the
same training rows as our models, prepared alike, and are measured on the same test rows by the same scores. Settings
are scikit-learn's defaults, but for one of a method that the validation rows choose; the last lines name it.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kindling.errors import UserError, told_in_a_sentence

if TYPE_CHECKING:
    from kindling.studies.baselines import Baseline


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument(
        "--only", default="", metavar="NAMES", help="of dummy,least_squares,ridge,logistic,knn,forest,boosting,svm"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=60,
        metavar="SECONDS",
        help="for a method, which else takes fewer rows; default: 60",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args, flags = parser.parse_known_args(argv)
    with told_in_a_sentence():
        if not 0 < args.limit < math.inf:
            raise UserError(f"--limit {args.limit:g}: should be a number of seconds, more than 0")
        from kindling import compose
        from kindling.studies.baselines import measure
        from kindling.studies.baselines_text import heading, lines

        only = [name for name in args.only.split(",") if name]
        facts, found = measure(compose([*args.overrides, *flags]), only, args.limit)
        if args.json:
            print(json.dumps({**facts, "methods": [plain(one) for one in found]}, indent=2, allow_nan=False))
        else:
            print(*heading(facts), sep="\n", flush=True)
            for line in lines(facts, found):
                print(line, flush=True)


def plain(one: "Baseline") -> dict[str, Any]:
    """For JSON, which knows no NaN: null is a score that there is none of, such as r2 of one row."""
    scores = {name: value if math.isfinite(value) else None for name, value in one.scores.items()}
    return {**asdict(one), "scores": scores}


if __name__ == "__main__":
    main()
