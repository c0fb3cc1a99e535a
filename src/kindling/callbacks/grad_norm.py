"""How large the gradients are."""

from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


class GradNorm(Callback):
    """Logs the norm of all gradients of an optimizer together, before they are clipped: of an epoch the mean over its
    steps, `grad_norm`, and the largest, `grad_norm_max`; of several optimizers `grad_norm_0` and so on.
    """

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        if trainer.precision == "16-mixed" and not norm.isfinite():
            return  # the step is left out, and the loss scaled less
        several = len(trainer.optimizers) > 1
        name = f"grad_norm_{trainer.optimizers.index(optimizer)}" if several else "grad_norm"
        reductions: dict[str, Literal["mean", "max"]] = {name: "mean", f"{name}_max": "max"}
        for key, reduction in reductions.items():
            pl_module.log(key, norm, on_step=False, on_epoch=True, reduce_fx=reduction, batch_size=1, sync_dist=True)
