"""What nets are made of, counted, and what they answer untrained. python docs/course/code/parameters.py [--write]"""

import torch
from lesson import leave
from torch import Tensor, nn

from kindling.data.mnist import MNIST
from kindling.data.tasks import Binary, Multiclass
from kindling.models.mlp import MLP
from kindling.models.xor import XOR

UNUSED = {"loss": nn.Identity(), "optimizer": torch.optim.SGD, "scheduler": torch.optim.lr_scheduler.ConstantLR}


def parameters_table(model: nn.Module) -> str:
    """The parameters of a model by name and shape, as PyTorch has them."""
    lines = ["| parameter | shape | numbers |", "|---|---|---|"]
    total = 0
    for name, parameter in model.named_parameters():
        shape = " x ".join(str(size) for size in parameter.shape)
        lines.append(f"| `{name}` | {shape} | {parameter.numel():,} |")
        total += parameter.numel()
    lines.append(f"| together | | {total:,} |")
    return "\n".join(lines)


@torch.no_grad()
def untrained_table(x: Tensor, y: Tensor, nets: int = 200) -> str:
    """The test accuracy of nets with the weights that PyTorch begins with, and how they divide their answers."""
    right, commonest = [], []
    for seed in range(nets):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        answers = net(x).argmax(dim=1)
        right.append(100 * (answers == y).float().mean().item())
        commonest.append(100 * answers.bincount(minlength=10).max().item() / len(y))
    rows = (("right answers", right), ("share of its commonest answer", commonest))
    lines = ["| of 200 untrained nets | lowest | mean | highest |", "|---|---|---|---|"]
    for name, values in rows:
        lines.append(f"| {name} | {min(values):.0f} % | {sum(values) / nets:.0f} % | {max(values):.0f} % |")
    return "\n".join(lines)


def main() -> None:
    mnist = MNIST(source="subset")
    mnist.setup()
    test = mnist.splits["test"]
    x, y = test[torch.arange(len(test))]
    tables = {
        "xor": parameters_table(XOR(2, 1, task=Binary(["0", "1"]), **UNUSED)),
        "mnist": parameters_table(MLP(784, 10, dropout=0.1, task=Multiclass(mnist.classes), **UNUSED)),
        "untrained": untrained_table(x, y),
    }
    leave("14-mnist.md", tables, seeds="200 seeds")


if __name__ == "__main__":
    main()
