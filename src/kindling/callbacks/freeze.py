"""A part of the model that does not learn, or not yet."""

import logging
from collections.abc import Iterator, Sequence

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy, Strategy
from pydantic import PositiveInt
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from kindling.errors import UserError, did_you_mean, some
from kindling.models.param_groups import is_called
from kindling.population.model import Population

log = logging.getLogger(__name__)


class Freeze(Callback):
    """Holds parts of the model still. Their parameters are in the optimizer from the start, without gradients, so that
    neither weight decay nor momentum moves them; their layers do what they do in evaluation, where BatchNorm keeps its
    statistics and dropout lets everything through.

    Args:
        modules: names of layers or of parameters, as `named_modules` and `named_parameters` give them, or patterns of
            such names: `net.0`, `backbone.*`, `*.bias`.
        until_epoch: the first one, counted from 0, in which they learn; None: they never do.
    """

    def __init__(self, modules: str | list[str], until_epoch: PositiveInt | None = None) -> None:
        self.modules = modules
        self.until_epoch = until_epoch
        self._parameters: dict[str, nn.Parameter] = {}  # those that would learn
        self._layers: list[nn.Module] = []  # likewise

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Not earlier: an optimizer may be given what needs gradients alone.

        Raises:
            UserError: where there is no such part, or where it could not learn later.
        """
        check_strategy(trainer.strategy)
        model = pl_module.members if isinstance(pl_module, Population) else pl_module
        names = [self.modules] if isinstance(self.modules, str) else self.modules
        self._parameters = dict(parameters_of(model, names))
        learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        if learning <= self._parameters.keys():
            raise UserError(f"callbacks.freeze.modules={self.modules}: leaves nothing that learns")
        of_optimizers = {
            id(p) for optimizer in trainer.optimizers for group in optimizer.param_groups for p in group["params"]
        }
        missing = [name for name, parameter in self._parameters.items() if id(parameter) not in of_optimizers]
        if self.until_epoch is not None and missing:
            raise UserError(
                f"callbacks.freeze.until_epoch={self.until_epoch}: would not learn then, since no optimizer has them: "
                f"{some(missing)}"
            )
        layers = [layer for name, layer in model.named_modules() if any(is_called(name, pattern) for pattern in names)]
        self._layers = [layer for layer in layers if layer.training]
        for parameter in self._parameters.values():
            parameter.requires_grad_(False)
        count = sum(parameter.numel() for parameter in self._parameters.values())
        until = "for good" if self.until_epoch is None else f"until epoch {self.until_epoch}"
        log.info(f"frozen {until}: {some(names)} ({count:,} parameters)")
        for group in [group for optimizer in trainer.optimizers for group in optimizer.param_groups]:
            if isinstance(group.get("fused"), bool) and "momentum" in group:
                group["fused"] = False  # SGD's kernel does not take momenta of which some begin later

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._hold(trainer)  # of a run that goes on within an epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._hold(trainer)

    def _hold(self, trainer: L.Trainer) -> None:
        learns = self.until_epoch is not None and trainer.current_epoch >= self.until_epoch
        for layer in self._layers:
            layer.training = learns
        for parameter in self._parameters.values():
            parameter.requires_grad_(learns)


def check_strategy(strategy: Strategy) -> None:
    """Raises:
    UserError: where the processes would not agree on what learns.
    """
    if isinstance(strategy, FSDPStrategy | ModelParallelStrategy | DeepSpeedStrategy):
        raise UserError("callbacks.freeze: cannot hold parts of a model that is divided among processes; leave it out")
    if isinstance(strategy.model, DistributedDataParallel) and not strategy.model.find_unused_parameters:
        raise UserError(
            "callbacks.freeze: the processes would wait for gradients of what does not learn; set "
            "trainer.strategy=ddp_find_unused_parameters_true"
        )


def parameters_of(model: nn.Module, names: Sequence[str]) -> Iterator[tuple[str, nn.Parameter]]:
    """Those in the parts of these names that learn.

    Raises:
        UserError: where a name is that of nothing, or of something that has nothing to learn.
    """
    known = [name for name, _ in [*model.named_modules(), *model.named_parameters()] if name]
    for pattern in names:
        found = [(name, parameter) for name, parameter in model.named_parameters() if is_called(name, pattern)]
        if not found:
            there = any(is_called(name, pattern) for name in known)
            parts = [name for name in known if "." not in name]
            reason = "has no parameters" if there else f"the model has no such part{did_you_mean(pattern, known)}"
            raise UserError(f"callbacks.freeze.modules={pattern}: {reason} (it has {some(parts)})")
        yield from ((name, parameter) for name, parameter in found if parameter.requires_grad)
