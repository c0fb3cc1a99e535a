"""The learning rates of all groups of parameters."""

from typing import Any

import lightning as L
from lightning.pytorch import callbacks


class LearningRateMonitor(callbacks.LearningRateMonitor):
    """Lightning's, whose rates are scores too, and so in metrics.csv: of each epoch the last that it has looked at."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._before: dict[str, float] = {}  # where a run goes on within an epoch

    def state_dict(self) -> dict[str, Any]:
        return {"rates": {**self._before, **{name: float(rates[-1]) for name, rates in self.lrs.items() if rates}}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["rates"]

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Looks at the rates. The loggers get them with the row of the epoch, and not in one of their own."""
        loggers, trainer.loggers = trainer.loggers, []
        try:
            super().on_train_epoch_start(trainer, *args, **kwargs)
        finally:
            trainer.loggers = loggers

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log_dict(self.state_dict()["rates"])
