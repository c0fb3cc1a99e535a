"""Whether data are those that a run has had: by a digest of their rows where there is one, else by their number."""

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch import Tensor

from kindling import abilities
from kindling.errors import Refused, shown

MAX_READ = 2**28  # bytes: a quarter of a second


def digest(parts: Iterable[Any]) -> str:
    """Of tensors, data frames and texts, in their order: the same on every machine. 55 MB of MNIST take 25 ms.

    A checksum, against what happens by itself: one in four billion changes goes unnoticed. Fractions count as float32,
    so that the precision of a run makes no difference.
    """
    checksum = 0
    for part in parts:
        for chunk in chunks(part):
            checksum = zlib.crc32(chunk, checksum)
    return f"{checksum:08x}"


def chunks(part: Any) -> Iterable[Any]:
    """The bytes, each time after what they are."""
    if isinstance(part, str):
        yield os.fsencode(part)
    elif isinstance(part, Tensor):
        array = (part.float() if part.is_floating_point() else part).cpu().contiguous().numpy()
        yield f"{array.shape} {array.dtype}".encode()
        yield array.reshape(-1)
    else:  # columns of a data frame
        for name, column in part.items():
            is_number = column.dtype.kind in "iufb"
            yield f"{name} {len(column)} {is_number}".encode()
            values = column.to_numpy(np.float64, na_value=np.nan) if is_number else None
            yield "\n".join(map(str, column)).encode() if values is None else np.ascontiguousarray(values)


def of_files(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """What tells files from others, wherever their folder is moved: names, sizes, and what is in them, of all together
    up to `MAX_READ` bytes. Of more, names and sizes alone, since to read them would take minutes.
    """
    sizes = {name: (folder / name).stat().st_size for name in names}
    read = sum(sizes.values()) <= MAX_READ
    for name, size in sizes.items():
        yield f"{name} {size} {zlib.crc32((folder / name).read_bytes()) if read else ''}"


def identity(datamodule: Any) -> dict[str, Any]:
    return {"sizes": abilities.sizes(datamodule), "digest": abilities.digest(datamodule)}


def loader_sizes(trainer: L.Trainer) -> dict[str, int]:
    """The lengths of the data sets behind Lightning's loaders, where they have one."""
    found = {}
    for name, loaders in (("train", trainer.train_dataloader), ("val", trainer.val_dataloaders)):
        loader = loaders[0] if isinstance(loaders, list) and len(loaders) == 1 else loaders
        try:
            found[name] = len(loader.dataset)  # type: ignore[union-attr]
        except (AttributeError, TypeError):
            continue
    return found


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], datamodule: Any, run_dir: str) -> None:
    """Raises:
    Refused: where the run in `run_dir` has had other data before.
    """
    differs = difference(before, now)
    if differs:
        raise Refused(
            f"{named(datamodule)}: {differs}. A run goes on with the data that it has had; to start another from its "
            f"weights: init_from={run_dir}"
        )


def named(datamodule: Any) -> str:
    """For a sentence: with where they are from, if they say so."""
    source = abilities.source(datamodule)
    return f"data ({source})" if source else "data"


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """In words; None where nothing is known to differ."""
    sizes = [known["sizes"] if isinstance(known.get("sizes"), dict) else {} for known in (then, now)]
    if any(sizes[0][name] != sizes[1][name] for name in sizes[0].keys() & sizes[1].keys()):
        told = [shown(" / ".join(map(str, known.values()))) for known in sizes]
        return f"{told[1]} rows, were {told[0]}"
    digests = [known.get("digest") for known in (then, now)]
    if None not in digests and digests[0] != digests[1]:
        return "as many rows, but with other values or in another order"
    return None
