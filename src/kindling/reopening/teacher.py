"""Distillation: a net learns what other nets say of the images, instead of their labels."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from kindling.checkpoints.format import load
from kindling.data.augmentation import Relabelling
from kindling.data.augmented import AugmentedDataModule
from kindling.data.tasks import Task
from kindling.errors import UserError, shown, some
from kindling.folders import read_summary
from kindling.models.base import SupervisedModule
from kindling.population.model import own_tensors
from kindling.reopening.run import Run


class Teacher(Relabelling):
    """The probabilities that a run gives, in the place of y (Hinton, Vinyals & Dean, 2015).

    It is opened with the first batch: whoever evaluates the pupil needs it no more.

    Args:
        run: the folder of a completed run; of a population, whose members count alike, each with its best weights. Or a
            checkpoint, for the one net in it.

    Raises:
        UserError: with a batch, where nothing there can teach, or has learned from other images or other classes.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        self.path = Path(run)
        self.named = f"augmentation.distillation.run={run}"

    @cached_property
    def num_members(self) -> int:
        if not self.path.is_dir():
            return 1
        summary = read_summary(self.path)
        if summary["status"] != "completed":  # its best weights may still become others
            raise UserError(
                f"{self.named}: by its summary.json it is {shown(str(summary['status']))}, and not completed; name the "
                "folder of a completed run, or a checkpoint"
            )
        population = summary.get("population")
        if type(population) is not int or population < 1:
            raise UserError(
                f"{self.path / 'summary.json'}: has no `population`, the number of its nets; name the folder of a run "
                "of Kindling, or a checkpoint"
            )
        return population

    @cached_property
    def opened(self) -> Run:
        run = Run(self.path if self.num_members == 1 else self.path / "checkpoints" / "best.ckpt")
        if not isinstance(run.described, AugmentedDataModule):
            raise UserError(
                f"{self.named}: learned from {type(run.described).__name__}, whose rows are no images (those of an "
                "AugmentedDataModule are); name a run on images"
            )
        if not isinstance(run.model, SupervisedModule):
            raise UserError(
                f"{self.named}: its {type(run.model).__name__} is no SupervisedModule, whose probabilities are known; "
                "name a run of one"
            )
        return run

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Of all members of a population, (num_members, ...) each."""
        file = self.path / "checkpoints" / "last.ckpt"
        found: Any = load(file).get("best_weights")
        best: dict[str, Any] = found if isinstance(found, dict) else {}
        own = dict(own_tensors(self.opened.model))
        for name, tensor in own.items():
            if getattr(best.get(name), "shape", None) != (self.num_members, *tensor.shape):
                raise UserError(
                    f"{file}: has no best_weights of {self.num_members} nets like that of best.ckpt ({shown(name)}); "
                    "name a run as it was left, or its best.ckpt for one net"
                )
        return {name: best[name] for name in own}

    def outputs(self, rows: Tensor) -> Tensor:
        """Of each net, (num_members, N, ...)."""
        model = self.opened.model.to(rows.device)
        if self.num_members == 1:
            one: Tensor = model(rows)
            return one[None]
        self.weights.update({name: tensor.to(rows.device) for name, tensor in self.weights.items()})
        return torch.vmap(lambda weights: functional_call(model, weights, (rows,), tie_weights=False))(self.weights)

    def forward(self, x: Tensor, y: Tensor, task: Task | None = None) -> tuple[Tensor, Tensor]:
        self.check(x, task)
        model = self.opened.model
        black, white = (torch.as_tensor(level, device=x.device) for level in self.opened.described.black_and_white())
        rows = (x * (white - black) + black).to(next(model.parameters()).dtype)
        said = torch.stack([model.task.prediction(output) for output in self.outputs(rows)]).mean(dim=0)
        if said.shape != y.shape:
            raise UserError(
                f"{self.named}: gives {tuple(said.shape[1:])} probabilities a row, and these data have "
                f"{tuple(y.shape[1:])}; name a run on data of the same classes"
            )
        return x, said.to(y.dtype)

    def check(self, x: Tensor, task: Task | None) -> None:
        """Raises:
        UserError: where the run has learned from other images, or other classes, as far as both say theirs.
        """
        learned, here = getattr(self.opened.described, "row_shape", None), list(x.shape[1:])
        if learned not in (None, here):
            raise UserError(
                f"{self.named}: learned from images of shape {learned} (channels, height, width), and these have "
                f"{here}; name a run on images of the same shape"
            )
        own: Task = self.opened.model.task
        if not isinstance(task, Task):
            return
        known = [names(own), names(task)]
        if own.name != task.name or (None not in known and known[0] != known[1]):
            raise UserError(
                f"{self.named}: knows {answers(own)}, and these data have {answers(task)}; name a run on data of the "
                "same classes, in the same order"
            )


def names(task: Task) -> list[str] | None:
    """Of its classes or labels; None where it has none, or does not say them."""
    found = getattr(task, "classes", getattr(task, "labels", None))
    return None if found is None else [str(name) for name in found]


def answers(task: Task) -> str:
    known = names(task)
    what = f"{task.out_features} outputs" if known is None else f"the classes {some(map(shown, known))}"
    return f"{what} ({task.name})"
