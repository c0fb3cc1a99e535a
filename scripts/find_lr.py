"""A learning rate to begin with. python scripts/find_lr.py [model=NAME] [KEY=VALUE ...] [--steps 200] [--output FOLDER]

Overrides are those of train.py. A fresh model takes a few hundred steps while the rate grows, without the schedule;
where the loss falls fastest is the suggestion. It is printed as a command, and drawn in find_lr.png.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from kindling.errors import UserError, told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=200, help="default: 200")
    parser.add_argument("--begin", type=float, default=1e-7, metavar="LR", help="the lowest rate; default: 1e-7")
    parser.add_argument("--end", type=float, default=10.0, metavar="LR", help="the highest; default: 10")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="of find_lr.png; default: outputs/find_lr/MODEL")
    args, flags = parser.parse_known_args(argv)
    with told_in_a_sentence():
        if args.steps < 20 or not 0 < args.begin < args.end:
            raise UserError("--steps should be 20 or more, and --begin above 0 and below --end")
        from kindling import compose
        from kindling.running.lr_range import find_lr

        cfg = compose([*args.overrides, *flags])
        name = cfg.hydra.runtime.choices.model
        curve = find_lr(cfg, args.steps, args.begin, args.end)
        folder = args.output or Path("outputs", "find_lr", name)
        folder.mkdir(parents=True, exist_ok=True)
        curve.figure().savefig(folder / "find_lr.png", dpi=100)
        print(folder / "find_lr.png")
        if curve.suggestion is None:
            raise UserError(f"the loss never falls from {curve.key}={args.begin:g} on; try --begin, or more --steps")
        words = [word for word in args.overrides if not word.startswith(f"{curve.key}=")]
        print(shlex.join(["python", "train.py", *flags, *words, f"{curve.key}={curve.suggestion:.2g}"]))


if __name__ == "__main__":
    main()
