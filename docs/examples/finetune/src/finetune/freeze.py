from collections.abc import Sequence

import lightning as L
from torch import nn


class Freeze(L.Callback):
    """Holds parts of the model still until an epoch.

    Their parameters are in the optimizer from the start: groups that came later would have no place in the schedule.
    """

    def __init__(self, modules: Sequence[str], until_epoch: int) -> None:
        self.modules = modules
        self.until_epoch = until_epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        learns = trainer.current_epoch >= self.until_epoch
        for name in self.modules:
            part = pl_module.get_submodule(name).requires_grad_(learns)
            for layer in part.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.train(learns)  # else its running statistics would change
