"""The learning rates of all groups of parameters."""

import lightning as L
from lightning.pytorch import callbacks


class LearningRateMonitor(callbacks.LearningRateMonitor):
    """Lightning's, whose rates are scores too, and so in metrics.csv: of each epoch the last that it has looked at."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for name, rates in self.lrs.items():
            if rates:
                pl_module.log(name, float(rates[-1]))
