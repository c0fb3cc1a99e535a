"""What data are, before anything is trained on them: sizes, kinds, ranges, gaps, correlations.

Looked at are the training rows, as they are before gaps are filled and numbers standardised; the rows of the test are
counted and not looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from lightning import LightningDataModule
from torch import Tensor

from kindling import abilities
from kindling.data import look_columns
from kindling.data.base import InMemoryDataModule
from kindling.data.tabular import TabularDataModule

if TYPE_CHECKING:
    import pandas as pd

MOST_BATCHES = 8  # of data that only their loaders know
MOST_COLUMNS = 1_000  # of a matrix that are looked at one by one


@dataclass
class View:
    """Of the training rows x (N, ...) and y, and the y of each split, where there are such.

    Args:
        rows: in words, which are looked at.
        table: the features of a table, with gaps.
        missing: by column, gaps in all rows.
        batches: by its place in a batch, each tensor of data that only their loaders know.
    """

    task: str | None = None
    rows: str = "training rows"
    sizes: dict[str, int] = field(default_factory=dict)
    x: Tensor | None = None
    y: dict[str, Tensor] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    table: "pd.DataFrame | None" = None
    missing: dict[str, int] = field(default_factory=dict)
    batches: dict[str, Tensor] = field(default_factory=dict)

    @property
    def is_images(self) -> bool:
        """x (N, C, H, W) in grey or in colours."""
        return self.x is not None and self.x.ndim == 4 and self.x.shape[1] in (1, 3)


def view(datamodule: LightningDataModule) -> View:
    """Of data that have not been set up."""
    datamodule.prepare_data()
    if isinstance(datamodule, TabularDataModule):
        return of_table(datamodule)
    datamodule.setup("fit")
    return of_memory(datamodule) if isinstance(datamodule, InMemoryDataModule) else of_loaders(datamodule)


def of_table(datamodule: TabularDataModule) -> View:
    """Before it is encoded: x are the numbers of the rows until then."""
    datamodule.load()
    if datamodule.fold is not None:
        datamodule.hold_out(datamodule.fold)
    splits, table = datamodule.splits, datamodule.table
    return View(
        task=datamodule.kind,
        sizes=datamodule.sizes,
        y={name: split.y for name, split in splits.items()},
        classes=list(getattr(getattr(datamodule, "task", None), "classes", ())),
        table=table.iloc[splits["train"].x.numpy()],
        missing={str(name): int(count) for name, count in table.isna().sum().items()},
    )


def of_memory(datamodule: InMemoryDataModule) -> View:
    x, task = datamodule.splits["train"].x, datamodule.task
    return View(
        task=task.name,
        sizes=datamodule.sizes,
        x=x,
        y={name: split.y for name, split in datamodule.splits.items()},
        classes=list(getattr(task, "classes", ())),
        table=as_table(x),
    )


def of_loaders(datamodule: LightningDataModule) -> View:
    """The first batches of the training loader: all that any data have in common."""
    loader: Any = datamodule.train_dataloader()
    found: dict[str, list[Tensor]] = {}
    count = 0
    for batch in islice(loader, MOST_BATCHES):
        count += 1
        for place, tensor in tensors(batch):
            found.setdefault(place, []).append(tensor)
    batches = {place: joined(parts) for place, parts in found.items()}
    x, y = batches.get("0", batches.get("")), batches.get("1")
    paired = x is not None and y is not None and y.ndim == 1 and not y.is_floating_point() and len(x) == len(y)
    sizes = abilities.sizes(datamodule) or sizes_of(train=loader)
    return View(
        rows=f"first {count} batches of the training loader",
        sizes=sizes,
        x=x,
        y={"train": y} if paired and y is not None else {},
        classes=class_names(datamodule, y) if paired and y is not None else [],
        table=as_table(x) if paired and x is not None else None,
        batches=batches,
    )


def tensors(batch: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    """Those in a batch, each by its place: 0, 1, or image, mask, or meta.id."""
    if isinstance(batch, Tensor):
        yield place, batch
    elif isinstance(batch, Mapping | list | tuple):
        for key, part in batch.items() if isinstance(batch, Mapping) else enumerate(batch):
            yield from tensors(part, f"{place}.{key}".lstrip("."))


def joined(parts: list[Tensor]) -> Tensor:
    """Along the rows, where all have equally long ones; else the first."""
    same = all(part.ndim and part.shape[1:] == parts[0].shape[1:] for part in parts)
    return torch.cat(parts) if same else parts[0]


def sizes_of(**loaders: Any) -> dict[str, int]:
    found = {}
    for name, loader in loaders.items():
        try:
            found[name] = len(loader.dataset)
        except (AttributeError, TypeError):  # a stream, or several loaders
            continue
    return found


def class_names(datamodule: Any, y: Tensor) -> list[str]:
    named = getattr(datamodule, "classes", None) or getattr(getattr(datamodule, "task", None), "classes", None)
    return [str(name) for name in named] if named else [str(i) for i in range(int(y.max()) + 1)] if y.min() >= 0 else []


def as_table(x: Tensor) -> "pd.DataFrame | None":
    """A matrix with names for its columns."""
    if x.ndim != 2 or x.shape[1] > MOST_COLUMNS:
        return None
    import pandas as pd

    return pd.DataFrame(x.numpy(), columns=[f"x{i}" for i in range(x.shape[1])])


def facts(seen: View, name: str, source: str | None) -> dict[str, Any]:
    """All there is to say, as plain data."""
    found: dict[str, Any] = {"data": name, "source": source, "task": seen.task, "rows": seen.rows, "sizes": seen.sizes}
    if seen.x is not None:
        found["x"] = of_values(seen.x)
    if seen.classes:
        counts = {split: torch.bincount(y.long(), minlength=len(seen.classes)) for split, y in seen.y.items()}
        found["classes"] = [
            {"name": label, **{split: int(count[i]) for split, count in counts.items()}}
            for i, label in enumerate(seen.classes)
        ]
    elif "train" in seen.y:
        found["y"] = of_values(seen.y["train"])
    if seen.table is not None:
        target = seen.y["train"].numpy() if "train" in seen.y else None
        found |= look_columns.facts(seen.table, target, bool(seen.classes), seen.missing)
    if seen.batches:
        found["batch"] = {place or "x": of_values(tensor) for place, tensor in seen.batches.items()}
    return found


def of_values(tensor: Tensor) -> dict[str, Any]:
    """Of all its numbers together; `shape` is that of a row."""
    values = tensor.double()
    finite = values[values.isfinite()]
    told: dict[str, Any] = {"shape": list(tensor.shape[1:]), "type": str(tensor.dtype).removeprefix("torch.")}
    if len(finite):
        told |= {"min": finite.min().item(), "mean": finite.mean().item(), "max": finite.max().item()}
        told["std"] = finite.std(correction=0).item()
    told["not_finite"] = values.numel() - finite.numel()
    return told
