"""Which configs can be trained as a population, and how one is built."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from kindling.callbacks import BestMember, MemberTable
from kindling.errors import UserError
from kindling.models.base import SupervisedModule
from kindling.models.population import Population
from kindling.steps import several_processes


def populate(cfg: DictConfig, make_model: Callable[[], SupervisedModule]) -> Population:
    """`cfg.population` models, of the seeds from `cfg.seed` on.

    Raises:
        UserError: where something in the config would make one member depend on another.
    """
    seeds = range(cfg.seed, cfg.seed + cfg.population)
    members = []
    for seed in seeds:
        L.seed_everything(seed, workers=True, verbose=False)
        members.append(make_model())
        if seed == cfg.seed:
            check(cfg, members[0])
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    return Population(members, seeds, cfg.mode)


def member_callbacks(cfg: DictConfig, callbacks: list[Callback]) -> list[Callback]:
    """A table of the members, and the best of them in the place of the best epoch, which is another for each."""
    found: list[Callback] = [MemberTable(Path(cfg.run_dir))]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor == cfg.monitor:
            callback = BestMember(Path(callback.dirpath or cfg.run_dir) / f"{callback.filename or 'best'}.ckpt")
        found.append(callback)
    return found


def check(cfg: DictConfig, model: SupervisedModule) -> None:
    obstacle = next(_obstacles(cfg, model), None)
    if obstacle:
        raise UserError(f"population={cfg.population}: not possible with {obstacle}; set it to 1, or change that")


def _obstacles(cfg: DictConfig, model: SupervisedModule) -> Iterator[str]:
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
    if not elementwise(model.make_optimizer):
        yield f"{cfg.optimizer._target_}, which does not work element by element"
    if not cfg.monitor.startswith("val/"):
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
