"""On how many seeds does the 2-4-1 net solve XOR? python scripts/solve_xor.py [--seeds 1000] [OVERRIDE ...]

All seeds are trained at once, as a population. Without overrides it prints the table of docs/results.md.
"""

import argparse
import tempfile

import torch
from torch import Tensor

from kindling import compose
from kindling.config.asked import take_asked
from kindling.config.quoting import quoted
from kindling.errors import told_in_a_sentence
from kindling.process import quiet
from kindling.running.build import build

TRIED = [
    ["model=xor", f"model.activation={activation}", f"model.init={init}"]
    for activation in ("silu", "gelu", "elu", "tanh", "leaky_relu", "sigmoid", "relu", "identity")
    for init in ("default", "xavier_normal", "kaiming_normal")
] + [
    ["experiment=xor_relu", f"model.init={init}"]
    for init in ("default", "xavier_normal", "kaiming_normal", "orthogonal", "looks_linear")
]


def rows_right(overrides: list[str], num_seeds: int) -> Tensor:
    """How many of the four rows the net of each seed gets right after training, (num_seeds,).

    A probability within 1e-4 of one half counts as wrong: a net without a bend ends there, and rounding picks the side.
    """
    with tempfile.TemporaryDirectory() as folder:
        quietly = ["logger=none", "callbacks=none", f"run_dir={quoted(folder)}"]
        cfg = compose(["model=xor", *overrides, *quietly, f"population={num_seeds}"])
        take_asked(cfg)
        parts = build(cfg)
        parts.trainer.fit(parts.model, datamodule=parts.datamodule)
    model, datamodule = parts.model, parts.datamodule
    x, y = datamodule.splits["train"][torch.arange(4)]
    with torch.no_grad():
        _, output = model.loss_and_output(x.expand(num_seeds, 4, 2), y.expand(num_seeds, 4))
    predictions = model.task.prediction(output)
    return torch.where(y.bool(), predictions > 0.5001, predictions < 0.4999).sum(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    quiet()
    with told_in_a_sentence():
        print("| overrides | 4 of 4 | 3 of 4 | fewer |\n|---|---|---|---|")
        for overrides in [args.overrides] if args.overrides else TRIED:
            right = rows_right(overrides, args.seeds)
            counts = [(right == 4).sum().item(), (right == 3).sum().item(), (right < 3).sum().item()]
            print(f"| `{' '.join(overrides)}` | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    main()
