"""Which configs can be trained as a population, and how one is built."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from kindling.config.checks import several_processes
from kindling.errors import UserError, some
from kindling.models.base import SupervisedModule
from kindling.models.param_groups import Grouped
from kindling.population.model import Population


def populate(cfg: DictConfig, datamodule: Any, make_model: Callable[[], Any]) -> Population:
    """`cfg.population` models, of the seeds from `cfg.seed` on, for which the data give batches for each.

    Raises:
        UserError: where something in the config would make one member depend on another.
    """
    seeds = range(cfg.seed, cfg.seed + cfg.population)
    members = []
    for seed in seeds:
        L.seed_everything(seed, workers=True, verbose=False)
        members.append(make_model())
        if seed == cfg.seed:
            check(cfg, datamodule, members[0])
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule.num_members = cfg.population
    datamodule.own_orders = cfg.population_order == "own"
    population = Population(members, seeds, cfg.mode)
    if isinstance(population.make_optimizer, Grouped):
        population.make_optimizer.describe = population.describe
    return population


def check(cfg: DictConfig, datamodule: Any, model: L.LightningModule) -> None:
    obstacle = next(_obstacles(cfg, datamodule, model), None)
    if obstacle:
        raise UserError(f"population={cfg.population}: not possible with {obstacle}; set it to 1, or change that")


def _obstacles(cfg: DictConfig, datamodule: Any, model: L.LightningModule) -> Iterator[str]:
    if not isinstance(model, SupervisedModule):
        yield f"{cfg.model._target_}, which is no SupervisedModule"
        return
    if not hasattr(datamodule, "num_members"):
        yield f"{cfg.data._target_}, which does not hold its rows in memory"
    if several_processes(cfg.trainer):
        yield "several processes"
    if cfg.trainer.get("gradient_clip_val"):
        yield f"trainer.gradient_clip_val={cfg.trainer.gradient_clip_val}, which looks at all gradients together"
    if str(cfg.trainer.get("precision")) in ("16", "16-mixed"):
        yield f"trainer.precision={cfg.trainer.precision}, which scales all gradients together"
    if cfg.trainer.get("val_check_interval", 1.0) not in (None, 1.0):
        yield f"trainer.val_check_interval={cfg.trainer.val_check_interval}: the best of a member is that of an epoch"
    if cfg.compile:
        yield "compile=true"
    if cfg.scheduler._target_.endswith("ReduceLROnPlateau"):
        yield "a scheduler that waits for validation"
    if cfg.metrics:
        yield f"metrics={some(cfg.metrics)}, which are measured of one model"
    if not elementwise(model.make_optimizer):
        yield f"{cfg.optimizer._target_}, which does not work element by element"
    if not str(cfg.monitor).startswith("val/"):
        yield f"monitor={cfg.monitor}, which is no metric of the validation"
    for cls in type(model).__mro__[: type(model).__mro__.index(SupervisedModule)]:
        for name in vars(cls):
            if hasattr(SupervisedModule, name) and name not in ("tasks", "forward") and not name.startswith("__"):
                yield f"the model's own {name}"


def elementwise(make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]) -> bool:
    """Whether steps on two stacked matrices are the steps on each of them."""
    generator = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(3, 2, 3, 4, generator=generator)

    def after_steps(place: int | slice) -> Tensor:
        parameter = nn.Parameter(start[place].clone())
        optimizer = make_optimizer([parameter])
        for gradient in gradients:
            parameter.grad = gradient[place].clone()
            optimizer.step()
        return parameter.detach()

    try:
        return torch.allclose(after_steps(slice(None)), torch.stack([after_steps(0), after_steps(1)]))
    except (TypeError, ValueError, RuntimeError):  # it asks for a closure, or for a matrix
        return False
