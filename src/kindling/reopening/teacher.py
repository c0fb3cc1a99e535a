"""Distillation: a net learns what other nets say of the images, instead of their labels."""

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call

from kindling.checkpoints.format import load
from kindling.data.augmentation import Relabelling
from kindling.errors import UserError
from kindling.reopening.run import Run


class Teacher(Relabelling):
    """The probabilities that a run gives, in the place of y (Hinton, Vinyals & Dean, 2015).

    It is opened with the first batch: whoever evaluates the pupil needs it no more.

    Args:
        run: the folder of a run; of a population, whose members count alike, each with its best weights.

    Raises:
        UserError: with a batch, where the folder is none of a run, or the run knows other classes.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        self.folder = Path(run)

    @cached_property
    def opened(self) -> Run:
        return Run(self.folder)

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Of all members, (num_members, ...) each."""
        if self.opened.summary["population"] > 1:
            best: dict[str, Tensor] = load(self.opened.folder / "checkpoints" / "last.ckpt")["best_weights"]
            return best
        return {name: tensor[None] for name, tensor in self.opened.model.state_dict().items()}

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        data, model = self.opened.described, self.opened.model.to(x.device)
        if data.in_features != x[0].numel():
            raise UserError(
                f"augmentation.distillation.run={self.folder}: learned from rows of {data.in_features:,} numbers, and "
                f"these have {x[0].numel():,}; name a run on images of the same size"
            )
        self.weights.update({name: tensor.to(x.device) for name, tensor in self.weights.items()})
        black, white = (torch.as_tensor(level, device=x.device) for level in data.black_and_white())
        rows = (x * (white - black) + black).to(next(iter(self.weights.values())).dtype)
        outputs = torch.vmap(lambda weights: functional_call(model, weights, (rows,)))(self.weights)
        said = torch.stack([model.task.prediction(output) for output in outputs]).mean(dim=0)
        if said.shape != y.shape:
            raise UserError(
                f"augmentation.distillation.run={self.folder}: gives {tuple(said.shape[1:])} probabilities a row, and "
                f"these data have {tuple(y.shape[1:])}; name a run on data of the same classes"
            )
        return x, said.to(y.dtype)
