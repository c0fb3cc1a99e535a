"""The protocol that all models share: one step, its metrics, the optimizer and its schedule."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Adagrad, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import Metric, MetricCollection

from kindling.config.signatures import length_argument, signature
from kindling.data.loader import Chunk
from kindling.data.tasks import Task
from kindling.lightning_internals import count_steps
from kindling.models.losses import weighted, weights_of_rows
from kindling.models.metrics import MeanLoss, metrics_of_stages
from kindling.models.predictor import Predictor
from kindling.models.schedule import number_of_steps, remember_start, start_again

if TYPE_CHECKING:
    from kindling.data.supervised import SupervisedDataModule

BEST = {True: "max", False: "min", None: None}  # by whether higher is better
Batch = tuple[Tensor, ...]  # x and y; and where rows have weights, these (N,)


class SupervisedModule(LightningModule):
    """A model that learns y from x. A subclass names its `tasks` and builds `self.net`.

    Args:
        task: of the data: turns outputs into predictions and says what is measured.
        loss: called with (output, task.target(y)), returns a scalar.
        optimizer: called with the parameters.
        scheduler: called with the optimizer. One that takes the length of the run (`total_steps` and the like) gets it
            and steps with every batch; any other steps with every epoch.
        monitor: the metric that a plateau scheduler watches.
        metrics: more of them, besides those of the task.
    """

    tasks: ClassVar[tuple[str, ...]]
    batch_dim: ClassVar[int] = 0  # of batches and outputs
    net: nn.Module

    def __init__(
        self,
        task: Task,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        monitor: str = "val/loss",
        metrics: MetricCollection | None = None,
    ) -> None:
        super().__init__()
        warnings.filterwarnings("ignore", r".*sync_dist=True.*")  # metrics have been computed over all processes
        self.task = task
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.monitor = monitor
        chosen: Any = metrics or {}
        measured: dict[str, Metric] = {"loss": MeanLoss(), **task.metrics(), **chosen}
        self.train_metrics, self.val_metrics, self.test_metrics = metrics_of_stages(measured)
        self.num_samples = 0  # trained on so far, by all processes
        self.lr = math.nan
        self.schedule_length: int | None = None  # in optimizer steps, where the schedule is as long as the run

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def loss_and_output(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output = self(x)
        return self.loss_of(output, y, weight), output

    def loss_of(self, output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        target = self.task.target(y)
        return self.loss(output, target) if weight is None else weighted(self.loss, output, target, weight)

    def weight_of(self, y: Tensor, weight: Tensor | None = None) -> int | Tensor:
        """What a batch counts in the mean loss of an epoch: its rows, or the sum of their weights."""
        if weight is None and getattr(self.loss, "class_weights", None) is None:  # asked at every step
            return y.shape[self.batch_dim]
        of_classes = weights_of_rows(self.loss, self.task.target(y))
        if of_classes is None:
            return y.shape[self.batch_dim] if weight is None else weight.sum(dim=-1)
        return (of_classes if weight is None else of_classes * weight).sum(dim=-1)

    def step(self, batch: Batch, metrics: MetricCollection) -> Tensor:
        x, y, *weight = batch
        loss, output = self.loss_and_output(x, y, *weight)
        with torch.no_grad():
            counts, truth = self.weight_of(y, *weight), self.task.truth(y)
            metrics.update(value=loss, weight=counts, preds=self.task.prediction(output), target=truth)
        return loss

    def training_step(self, batch: Batch | Chunk, batch_idx: int) -> dict[str, Tensor]:
        if isinstance(batch, Chunk):
            return {"loss": self.take_steps(batch)}
        self._count_samples(batch[1])
        return {"loss": self.step(batch, self.train_metrics).sum()}

    def take_steps(self, chunk: Chunk) -> Tensor:
        """What Lightning does for each of the batches, without its overhead: the losses, one a batch."""
        optimizer = self.trainer.optimizers[0]
        (config,) = self.trainer.lr_scheduler_configs
        scheduler, every_step = config.scheduler, config.interval == "step"
        losses, outputs, targets, weights = [], [], [], []
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        for batch in chunk.batches:
            on_device = tuple(part.to(self.device, non_blocking=True) for part in batch)
            x, y, *weight = datamodule.on_after_batch_transfer(on_device, 0)
            loss, output = self.loss_and_output(x, y, *weight)
            optimizer.zero_grad()
            loss.sum().backward()  # a population has a loss for each of its members
            optimizer.step()
            if every_step:
                scheduler.step()  # type: ignore[call-arg]
            losses.append(loss.detach())
            outputs.append(output.detach())
            targets.append(y)
            weights.append(self.weight_of(y, *weight))
        if self.trainer.is_last_batch and not every_step:
            scheduler.step()  # type: ignore[call-arg]
        count_steps(self.trainer, len(losses))
        all_losses = torch.stack(losses, dim=-1)
        y = torch.cat(targets, dim=self.batch_dim)
        self._count_samples(y)
        predictions = self.task.prediction(torch.cat(outputs, dim=self.batch_dim))
        counts = together(weights, self.device)
        self.train_metrics.update(value=all_losses, weight=counts, preds=predictions, target=self.task.truth(y))
        return all_losses

    def _count_samples(self, y: Tensor) -> None:
        self.num_samples += y.shape[: self.batch_dim + 1].numel() * self.trainer.world_size

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.step(batch, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.step(batch, self.test_metrics)

    def predict_step(self, batch: Batch | Tensor, batch_idx: int) -> Tensor:
        """Predictions in the units of the target, or probabilities, for rows as the data give them."""
        return self.task.prediction(self(batch if isinstance(batch, Tensor) else batch[0]))

    def on_train_epoch_start(self) -> None:
        self.lr = self.trainer.optimizers[0].param_groups[0]["lr"]  # of the first step of the epoch

    def on_train_epoch_end(self) -> None:
        self.log("lr", self.lr)
        self._log_metrics(self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics(self.val_metrics, prog_bar=True)

    def on_test_epoch_end(self) -> None:
        self._log_metrics(self.test_metrics)

    def _log_metrics(self, metrics: MetricCollection, prog_bar: bool = False) -> None:
        values = metrics.compute()
        if all(math.isfinite(value) for name, value in values.items() if name.endswith("/loss")):
            values = {name: value for name, value in values.items() if math.isfinite(value)}  # of one row, no R²
        self.log_dict(values, prog_bar=prog_bar)
        metrics.reset()

    def scores(self) -> dict[str, str | None]:
        """What is logged while it learns, each with its best."""
        measured = {**dict(self.train_metrics.items()), **dict(self.val_metrics.items())}
        return {name: BEST[metric.higher_is_better] for name, metric in measured.items()}

    def predictor(self, data: "SupervisedDataModule") -> Predictor:
        """From inputs as they come (`data.read_inputs`) to predictions, in one module."""
        return Predictor(data.preprocessing(), self).eval()

    def progress(self) -> dict[str, Any]:
        """What a run that stops here needs in order to go on, besides weights, optimizer and metrics."""
        return {"num_samples": self.num_samples, "lr": self.lr, "schedule_length": self.schedule_length}

    def restore_progress(self, progress: dict[str, Any]) -> None:
        self.num_samples, self.lr = progress["num_samples"], progress["lr"]
        if self.schedule_length not in (None, progress["schedule_length"]):
            for config in self.trainer.lr_scheduler_configs:  # none where weights are averaged at a rate of their own
                start_again(config.scheduler)

    def _schedule(self, optimizer: Optimizer) -> LRScheduler:
        length = length_argument(self.make_scheduler)
        scheduler = self.make_scheduler(optimizer, **({length: self.schedule_length} if length else {}))
        if length:
            remember_start(scheduler)
        return scheduler

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.make_optimizer(self.parameters(), **self._fused())
        self.schedule_length = self._num_steps() if length_argument(self.make_scheduler) else None
        scheduler = self._schedule(optimizer)
        schedule: dict[str, Any] = {"scheduler": scheduler, "interval": "step" if self.schedule_length else "epoch"}
        if isinstance(scheduler, ReduceLROnPlateau):
            schedule["monitor"] = self.monitor
            if not self.monitor.startswith("train"):  # else it would be asked in epochs that are not validated
                schedule["frequency"] = self.trainer.check_val_every_n_epoch or 1
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[return-value]

    def _fused(self) -> dict[str, bool]:
        """One kernel for the whole update where the optimizer has one for the device and no other way is asked for."""
        make = self.make_optimizer
        if not isinstance(make, partial) or {"fused", "foreach", "capturable", "differentiable"} & make.keywords.keys():
            return {}
        devices = ("cpu",) if make.func is Adagrad else ("cpu", "cuda")  # no older torch has Adagrad's for a GPU
        possible = "fused" in signature(make.func) and self.device.type in devices
        return {"fused": True} if possible and self.trainer.precision != "16-mixed" else {}

    def _num_steps(self) -> int:
        steps = number_of_steps(self.trainer)
        if not self.automatic_optimization:
            steps = self.trainer.train_dataloader.num_batches * self.trainer.max_epochs  # type: ignore[union-attr]
        return int(steps)


def together(weights: Sequence[int | Tensor], device: torch.device) -> Tensor:
    """What each of several batches counts; where these are their rows, the last may be smaller."""
    if isinstance(weights[0], Tensor):
        return torch.stack([torch.as_tensor(weight) for weight in weights], dim=-1)
    sizes = torch.full((len(weights),), weights[0], device=device)
    sizes[-1] = weights[-1]
    return sizes
