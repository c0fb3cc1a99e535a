"""What a finished run predicts, as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from kindling.abilities import offers
from kindling.config.construct import construct
from kindling.data.pictures import image_files
from kindling.data.splits import SplitName
from kindling.errors import UserError, shown
from kindling.models.base import SupervisedModule
from kindling.models.predictor import table
from kindling.random_state import seeded

if TYPE_CHECKING:
    import pandas as pd

    from kindling.reopening.run import Run

LOADERS = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}


def predictions(run: "Run", source: str | Path | None, invert: bool) -> "pd.DataFrame":
    """Raises:
    UserError: where the source cannot be read, or the model predicts nothing.
    """
    if not isinstance(run.model, SupervisedModule):
        return as_table(outputs_of(run, source))
    source = source or "test"
    if source in get_args(SplitName):
        from kindling.pictures.seen import predict

        return table(run.model.task, *predict(run.model, run.datamodule.batches(source)))
    path = existing(source)
    if hasattr(run.described, "light_ground"):
        run.described.light_ground = invert
    elif invert:
        raise UserError("--invert: is for images, which this model does not take")
    x = run.described.read_inputs(path)
    predicted = run.predictor.predict(run.described.white - x if invert else x)
    wrong = (~predicted.isfinite()).nonzero()
    if len(wrong):
        raise UserError(f"{path}: for its row {wrong[0, 0]}, counted from 0, the model predicts no finite numbers")
    found = table(run.model.task, predicted)
    if path.is_dir():
        found.insert(0, "file", [file.name for file in image_files(path)])
    return found


def existing(source: str | Path) -> Path:
    if not Path(source).exists():
        raise UserError(f"{source}: no such file or folder")
    return Path(source)


def outputs_of(run: "Run", source: str | Path | None) -> list[Any]:
    """What `predict_step` gives for each batch: of the data's predict_dataloader, of a split, or of new inputs."""
    model, data = run.model, run.described
    trainer = construct("trainer", run.cfg.trainer, logger=False)
    if source is None:
        source = "predict" if is_overridden("predict_dataloader", data) else "test"
    with seeded(run.cfg.seed), of_batches(run):
        if source == "predict":
            return list(trainer.predict(model, datamodule=data))
        if source in LOADERS:
            if not is_overridden(LOADERS[str(source)], data):
                raise UserError(f"{run.path}: {type(data).__name__} has no {LOADERS[str(source)]}")
            data.prepare_data()
            data.setup({"train": "fit", "val": "fit"}.get(str(source), str(source)))
            return list(trainer.predict(model, dataloaders=getattr(data, LOADERS[str(source)])()))
        path = existing(source)
        if not offers(data, "read_inputs"):
            raise UserError(
                f"{path}: {type(data).__name__} does not say how to read new inputs; give it a method "
                "read_inputs(path), or a predict_dataloader"
            )
        prepare = data.preprocessing() if offers(data, "preprocessing") else nn.Identity()
        batches = data.read_inputs(path).split(256)
        with torch.no_grad():
            return [model.predict_step(prepare(batch), place) for place, batch in enumerate(batches)]


@contextmanager
def of_batches(run: "Run") -> Iterator[None]:
    """Without a predict_step of the model's own, Lightning hands whole batches to its forward pass."""
    try:
        yield
    except (TypeError, AttributeError, NotImplementedError) as error:
        if is_overridden("predict_step", run.model):
            raise
        raise UserError(
            f"{run.path}: {type(run.model).__name__} has no predict_step, and its forward pass does not take a batch "
            f"as it comes ({shown(str(error))})"
        ) from None


def as_table(outputs: list[Any]) -> "pd.DataFrame":
    """A row for each input, a column for each number; of several dimensions, `prediction_0_1`.

    Raises:
        UserError: where the outputs are no tensors, or dicts or tuples of them, with a row for each input.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {}
    for output in outputs:
        for name, values in named(output):
            if len(np.shape(values)) == 0:
                raise UserError(f"predict_step: gives a single {type(values).__name__}, not one for each input")
            columns.setdefault(name, []).append(values)
    found: dict[str, Any] = {}
    for name, batches in columns.items():
        values = np.concatenate(batches)
        for place in np.ndindex(values.shape[1:]):
            found["_".join([name, *map(str, place)])] = values[(slice(None), *place)]
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"predict_step: gives another number of rows for each name: {lengths}")
    return pd.DataFrame(found)


def named(output: Any, name: str = "prediction") -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(output, Tensor):
        yield name, output.detach().float().cpu().numpy() if output.dtype is torch.bfloat16 else output.cpu().numpy()
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from named(value, str(key))
    elif isinstance(output, list | tuple) and not all(isinstance(value, str | int | float) for value in output):
        for place, value in enumerate(output):
            yield from named(value, f"{name}_{place}")
    else:
        yield name, np.asarray(output)
