import lightning as L
from torch import nn


class Freeze(L.Callback):
    """All but one part of the model stays as it is until an epoch.

    The optimizer has all parameters from the start: groups that came later would have no place in the schedule.
    """

    def __init__(self, head: str, until_epoch: int) -> None:
        self.head = head
        self.until_epoch = until_epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        frozen = trainer.current_epoch < self.until_epoch
        head = pl_module.get_submodule(self.head)
        pl_module.requires_grad_(not frozen)
        head.requires_grad_(True)
        for module in pl_module.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train(not frozen)  # else its running statistics would change
