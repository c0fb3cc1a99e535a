"""What a model and its data may offer beyond Lightning's API, and what is done where they do not.

Nothing here has to be inherited. A method or attribute of that name, in any LightningModule or LightningDataModule, is
used; one that is missing costs what its comment says, and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


class Data(Protocol):
    """A LightningDataModule with everything that Kindling can use."""

    source: str  # where the rows came from, for the record; else nothing is said
    sizes: dict[str, int]  # rows of train, val and test; else the lengths of the loaders' data sets

    def read_inputs(self, path: Path) -> Tensor:
        """New inputs from a file; else `predict` takes those of predict_dataloader and test_dataloader alone."""

    def evaluation_loader(self, split: str) -> Any:
        """The batches of train, val or test in order; else `evaluate` knows val and test, by Lightning's loaders."""


class Model(Protocol):
    """A LightningModule with everything that Kindling can use."""

    num_samples: int  # trained on so far; else the batches are measured as Lightning measures them

    def scores(self) -> dict[str, str | None]:
        """What training and validation log, each with its best: min, max or None. Else a wrong monitor is only known
        once the first validation has logged."""

    def figures(self, data: Any) -> Iterator[tuple[str, Any]]:
        """Names and matplotlib figures of the trained model; else its learning curves are all."""

    def predictor(self, data: Any) -> nn.Module:
        """From inputs as they come to predictions, one module to predict with and to export; else `predict_step`
        predicts, and the module itself is exported, with its `example_input_array`."""

    def take_steps(self, chunk: Any) -> Any:
        """Several optimizer steps in one call of Lightning; else each is a call."""


def sizes(datamodule: Any) -> dict[str, int]:
    return dict(getattr(datamodule, "sizes", {}))


def source(datamodule: Any) -> str | None:
    return getattr(datamodule, "source", None)


def scores(model: Any) -> dict[str, str | None]:
    return dict(model.scores()) if hasattr(model, "scores") else {}


def figures(model: Any, datamodule: Any) -> Iterator[tuple[str, Any]]:
    return iter(model.figures(datamodule)) if hasattr(model, "figures") else iter(())
