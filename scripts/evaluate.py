"""The metrics of a finished run. python scripts/evaluate.py RUN [split=val] [tta=8] [KEY=VALUE ...] [--json]

RUN is a run folder (its best checkpoint is taken) or a checkpoint. Overrides are those of train.py:
trainer.accelerator=cpu, data.batch_size=1000, data=fashion_mnist, data.path=other.csv. With tta=8 the metrics are those
of mean predictions, for each image and 8 copies that the augmentation of the run has changed (not mixup and cutmix).
"""

import argparse
import json
from collections.abc import Sequence
from typing import get_args

from kindling.errors import UserError, did_you_mean, told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)
    with told_in_a_sentence():
        from kindling.data.splits import SplitName
        from kindling.reopening.run import Run

        splits = [text.removeprefix("split=") for text in args.overrides if text.startswith("split=")]
        split = (splits or ["test"])[-1]
        if split not in get_args(SplitName):
            names = get_args(SplitName)
            raise UserError(f"split={split}: should be one of {', '.join(names)}{did_you_mean(split, names)}")
        tta = [text.removeprefix("tta=") for text in args.overrides if text.startswith("tta=")]
        if tta and not tta[-1].isdecimal():
            raise UserError(f"tta={tta[-1]}: should be a whole number from 1, of augmented copies")
        overrides = [text for text in args.overrides if not text.startswith(("split=", "tta="))]
        metrics = Run(args.run, overrides).evaluate(split, int(tta[-1]) if tta else None)
        if args.json:
            print(json.dumps(metrics, indent=2))
        else:
            width = max(map(len, metrics))
            print("\n".join(f"{name:{width}}  {value:.6g}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
