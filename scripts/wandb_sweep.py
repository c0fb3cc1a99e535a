"""A sweep of W&B's from a command of ours. python scripts/wandb_sweep.py [KEY=VALUE ...] > sweep.yaml

For example: python scripts/wandb_sweep.py sweep=random 'optimizer.lr=tag(log,interval(1e-4,1e-1))' > sweep.yaml

Takes what `python train.py -m` does, and prints the YAML that `wandb sweep` reads: what is swept as its parameters, the
rest in the command that each agent runs. W&B then chooses the values: in a grid, at random, or of sweep=tpe by its own
Bayesian search.
"""

import argparse
from collections.abc import Sequence

import yaml

from kindling.errors import told_in_a_sentence


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    args, flags = parser.parse_known_args(argv)
    with told_in_a_sentence():
        from kindling.sweep.wandb_sweep import wandb_sweep

        print(yaml.safe_dump(wandb_sweep([*flags, *args.overrides]), sort_keys=False), end="")


if __name__ == "__main__":
    main()
