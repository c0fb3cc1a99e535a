"""A run, opened again from its folder or from a checkpoint alone."""

import copy
import json
import os
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from kindling import checkpoints, config, trust
from kindling.confinement import confined
from kindling.data.base import InMemoryDataModule, SplitName
from kindling.data.images import ImageDataModule
from kindling.data.inputs import image_files
from kindling.errors import UserError, listed
from kindling.models.base import SupervisedModule
from kindling.models.predictor import Predictor
from kindling.overrides import changed
from kindling.records import list_runs
from kindling.tasks import Binary, Multiclass, Task
from kindling.train import build_model, construct, quiet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CONF = Path(__file__).parents[2] / "conf"  # where the package is installed to be edited; elsewhere there are no options
EVALUATED_WITH = {"_target_", "accelerator", "precision", "limit_test_batches"}  # keys of the trainer
ONE_DEVICE = {
    "devices": 1,
    "strategy": "auto",
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
}


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
        """The config with the overrides, without what is for training alone, and held against what it may name."""
        packages, own = self._own_settings()
        saved = {**own, **copy.deepcopy(self._content["config"]), "callbacks": {}, "logger": {}}
        if isinstance(saved.get("trainer"), dict):
            saved["trainer"] = {k: v for k, v in saved["trainer"].items() if k in EVALUATED_WITH} | ONE_DEVICE
        for text in self.overrides:
            clear(saved, text.lstrip("+~").partition("=")[0])  # what the user sets, the checkpoint has no say in
        problems = trust.problems(saved, packages)
        if problems:
            raise UserError(f"{self.checkpoint} was not opened: {listed(problems)}")
        saved = confined(saved, self.folder, Path(os.environ.get("KINDLING_DATA", "data")))
        cfg = changed(CONF, {**saved, "allowed_packages": list(packages)}, self.overrides)
        problems = config.problems(cfg)
        if problems:
            raise UserError(listed(problems))
        if cfg.population > 1:
            raise UserError(
                f"{self.checkpoint} holds all {cfg.population} models of a population; open best.ckpt, the best of them"
            )
        return cfg

    def _own_settings(self) -> tuple[Collection[str], dict[str, Any]]:
        """The packages that the user allows, and the settings of this project, for those that the run did not have."""
        own: Any = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml")) if CONF.exists() else {}
        packages = own.get("allowed_packages", []) if self.allowed_packages is None else self.allowed_packages
        for text in self.overrides:
            if text.startswith("allowed_packages="):
                packages = OmegaConf.to_container(OmegaConf.from_dotlist([text]))["allowed_packages"]  # type: ignore[index,call-overload]
        return packages, {key: own[key] for key in config.SETTINGS if key in own and key != "run_dir"}

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
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError):
            raise UserError(f"{self.checkpoint} is damaged: what it says of its data does not fit together") from None
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
        with torch.random.fork_rng(devices=[]):
            model = build_model(self.cfg, self.described)
        try:
            model.load_state_dict(self._content["state_dict"], assign=True)  # in the precision that they have
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.checkpoint} does not fit {self.cfg.model._target_}: {reason}") from None
        return model.eval()

    @cached_property
    def predictor(self) -> Predictor:
        """From inputs as they come (`datamodule.read_inputs`) to predictions, in one module."""
        return Predictor(self.described.preprocessing(), self.model).eval()

    def evaluate(self, split: SplitName = "test") -> dict[str, float]:
        """The metrics of a split; on the device and in the precision of the run they are the run's, to the digit."""
        quiet()
        torch.set_float32_matmul_precision("high")
        trainer = construct("trainer", self.cfg.trainer, logger=False)
        self.datamodule.trainer = trainer
        loader = self.datamodule.evaluation_loader(split)
        (metrics,) = trainer.test(self.model, dataloaders=loader, verbose=False)
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


def clear(node: Any, key: str) -> None:
    """Set what is at a dotted key to null, where it is there."""
    *sections, name = key.split(".")
    for section in sections:
        node = node.get(section) if isinstance(node, dict) else None
    if isinstance(node, dict) and name in node:
        node[name] = None


def probabilities(task: Task, predictions: Tensor) -> Tensor:
    """(N, C), of each class; a binary task predicts that of the second alone."""
    return torch.stack([1 - predictions, predictions], dim=1) if isinstance(task, Binary) else predictions


def table(task: Task, predictions: Tensor, y: Tensor | None = None) -> "pd.DataFrame":
    """Columns `class` and the probability of each, or `prediction` (several are numbered); and what is `true`."""
    import pandas as pd

    if isinstance(task, Binary | Multiclass):
        chances = probabilities(task, predictions)
        classes = {"class": [task.classes[place] for place in chances.argmax(dim=1).tolist()]}
        true = {} if y is None else {"true": [task.classes[place] for place in y.tolist()]}
        columns = {f"probability_{name}": chances[:, place].numpy() for place, name in enumerate(task.classes)}
        return pd.DataFrame({**classes, **true, **columns})
    values = {"prediction": predictions} if y is None else {"prediction": predictions, "true": y}
    columns = {}
    for name, columns_of in values.items():
        for place, column in enumerate(columns_of.T):
            columns[f"{name}_{place}" if columns_of.shape[1] > 1 else name] = column.numpy()
    return pd.DataFrame(columns)
