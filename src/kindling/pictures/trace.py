"""The weights of a small model on their way: recorded while it learns, at a bounded cost."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MOST_WEIGHTS = 1_000  # of a model that is followed
MOST_MOMENTS = 160  # that are kept
EARLY = 32  # steps, after each of which the weights are kept


class Trace:
    """The weights before training, after each of the first steps, in which most happens, and after every n-th optimizer
    step. Where there are too many, n doubles: the moments that are kept lie evenly over the run, however long it is.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []  # optimizer steps done at each of the moments
        self.moments: list[dict[str, Tensor]] = []  # parameters by name
        self.every = 1
        self.count = 0
        self.start: dict[str, float] = {}  # what validation measured before training

    def follow(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Record what the optimizer does to the model from now on; nothing of a large one."""
        if sum(parameter.numel() for parameter in model.parameters()) > MOST_WEIGHTS:
            return
        if not self.moments:
            self._keep(model)
        optimizer.register_step_post_hook(lambda *_: self._after_step(model))

    def _after_step(self, model: nn.Module) -> None:
        self.count += 1
        if len(self.moments) == MOST_MOMENTS:
            self.every *= 2
            kept = [place for place, step in enumerate(self.steps) if self._is_kept(step)]
            self.steps, self.moments = [self.steps[i] for i in kept], [self.moments[i] for i in kept]
        if self._is_kept(self.count):
            self._keep(model)

    def _is_kept(self, step: int) -> bool:
        return step <= EARLY or step % self.every == 0

    def _keep(self, model: nn.Module) -> None:
        self.steps.append(self.count)
        self.moments.append({name: value.detach().clone() for name, value in model.named_parameters()})

    def weights(self, moment: float) -> dict[str, Tensor]:
        """Those of the moment nearest to that part of the steps, from 0 to 1."""
        return self.moments[self._place(moment)]

    def step(self, moment: float) -> int:
        """Optimizer steps that were done then."""
        return self.steps[self._place(moment)]

    def _place(self, moment: float) -> int:
        return min(range(len(self.steps)), key=lambda place: abs(self.steps[place] - moment * self.count))

    def path(self, name: str) -> Tensor:
        """A parameter at all the moments, (moments, ...)."""
        return torch.stack([moment[name] for moment in self.moments]).cpu()

    def state(self) -> dict[str, Any]:
        names = self.moments[0] if self.moments else {}
        facts = {"steps": self.steps, "every": self.every, "count": self.count, "start": self.start}
        return {**facts, "weights": {name: self.path(name) for name in names}}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps, self.every, self.count = list(state["steps"]), int(state["every"]), int(state["count"])
        weights = state["weights"]
        self.moments = [{name: value[place] for name, value in weights.items()} for place in range(len(self.steps))]
        self.start = dict(state["start"])
