"""What a model and its data may offer beyond Lightning's API, and what is done where they do not.

Nothing here has to be inherited. A method or attribute of that name, in the class of any LightningModule or
LightningDataModule, is used; one that is missing costs what its comment says, and nothing else. Tables of probabilities
are for a SupervisedModule on a SupervisedDataModule; several steps a call and populations on data in memory alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor


class Data(Protocol):
    """A LightningDataModule with everything that Kindling can use."""

    source: str  # where the rows came from, for the record; else nothing is said
    sizes: dict[str, int]  # rows of train, val and test; else the lengths of the loaders' data sets
    digest: str | None  # of the rows, once they are set up; else a run that goes on looks at their number alone
    resolved: dict[str, Any] | None  # what `auto` came to, by key of the config, once that is known; else it stays
    same_rows: bool  # whether the test split is the training split; else nothing is said

    def read_inputs(self, path: Path) -> Tensor:
        """New inputs from a file; else `predict` takes those of predict_dataloader and test_dataloader alone."""

    def evaluation_loader(self, split: str) -> Any:
        """The batches of train, val or test in order; else `evaluate` knows val and test, by Lightning's loaders."""


class Model(Protocol):
    """A LightningModule with everything that Kindling can use."""

    ends_on_nan: bool  # whether a loss or score that is not finite ends the run; else it does

    def scores(self) -> dict[str, str | None]:
        """What training and validation log, each with its best: min, max or None. Else a wrong monitor is only known
        once the first validation has logged."""

    def figures(self, data: Any) -> Iterator[tuple[str, Any]]:
        """Names and matplotlib figures of the trained model, which come on top of those of every run."""

    def progress(self) -> dict[str, Any]:
        """What a run that stops here needs besides weights, optimizers and metrics, among it `num_samples` so far; else
        nothing, and the batches are measured as Lightning measures them."""

    def restore_progress(self, progress: dict[str, Any]) -> None:
        """The other way round."""


def offers(part: Any, method: str) -> bool:
    """Whether its class has the method. An attribute of that name, such as a net, is the user's own."""
    return callable(getattr(type(part), method, None))


def sizes(datamodule: Any) -> dict[str, int]:
    found = getattr(datamodule, "sizes", None)
    return dict(found) if isinstance(found, dict) else {}


def source(datamodule: Any) -> str | None:
    found = getattr(datamodule, "source", None)
    return found if isinstance(found, str) else None


def digest(datamodule: Any) -> str | None:
    found = getattr(datamodule, "digest", None)
    return found if isinstance(found, str) else None


def resolved(datamodule: Any) -> dict[str, Any]:
    found = getattr(datamodule, "resolved", None)
    return dict(found) if isinstance(found, dict) else {}


def same_rows(datamodule: Any) -> bool:
    return getattr(datamodule, "same_rows", None) is True


def scores(model: Any) -> dict[str, str | None]:
    return dict(model.scores()) if offers(model, "scores") else {}


def figures(model: Any, datamodule: Any) -> Iterator[tuple[str, Any]]:
    return iter(model.figures(datamodule)) if offers(model, "figures") else iter(())


def ends_on_nan(model: Any) -> bool:
    return bool(getattr(type(model), "ends_on_nan", True))
