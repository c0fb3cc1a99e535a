"""A run, opened again from its folder or from a checkpoint alone."""

import io
import logging
import math
import warnings
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf

from kindling.budget import MAX_SECONDS, MIN_BYTES, Budget
from kindling.checkpoints.format import load
from kindling.data.identity import difference, identity, named
from kindling.data.setup import make_datamodule
from kindling.data.splits import SplitName
from kindling.errors import UserError, shown
from kindling.files import read_json
from kindling.folders import read_course
from kindling.models.base import SupervisedModule
from kindling.models.build import model_maker
from kindling.process import quiet
from kindling.reopening.config import reopened
from kindling.reopening.records import list_runs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kindling.models.predictor import Predictor


log = logging.getLogger(__name__)


class Run:
    """What a run left behind. It is read when it is asked for; nothing is written.

    Args:
        path: a run folder, of which the best checkpoint is opened, or a checkpoint, which may be all that is left.
        overrides: as on the command line: another device, batch size, data set.
        allowed_packages: your own, which the checkpoint may name; None: those of conf/train.yaml. Those in src/ of this
            checkout always may.

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
        best, last = (self.folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
        if best.exists():
            return best
        others = sorted(file.name for file in best.parent.glob("*.ckpt") if file != last)
        if others:  # which of them is the best, a run says when it ends
            raise UserError(f"{self.folder}: has no checkpoints/best.ckpt; name one of {', '.join(others[:9])}")
        if last.exists():
            return last
        raise UserError(f"{self.folder}: has no checkpoints/best.ckpt; name the folder of a run, or a checkpoint")

    @cached_property
    def config(self) -> DictConfig:
        """As it was composed: to look at. What is built, is built from `cfg`."""
        return OmegaConf.create(self.content["config"])

    @cached_property
    def summary(self) -> dict[str, Any]:
        return dict(read_json(self._record("summary.json")))

    @property
    def score(self) -> float:
        """The best of the monitor; nan where there is none."""
        return float(self.summary.get("monitor", {}).get("best", math.nan))

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """A row an epoch, and one a validation within an epoch."""
        import pandas as pd

        return pd.read_csv(io.StringIO(read_course(self._record("metrics.csv").parent)))

    def _record(self, name: str) -> Path:
        if not (self.folder / name).exists():
            raise UserError(f"{self.folder}: has no {name}; name the folder of a run")
        return self.folder / name

    @cached_property
    def content(self) -> dict[str, Any]:
        return load(self.checkpoint)

    @cached_property
    def cfg(self) -> DictConfig:
        """What is built from: the config with the overrides, and without what is for training alone."""
        quiet()
        cfg = reopened(self.content["config"], self.checkpoint, self.folder, self.overrides, self.allowed_packages)
        if cfg.population > 1:
            raise UserError(
                f"{self.checkpoint} holds all {cfg.population} models of a population; open best.ckpt, the best of them"
            )
        return cfg

    @cached_property
    def described(self) -> Any:
        """The datamodule as the checkpoint describes it, without its rows."""
        datamodule = make_datamodule(self.cfg)
        saved = self.content["config"]["data"]["_target_"]
        if self.cfg.data._target_ == saved:
            for name, value in self.content.get("data", {}).get("attributes", {}).items():
                computed = isinstance(getattr(type(datamodule), name, None), property)
                if vars(datamodule).get(name) is None and not computed:
                    setattr(datamodule, name, value)
        describe(datamodule, self.content, self.checkpoint)
        return datamodule

    @cached_property
    def datamodule(self) -> Any:
        """With its rows, which are prepared as the model learned them."""
        self.described.prepare_data()
        self.described.setup("test")
        differs = difference(self.content.get("data", {}), identity(self.described))
        if differs:
            log.warning("%s: not those of the run: %s", named(self.described), differs)
        return self.described

    @cached_property
    def model(self) -> Any:
        """With its weights, on the CPU, in eval mode. Needs no data."""
        named = f"{self.checkpoint}: its {self.cfg.model._target_}"
        limit = MIN_BYTES + 8 * self.checkpoint.stat().st_size
        told = self.content.get("data", {}).get("told", {})
        make, _ = model_maker(self.cfg, self.described, told, Budget(named, limit))
        with torch.random.fork_rng(devices=[]):
            try:
                # Where sizes that a checkpoint makes up take no memory.
                with warnings.catch_warnings(), torch.device("meta"), Budget(named, max_seconds=MAX_SECONDS) as counted:
                    warnings.simplefilter("ignore")
                    self._check_sizes(with_layers(make()))
                counted.check(limit)
            except UserError:
                raise
            except Exception:  # whatever looks at values, of which there are none there
                pass
            with Budget(named, limit):
                model = with_layers(make())
        self._check_sizes(model)
        model.on_load_checkpoint(self.content)
        weights = self.content["state_dict"]
        model.load_state_dict(weights, strict=model.strict_loading, assign=True)  # in the precision that they have
        return model.eval()

    def _check_sizes(self, model: L.LightningModule) -> None:
        saved, own = self.content["state_dict"], model.state_dict()
        names = [*own, *(name for name in saved if name not in own)]
        if not model.strict_loading:
            names = [name for name in own if name in saved]
        for name in names:
            here, there = (list(weights[name].shape) if name in weights else "absent" for weights in (own, saved))
            if here != there:
                raise UserError(
                    f"{self.checkpoint} does not fit {self.cfg.model._target_}: {shown(name)} is {here} in the model "
                    f"and {there} in the checkpoint"
                )

    @cached_property
    def predictor(self) -> "Predictor":
        """From inputs as they come (`datamodule.read_inputs`) to predictions, in one module."""
        if not isinstance(self.model, SupervisedModule):
            raise UserError(f"{self.cfg.model._target_}: has no method predictor; see predictions()")
        return self.model.predictor(self.described)

    def evaluate(self, split: SplitName = "test", tta: int | None = None) -> dict[str, float]:
        """The metrics of a split; on the device and in the precision of the run they are the run's, to the digit.

        Args:
            tta: augmented copies of each image, whose predictions are averaged with that for the image itself.
        """
        from kindling.reopening.evaluate import evaluate

        return evaluate(self, split, tta)

    def predictions(
        self, source: str | Path | Sequence[str | Path] | None = None, invert: bool | None = None
    ) -> "pd.DataFrame":
        """A row for each one of a split, with its true value where that is known, or of new inputs, in their order.

        Args:
            source: train, val or test; or new inputs: a .csv or .npy file, an image, a folder of them, or
                several of these. None: what the data predict by default, the test split.
            invert: of images: dark strokes on a light ground, where MNIST has light ones on a dark ground. None: of
                handwriting it is found, others are taken as they are.
        """
        from kindling.reopening.predict import answers

        return answers(self, source, invert).table

    def confusion(self, split: SplitName = "test") -> "Figure":
        """Counts of true against predicted classes, as a figure that a notebook shows."""
        from kindling.reopening import pictures

        return pictures.confusion(self, split)

    def curves(self) -> "Figure":
        """Everything that was logged while it learned, training against validation."""
        from kindling.reopening import pictures

        return pictures.curves(self)

    def decision(self) -> "Figure":
        """Of two classes and two features: the probability over their plane."""
        from kindling.reopening import pictures

        return pictures.picture(self, "decision")

    def mistakes(self) -> "Figure":
        """The wrong answers about images that the model was surest of."""
        from kindling.reopening import pictures

        return pictures.picture(self, "worst_mistakes")

    def weights(self) -> "Figure":
        """Of the first layer: as images, beside least squares, or as a matrix."""
        from kindling.reopening import pictures

        return pictures.weights(self)

    def layers(self) -> "pd.DataFrame":
        """A row for each layer: its name, its kind, the shape of what it gives for one row, and its parameters."""
        from kindling.reopening.layers import layers

        return layers(self)

    def predict(self, array: Any) -> "pd.DataFrame":
        """A row for each input: (N, ...), or one alone, as the data give them, so bytes of images, or numbers in their
        own units. Of a table also a data frame with its columns."""
        from kindling.reopening.predict import of_array

        return of_array(self, array)

    list = staticmethod(list_runs)


def describe(datamodule: Any, content: dict[str, Any], checkpoint: Path) -> None:
    """Have the data know what the checkpoint says of those that the model has learned from.

    Raises:
        UserError: where that does not fit together.
    """
    state = content.get(str(content["config"]["data"]["_target_"]).rpartition(".")[2])
    if state is None:
        return
    try:
        datamodule.load_state_dict(state)
        if hasattr(datamodule, "preprocessing"):
            datamodule.preprocessing()
            if not all(type(size) is int and size > 0 for size in state["row_shape"]):
                raise ValueError(state["row_shape"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = shown(f"{type(error).__name__}: {error}")
        raise UserError(f"{checkpoint}: what it says of its data does not fit together ({reason})") from None


def with_layers(model: L.LightningModule) -> L.LightningModule:
    """Those that are only made by configure_model too."""
    if is_overridden("configure_model", model):
        model.configure_model()
    return model
