"""A run, opened again from its folder or from a checkpoint alone."""

import copy
import json
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from omegaconf import DictConfig, OmegaConf

from kindling import checkpoints
from kindling.build import build_model, construct
from kindling.data.base import InMemoryDataModule
from kindling.data.images import ImageDataModule
from kindling.data.inputs import image_files
from kindling.data.splits import SplitName
from kindling.errors import UserError, shown
from kindling.models.base import SupervisedModule
from kindling.models.predictor import Predictor, probabilities, table
from kindling.records import list_runs
from kindling.reopening import reopened
from kindling.tasks import Binary, Multiclass
from kindling.train import quiet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Run:
    """What a run left behind. It is read when it is asked for; nothing is written.

    Args:
        path: a run folder, of which the best checkpoint is opened, or a checkpoint, which may be all that is left.
        overrides: as on the command line: another device, batch size, data set.
        allowed_packages: your own, which the checkpoint may name; None: those of conf/train.yaml.

    Raises:
        UserError: here or later, where something of the run is missing, damaged or not to be trusted.
    """

    def __init__(
        self, path: str | Path, overrides: Sequence[str] = (), allowed_packages: Collection[str] | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise UserError(f"{path}: no such run folder or checkpoint")
        parent = self.path.parent
        beside = parent.parent if parent.name == "checkpoints" else parent
        self.folder = self.path if self.path.is_dir() else beside
        self.overrides = overrides
        self.allowed_packages = allowed_packages

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def checkpoint(self) -> Path:
        """What the model is read from: the best checkpoint of a folder, or the last where that is all there is."""
        if not self.path.is_dir():
            return self.path
        for file in (self.folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")):
            if file.exists():
                return file
        raise UserError(f"{self.folder}: has no checkpoints/best.ckpt; name the folder of a run, or a checkpoint")

    @cached_property
    def config(self) -> DictConfig:
        """As it was composed: to look at. What is built, is built from `cfg`."""
        return OmegaConf.create(self._content["config"])

    @cached_property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self._record("summary.json").read_text()))

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """A row an epoch."""
        import pandas as pd

        return pd.read_csv(self._record("metrics.csv"))

    def _record(self, name: str) -> Path:
        if not (self.folder / name).exists():
            raise UserError(f"{self.folder}: has no {name}; name the folder of a run")
        return self.folder / name

    @cached_property
    def _content(self) -> dict[str, Any]:
        return checkpoints.load(self.checkpoint)

    @cached_property
    def cfg(self) -> DictConfig:
        """What is built from: the config with the overrides, and without what is for training alone."""
        quiet()
        cfg = reopened(self._content["config"], self.checkpoint, self.folder, self.overrides, self.allowed_packages)
        if cfg.population > 1:
            raise UserError(
                f"{self.checkpoint} holds all {cfg.population} models of a population; open best.ckpt, the best of them"
            )
        return cfg

    @cached_property
    def described(self) -> InMemoryDataModule:
        """The datamodule as the checkpoint describes it, without its rows."""
        datamodule: InMemoryDataModule = construct("data", self.cfg.data)
        name = str(self._content["config"]["data"]["_target_"]).rpartition(".")[2]
        state = self._content.get(name)
        if state is None:  # it was saved before checkpoints had one: the rows have to tell
            datamodule.prepare_data()
            datamodule.setup()
            return datamodule
        try:
            datamodule.load_state_dict(state)
            datamodule.preprocessing()
            if datamodule.in_features < 1:
                raise ValueError(state["row_shape"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = shown(f"{type(error).__name__}: {error}")
            raise UserError(f"{self.checkpoint}: what it says of its data does not fit together ({reason})") from None
        return datamodule

    @cached_property
    def datamodule(self) -> InMemoryDataModule:
        """With its rows, which are prepared as the model learned them."""
        self.described.prepare_data()
        self.described.setup()
        return self.described

    @cached_property
    def model(self) -> SupervisedModule:
        """With its weights, on the CPU, in eval mode. Needs no data."""
        cfg, datamodule = self.cfg, self.described
        with torch.random.fork_rng(devices=[]):
            try:
                with torch.device("meta"):  # where sizes that a checkpoint makes up take no memory
                    self._check_sizes(build_model(cfg, datamodule))
            except (NotImplementedError, RuntimeError):
                pass  # an initialisation that looks at values, of which there are none there
            model = build_model(cfg, datamodule)
        self._check_sizes(model)
        model.load_state_dict(self._content["state_dict"], assign=True)  # in the precision that they have
        return model.eval()

    def _check_sizes(self, model: SupervisedModule) -> None:
        saved, own = self._content["state_dict"], model.state_dict()
        for name in [*own, *(name for name in saved if name not in own)]:
            here, there = (list(weights[name].shape) if name in weights else "absent" for weights in (own, saved))
            if here != there:
                raise UserError(
                    f"{self.checkpoint} does not fit {self.cfg.model._target_}: {shown(name)} is {here} in the model "
                    f"and {there} in the checkpoint"
                )

    @cached_property
    def predictor(self) -> Predictor:
        """From inputs as they come (`datamodule.read_inputs`) to predictions, in one module."""
        return Predictor(self.described.preprocessing(), self.model).eval()

    def evaluate(self, split: SplitName = "test") -> dict[str, float]:
        """The metrics of a split; on the device and in the precision of the run they are the run's, to the digit."""
        torch.set_float32_matmul_precision("high")
        trainer = construct("trainer", self.cfg.trainer, logger=False)
        model = copy.deepcopy(self.model)  # which another precision may change
        if not str(self.cfg.trainer.get("precision")).startswith(("64", "16-true", "bf16-true")):
            model.float()
        self.datamodule.trainer = trainer
        (metrics,) = trainer.test(model, dataloaders=self.datamodule.evaluation_loader(split), verbose=False)
        return {name.replace("test/", f"{split}/"): value for name, value in metrics.items()}

    def predictions(self, source: str | Path = "test", invert: bool = False) -> "pd.DataFrame":
        """A row for each one of a split, with its true value, or of new inputs, in their order.

        Args:
            source: train, val or test; or new inputs: a .csv or .npy file, or a folder of images.
            invert: of images: dark strokes on a light ground, where MNIST has light ones on a dark ground.
        """
        if source in get_args(SplitName):
            from kindling import plots

            split = self.datamodule.splits[source]  # type: ignore[index]
            return table(self.model.task, plots.predict(self.model, split), split.y)
        path = Path(source)
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        x = self.described.read_inputs(path)
        if invert:
            if not isinstance(self.described, ImageDataModule):
                raise UserError("--invert: is for images, which this model does not take")
            x = self.described.white - x
        predictions = table(self.model.task, self.predictor.predict(x))
        if path.is_dir():
            predictions.insert(0, "file", [file.name for file in image_files(path)])
        return predictions

    def confusion(self, split: SplitName = "test") -> "Figure":
        """Counts of true against predicted classes, as a figure that a notebook shows."""
        from kindling import plots

        task, rows = self.model.task, self.datamodule.splits[split]
        if not isinstance(task, Binary | Multiclass):
            raise UserError(f"{self.path}: a {task.name} has no classes to confuse; see predictions()")
        predicted = probabilities(task, plots.predict(self.model, rows)).argmax(dim=1)
        return plots.confusion_matrix(predicted, rows.y, task.classes, split)

    list = staticmethod(list_runs)
