"""What every run is watched for, whatever its model: losses that are not finite, and samples a second."""

import math
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor

from kindling import abilities
from kindling.errors import UserError
from kindling.lightning_internals import any_process
from kindling.models.schedule import keep_in_step
from kindling.running.callbacks import of_kind

LOOK_EVERY = 50  # calls: each look makes an accelerator wait for its own work


class Watch(Callback):
    """Ends the run where its training loss is not finite, and counts what it has trained on."""

    def __init__(self) -> None:
        self.num_samples: int | None = 0  # by all processes; None where batches cannot be measured
        self._losses: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        return {"num_samples": self.num_samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_samples = state_dict["num_samples"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        keep_in_step(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not abilities.offers(pl_module, "progress") and self.num_samples is not None:
            try:
                self.num_samples += extract_batch_size(batch) * trainer.world_size
            except MisconfigurationException:
                self.num_samples = None
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and abilities.ends_on_nan(pl_module):
            self._losses.append(loss.detach().flatten())
            if len(self._losses) == LOOK_EVERY:
                self._look(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: L.Trainer) -> None:
        """Raises:
        UserError: where one of the latest losses is not finite.
        """
        if not self._losses:
            return
        losses = torch.cat(self._losses).tolist()
        self._losses.clear()
        if not any_process(trainer, not all(map(math.isfinite, losses))):
            return
        for step, loss in enumerate(losses, start=trainer.global_step - len(losses)):
            if not math.isfinite(loss):
                raise UserError(
                    f"the training loss became {loss} in epoch {trainer.current_epoch} at step {max(step, 0)}; "
                    f"a smaller optimizer.lr or trainer.gradient_clip_val=1 may help"
                )
        raise UserError("the training loss of another process is not finite")


def num_samples(trainer: L.Trainer, model: L.LightningModule) -> int | None:
    """That the model was trained on, where they can be counted."""
    (watch,) = of_kind(trainer, Watch)
    return int(model.num_samples) if abilities.offers(model, "progress") else watch.num_samples  # type: ignore[arg-type]
