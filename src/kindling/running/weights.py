"""One set of weights: those that the best score was measured with are saved, tested, and what is opened later."""

import logging
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import Tensor

from kindling.running.callbacks import Late

log = logging.getLogger(__name__)

DIVIDED = (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)  # the model among the processes
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes that they take


class OneSetOfWeights(Late):
    """Callbacks may keep weights of their own, such as an average, and put them into the model for a while: the test is
    of those in the checkpoint all the same, and where others were validated than are saved, the run says so."""

    def __init__(self) -> None:
        self.tested: Mapping[str, Tensor] | None = None  # what the test is of
        self._validated: tuple[int, dict[str, int]] = (-1, {})  # at which step, and the sums of the weights
        self._told = False

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if trainer.state.fn == "fit" and batch_idx == dataloader_idx == 0 and not isinstance(trainer.strategy, DIVIDED):
            self._validated = trainer.global_step, sums(dict(pl_module.named_parameters()))

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        step, validated = self._validated
        if self._told or step != trainer.global_step:
            return
        saved = sums({name: value for name, value in checkpoint["state_dict"].items() if name in validated})
        changed = [name for name in saved if saved[name] != validated[name]]
        if changed:
            self._told = True
            log.warning(
                f"WARNING: {changed[0]} is saved with other values than the validation was of, since a callback or a "
                "hook changes it in between: the score of best.ckpt is not that of its weights. An average that is put "
                'into the model for the validation should be put into checkpoint["state_dict"] by on_save_checkpoint'
            )

    def on_test_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self.tested is not None and batch_idx == dataloader_idx == 0:
            pl_module.load_state_dict(self.tested, strict=pl_module.strict_loading)


def sums(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Of the bits of each tensor: the same on every device, and other ones when anything has changed."""
    plain = {name: value.detach() for name, value in weights.items() if value.element_size() in INTEGERS}
    bits = [value.contiguous().view(INTEGERS[value.element_size()]).sum() for value in plain.values()]
    return dict(zip(plain, torch.stack(bits).tolist() if bits else [], strict=True))
