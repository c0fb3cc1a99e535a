"""TensorBoard: the course of a run, and what it leaves, in its folder."""

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from kindling.data.supervised import SupervisedDataModule
from kindling.errors import shown
from kindling.pictures.features import placed
from kindling.population.model import Population

if TYPE_CHECKING:
    from kindling.config.asked import Asked
    from kindling.running.build import Parts

log = logging.getLogger(__name__)

# Choices that are no hyperparameters: where a run is, what watches it.
APART = ("run_dir", "hydra.", "sweep", "resume", "logger", "callbacks", "debug", "trainer.enable", "test=", "train=")


class TensorBoard(TensorBoardLogger):
    """Lightning's, whose hyperparameters are what was asked for, and not the whole config; with the pictures of the
    run, its scores and its status, and the graph of the model.
    """

    def __init__(
        self, save_dir: str, name: str = "tensorboard", version: str = "", histograms: bool = False, graph: bool = True
    ) -> None:
        super().__init__(save_dir, name, version, default_hp_metric=False)
        self.histograms = histograms
        self.graph = graph

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """See `begin`: the config is in the run's config.yaml."""

    def begin(self, asked: "Asked", summary: dict[str, Any]) -> None:
        from torch.utils.tensorboard.summary import hparams

        told = {"model": summary["model"], "data": summary["data"]["name"], "seed": summary["seed"]}
        told |= changed(asked.overrides)
        _, start, _ = hparams(told, {})
        self.experiment.file_writer.add_summary(start)

    def log_weights(self, tensors: dict[str, Tensor], step: int) -> None:
        if self.histograms:
            for name, values in tensors.items():
                self.experiment.add_histogram(name, values, step)

    def leave(self, run_dir: Path, parts: "Parts", summary: dict[str, Any]) -> None:
        monitor, step = summary["monitor"], summary["steps"]
        for name, value in summary["metrics"].items():
            self.experiment.add_scalar(name, value, step)
        if monitor["name"]:
            self.experiment.add_scalar(f"best/{monitor['name']}", monitor["best"], monitor.get("step", step))
        for path in sorted(run_dir.glob("figures/*.png")):
            picture = np.asarray(Image.open(path).convert("RGB"))
            self.experiment.add_image(f"figures/{path.stem}", picture, step, dataformats="HWC")
        if self.graph:
            self.add_graph(parts)

    def add_graph(self, parts: "Parts") -> None:
        """Of the model, where there is an input to follow through it; of a population, of its best member."""
        model = parts.model
        if isinstance(model, Population):
            model = model.member(model.best_member)
            model.trainer = parts.trainer  # for which a tracer asks
        example = example_of(model, parts.datamodule)
        if not isinstance(example, Tensor | tuple):
            return
        try:
            with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")  # of what depends on values; and of the model's trainer
                self.experiment.add_graph(Forward(model), example)
        except Exception as error:  # whatever a tracer makes of a model
            log.info(f"TensorBoard has no graph of {type(model).__name__}: {shown(str(error))}")

    def finalize(self, status: str) -> None:
        """Not yet: Lightning says so after training, and again after the test."""
        self.experiment.flush()

    def end(self, status: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        well = status in ("completed", "pruned")
        ended = SessionEndInfo(status=api_pb2.STATUS_SUCCESS if well else api_pb2.STATUS_FAILURE)
        about = metadata.create_summary_metadata(HParamsPluginData(session_end_info=ended))
        value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about)
        self.experiment.file_writer.add_summary(Summary(value=[value]))
        self.experiment.add_text("status", status)
        self.experiment.close()


class Forward(torch.nn.Module):
    """The forward pass alone: a tracer would ask a LightningModule for its trainer."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any) -> Any:
        return self.model(*args)


def changed(overrides: list[str]) -> dict[str, Any]:
    """What was asked for, by key: numbers as numbers."""
    found = {}
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        if not text.startswith(("~", *APART)):
            read = yaml.safe_load(value) if value else ""
            found[key] = read if isinstance(read, bool | int | float) else as_number(value)
    return found


def as_number(text: str) -> float | str:
    """YAML takes 1e-3 for a text, and Hydra does not."""
    try:
        return float(text)
    except ValueError:
        return text


def example_of(model: Any, data: Any) -> Any:
    example = getattr(model, "example_input_array", None)
    if example is None and isinstance(data, SupervisedDataModule):
        example = next(iter(data.batches("val")))[0][:1]
    if isinstance(example, Tensor):
        return placed(example, model)
    return tuple(example) if isinstance(example, list) else example
