"""The classes that a config out of a checkpoint or a run folder may name."""

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

# Where a class may be defined, and what kind of class it must be. What is absent, is absent for a reason:
# - lightning.pytorch.callbacks: lambda_function and throughput_monitor call what they are given, pruning finds
#   functions by name, spike, prediction_writer, batch_size_finder and lr_finder write files of their own;
# - lightning.pytorch.loggers: comet, litlogger, mlflow, neptune and wandb send to whatever address the config says;
# - lightning.pytorch.plugins: io writes files, environment says to which machines to connect, bitsandbytes and
#   transformer_engine import other packages; of the strategies, deepspeed reads its config from any file;
# - torchmetrics: audio, detection, image, multimodal, text and video download models or call what they are given;
# - lightning.pytorch.cli, torch.nn.utils, torch.utils, torch.hub and the rest are not what a run is made of.
DEFINED_IN: dict[str, type | tuple[type, ...]] = {
    "kindling.models.losses": nn.Module,
    "kindling.models": L.LightningModule,
    "kindling.data.augmentation": nn.Module,
    "kindling.data": L.LightningDataModule,
    "kindling.reopening.teacher": nn.Module,
    "kindling.callbacks": Callback,
    "kindling.running.callbacks": Callback,
    "kindling.running.figures": Callback,
    "kindling.running.progress": Callback,
    "kindling.checkpoints.last": Callback,
    "kindling.running.loggers": Logger,
    "torch.nn.modules": nn.Module,
    "torch.optim": (Optimizer, LRScheduler),
    "torchmetrics.aggregation": Metric,
    "torchmetrics.classification": Metric,
    "torchmetrics.regression": Metric,
    "torchvision.transforms.v2": nn.Module,
    "lightning.pytorch.trainer.trainer": L.Trainer,
    "lightning.pytorch.callbacks.device_stats_monitor": Callback,
    "lightning.pytorch.callbacks.early_stopping": Callback,
    "lightning.pytorch.callbacks.finetuning": Callback,
    "lightning.pytorch.callbacks.gradient_accumulation_scheduler": Callback,
    "lightning.pytorch.callbacks.lr_monitor": Callback,
    "lightning.pytorch.callbacks.model_checkpoint": Callback,
    "lightning.pytorch.callbacks.model_summary": Callback,
    "lightning.pytorch.callbacks.on_exception_checkpoint": Callback,
    "lightning.pytorch.callbacks.progress": Callback,
    "lightning.pytorch.callbacks.rich_model_summary": Callback,
    "lightning.pytorch.callbacks.stochastic_weight_avg": Callback,
    "lightning.pytorch.callbacks.timer": Callback,
    "lightning.pytorch.callbacks.weight_averaging": Callback,
    "lightning.pytorch.loggers.csv_logs": Logger,
    "lightning.pytorch.loggers.tensorboard": Logger,
    "lightning.pytorch.plugins.precision.amp": Precision,
    "lightning.pytorch.plugins.precision.double": Precision,
    "lightning.pytorch.plugins.precision.fsdp": Precision,
    "lightning.pytorch.plugins.precision.half": Precision,
    "lightning.pytorch.profilers.advanced": Profiler,
    "lightning.pytorch.profilers.pytorch": Profiler,
    "lightning.pytorch.profilers.simple": Profiler,
    "lightning.pytorch.strategies.ddp": Strategy,
    "lightning.pytorch.strategies.fsdp": Strategy,
    "lightning.pytorch.strategies.single_device": Strategy,
}
# Modules that pass on classes from the ones above.
PASSED_ON_BY = {
    "lightning",
    "lightning.pytorch",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.plugins",
    "lightning.pytorch.plugins.precision",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "torch.nn",
    "torchmetrics",
}
# Functions, with the arguments that they may be given: others of wandb.init say to whom to send what.
FUNCTIONS = {
    "kindling.models.schedulers.warmup_cosine": {"_partial_", "total_steps", "warmup", "end_factor"},
    "kindling.models.schedulers.warmup_linear": {"_partial_", "total_steps", "warmup", "end_factor"},
    "kindling.models.schedulers.sequence": {"_partial_", "total_steps", "schedulers", "lengths"},
    "kindling.running.loggers.wandb_logger": {
        *("save_dir", "project", "name", "id", "group", "job_type", "tags", "notes", "mode", "histograms", "model"),
        "finish_timeout",
    },
    "kindling.running.loggers.mlflow_logger": {"run_dir", "experiment", "name", "group", "id", "model"},
}
EXCLUDED = {"torchvision.transforms.v2._misc.Lambda"}  # calls what it is given
