"""On how many seeds does the 2-4-1 net solve XOR? python scripts/solve_xor.py [--seeds 1000] [OVERRIDE ...]

All seeds are trained at once: one net a seed, stacked, with one optimizer over the stack, since the optimizers work
element by element. Without overrides it prints the table of docs/results.md.
"""

import argparse
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from kindling.data.xor import XOR
from kindling.schedulers import length_argument

TRIED = [
    ["model=xor", f"model.activation={activation}", f"model.init={init}"]
    for activation in ("silu", "gelu", "elu", "tanh", "leaky_relu", "sigmoid", "relu", "identity")
    for init in ("default", "xavier_normal", "kaiming_normal")
] + [
    ["experiment=xor_relu", f"model.init={init}"]
    for init in ("default", "xavier_normal", "kaiming_normal", "orthogonal", "looks_linear")
]


def train_stacked(overrides: list[str], num_seeds: int) -> Tensor:
    """How many of the four rows the net of each seed gets right after training, (num_seeds,).

    A probability within 1e-4 of one half counts as wrong: a net without a bend ends there, and rounding picks the side.
    """
    with initialize_config_dir(str(Path(__file__).parent.parent / "conf"), version_base="1.3"):
        cfg = compose("train", overrides)
    data = XOR()
    data.setup()
    x, y = data.splits["train"][torch.arange(4)]
    task, loss = data.task, instantiate(cfg.loss)
    models = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        models.append(
            instantiate(cfg.model, 2, 1, task=task, loss=loss, optimizer=None, scheduler=None, _convert_="all").net
        )
    parameters, _ = stack_module_state(models)

    def loss_of_one(parameters: dict[str, Tensor]) -> Tensor:
        return loss(functional_call(models[0], parameters, (x,)), task.target(y))

    num_steps = cfg.trainer.max_epochs * cfg.data.num_repeats
    optimizer = instantiate(cfg.optimizer, _convert_="all")(list(parameters.values()))
    make_scheduler = instantiate(cfg.scheduler, _convert_="all")
    length = length_argument(make_scheduler)
    scheduler = make_scheduler(optimizer, **({length: num_steps} if length else {}))
    for _ in range(num_steps):
        optimizer.zero_grad()
        vmap(loss_of_one)(parameters).sum().backward()
        optimizer.step()
        if length:
            scheduler.step()
    with torch.no_grad():
        predictions = vmap(lambda one: task.prediction(functional_call(models[0], one, (x,))))(parameters)
    return torch.where(y.bool(), predictions > 0.5001, predictions < 0.4999).sum(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    print("| overrides | 4 of 4 | 3 of 4 | fewer |\n|---|---|---|---|")
    for overrides in [args.overrides] if args.overrides else TRIED:
        right = train_stacked(overrides, args.seeds)
        counts = [(right == 4).sum().item(), (right == 3).sum().item(), (right < 3).sum().item()]
        print(f"| `{' '.join(overrides)}` | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    main()
