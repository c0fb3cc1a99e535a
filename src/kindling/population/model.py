"""Models of one kind with a seed each, trained at once by one optimizer over their stacked weights."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torchmetrics import MetricCollection

from kindling.models.base import SupervisedModule
from kindling.population.metrics import MemberMetrics

SHARED = {"task", "loss", "train_metrics", "val_metrics", "test_metrics"}  # parts of a model that members share


class Population(SupervisedModule):
    """Members that learn at once as each would alone, from batches x (num_members, N, ...) and y (num_members, N, ...).

    The loss is the sum of theirs and the optimizer works element by element, so that none affects another, not even
    where it diverges. Only what a forward pass draws at random (dropout) is drawn for all together, and is not what the
    seed of a member gives alone. `restore_best` brings back the weights of the best epoch of each.

    Args:
        members: one for each of the seeds.
        seeds: with which the members were built.
        mode: `min` or `max`, whichever is the best of `monitor`.
    """

    batch_dim = 1
    ends_on_nan = False  # members that diverge are left out of what is logged

    def __init__(self, members: Sequence[SupervisedModule], seeds: Sequence[int], mode: str) -> None:
        first = members[0]
        super().__init__(first.task, first.loss, first.make_optimizer, first.make_scheduler, first.monitor)
        self.seeds = seeds
        self.mode = mode
        for name in ("train_metrics", "val_metrics", "test_metrics"):
            setattr(self, name, MemberMetrics(getattr(self, name), len(members)))
        self.members = stacked(members)
        names = [(name, *name.rpartition(".")[::2]) for name, _ in own_tensors(self.members)]
        self._places = [(name, self.members.get_submodule(module), attribute) for name, module, attribute in names]
        self.tested = pd.DataFrame()  # a row a member, after the test
        self.best_weights: dict[str, Tensor] = {}  # of each member's best epoch
        self.best_values: dict[str, Tensor] = {}  # (num_members,), what was measured then, and which epoch it was

    @property
    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers by their name in a member, with a leading dimension of members."""
        return {name: getattr(module, attribute) for name, module, attribute in self._places}

    def describe(self) -> Iterator[tuple[str, int, Tensor]]:
        """The parameters, each with its name and its number of dimensions in a member."""
        for name, tensor in self.weights.items():
            if isinstance(tensor, nn.Parameter):
                yield name, tensor.dim() - 1, tensor

    def loss_and_output(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        def of_one(weights: dict[str, Tensor], x: Tensor, *y: Tensor) -> tuple[Tensor, Tensor]:
            output = functional_call(self.members, weights, (x,), tie_weights=False)
            return self.loss_of(output, *y), output

        return vmap(of_one, randomness="different")(self.weights, x, y, *(() if weight is None else (weight,)))

    def _log_metrics(self, metrics: MetricCollection, prog_bar: bool = False) -> None:
        for name, values in metrics.compute().items():
            finite = values[values.isfinite()]
            lowest, highest = finite.aminmax() if len(finite) else (math.nan, math.nan)
            deviation = finite.std() if len(finite) > 1 else math.nan
            self.log(name, finite.mean(), prog_bar=prog_bar)
            self.log_dict({f"{name}_std": deviation, f"{name}_min": lowest, f"{name}_max": highest})
        metrics.reset()

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self._keep_best(self.val_metrics.compute())
        super().on_validation_epoch_end()

    def _keep_best(self, values: dict[str, Tensor]) -> None:
        values["epoch"] = torch.full_like(values[self.monitor], self.current_epoch)
        weights = {name: tensor.detach() for name, tensor in self.weights.items()}
        if not self.best_values:
            self.best_values, self.best_weights = values, {name: tensor.clone() for name, tensor in weights.items()}
            return
        for kept in (self.best_values, self.best_weights):  # where they were loaded, they are on the CPU
            kept.update({name: tensor.to(self.device) for name, tensor in kept.items()})
        now, best = values[self.monitor], self.best_values[self.monitor]
        better = (now < best if self.mode == "min" else now > best) | (best.isnan() & ~now.isnan())
        for old, new in ((self.best_values, values), (self.best_weights, weights)):
            for name, tensor in new.items():
                old[name] = torch.where(better.view(-1, *[1] * (tensor.ndim - 1)), tensor, old[name])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["best_weights"], checkpoint["best_values"] = self.best_weights, self.best_values

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.best_weights, self.best_values = checkpoint["best_weights"], checkpoint["best_values"]

    @property
    def best_scores(self) -> Tensor:
        """The best that each member reached in `monitor`, (num_members,); infinitely bad where it diverged."""
        worst = math.inf if self.mode == "min" else -math.inf
        return self.best_values[self.monitor].nan_to_num(nan=worst, posinf=worst, neginf=worst)

    @property
    def best_member(self) -> int:
        scores = self.best_scores
        return int(scores.argmin() if self.mode == "min" else scores.argmax())

    @torch.no_grad()
    def restore_best(self) -> None:
        for name, tensor in self.weights.items():
            tensor.copy_(self.best_weights[name])

    def member(self, place: int) -> SupervisedModule:
        """An ordinary model with the present weights of the member at that place."""
        self.members.trainer = None  # what stands there cannot be copied
        model = copy.deepcopy(self.members)
        replace(model, {name: tensor[place].detach().clone() for name, tensor in self.weights.items()})
        return model

    def member_checkpoint(self, checkpoint: dict[str, Any], place: int) -> dict[str, Any]:
        """What an ordinary run with the seed of the member at that place would have saved instead of `checkpoint`."""
        own, state = self.weights, {}
        for name, tensor in self.members.state_dict().items():
            state[name] = tensor[place].clone() if name in own else tensor
        optimizers = [
            {
                **optimizer,
                "state": {
                    number: {
                        key: value[place].clone() if isinstance(value, Tensor) and value.ndim else value
                        for key, value in of_parameter.items()
                    }
                    for number, of_parameter in optimizer["state"].items()
                },
            }
            for optimizer in checkpoint["optimizer_states"]
        ]
        of_all = ("best_weights", "best_values", "progress")
        single = {key: value for key, value in checkpoint.items() if key not in of_all}
        return {**single, "state_dict": state, "optimizer_states": optimizers}

    def progress(self) -> dict[str, Any]:
        return {**super().progress(), "members": self.train_metrics.get_states()}

    def restore_progress(self, progress: dict[str, Any]) -> None:
        super().restore_progress(progress)
        self.train_metrics.set_states(progress["members"])

    def table(self, tested: bool) -> pd.DataFrame:
        """A row a member: its seed, its best epoch, what validation measured then, and the test if it was `tested`."""
        columns = {**self.best_values, **(self.test_metrics.compute() if tested else {})}
        values = {name: tensor.cpu().numpy() for name, tensor in columns.items()}
        return pd.DataFrame({"seed": self.seeds, "epoch": values.pop("epoch").astype(int), **values})


def own_tensors(model: SupervisedModule) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers that each member has of its own; tied ones under each of their names."""
    tensors = chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False))
    for name, tensor in tensors:
        if name.partition(".")[0] not in SHARED:
            yield name, tensor


def stacked(members: Sequence[SupervisedModule]) -> SupervisedModule:
    """The first of the members, with the tensors of all in the place of its own."""
    all_tensors = [dict(own_tensors(member)) for member in members]
    stacks = {name: torch.stack([tensors[name].detach() for tensors in all_tensors]) for name in all_tensors[0]}
    replace(members[0], stacks)
    return members[0]


def replace(model: SupervisedModule, tensors: Mapping[str, Tensor]) -> None:
    """Put other values, of any shape, in the place of the model's tensors; what is tied stays tied."""
    new: dict[int, Tensor] = {}
    for name, old in list(own_tensors(model)):
        if id(old) not in new:
            parameter = isinstance(old, nn.Parameter)
            new[id(old)] = nn.Parameter(tensors[name], old.requires_grad) if parameter else tensors[name]
        module, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(module), attribute, new[id(old)])
