"""What a finished run predicts, as a table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from kindling.abilities import offers
from kindling.config.construct import construct
from kindling.data.inputs import as_rows
from kindling.data.pictures import are_images, image_files
from kindling.data.splits import SplitName
from kindling.data.tabular import TabularDataModule
from kindling.errors import UserError, shown
from kindling.models.base import SupervisedModule
from kindling.models.predictor import table
from kindling.random_state import seeded

if TYPE_CHECKING:
    import pandas as pd

    from kindling.reopening.run import Run

Source = str | Path
LOADERS = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}


class Answers(NamedTuple):
    """`table`: a row for each input. `x` (N, ...): new inputs as the model takes them, before they are standardised."""

    table: "pd.DataFrame"
    x: Tensor | None = None


def answers(run: "Run", source: Source | Sequence[Source] | None, invert: bool | None) -> Answers:
    """Raises:
    UserError: where the source cannot be read, or the model predicts nothing.
    """
    sources = [source] if source is None or isinstance(source, str | Path) else list(source)
    if len(sources) != 1 and (split := next((name for name in sources if name in LOADERS), None)):
        raise UserError(f"{split}: is a split, which is predicted alone")
    if not isinstance(run.model, SupervisedModule):
        return Answers(as_table([output for source in sources for output in outputs_of(run, source)]))
    source = sources[0] if sources and sources[0] is not None else "test"
    if source in get_args(SplitName):
        from kindling.pictures.seen import predict

        return Answers(table(run.model.task, *predict(run.model, run.datamodule.batches(source))))
    paths = [existing(path) for path in sources if path is not None]
    inputs = [inputs_of(run.described, path, invert) for path in paths]
    x = torch.cat(inputs)
    found = of_inputs(run, x, str(paths[0]) if len(paths) == 1 else "the inputs")
    names = [name for path, rows in zip(paths, inputs, strict=True) for name in names_of(path, rows, len(paths) > 1)]
    if any(names):
        found.insert(0, "file", names)
    return Answers(found, x)


def names_of(path: Path, rows: Tensor, is_one_of_several: bool) -> list[str]:
    """The file that each row is from; of one table none."""
    if are_images(path):
        return [str(file) if is_one_of_several else file.name for file in image_files(path)]
    return [str(path) * is_one_of_several] * len(rows)


def of_inputs(run: "Run", x: Tensor, named: str) -> "pd.DataFrame":
    """Of inputs as they come, (N, ...)."""
    predicted = run.predictor.predict(x)
    wrong = (~predicted.isfinite()).nonzero()
    if len(wrong):
        raise UserError(f"{named}: for its row {wrong[0, 0]}, counted from 0, the model predicts no finite numbers")
    return table(run.model.task, predicted)


def of_array(run: "Run", array: Any) -> "pd.DataFrame":
    """Raises:
    UserError: where these are no inputs of the model.
    """
    import pandas as pd

    data = run.described
    if not isinstance(run.model, SupervisedModule):
        batch = array if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
        with torch.no_grad(), of_batches(run):
            return as_table([run.model.predict_step(batch, 0)])
    if isinstance(array, pd.DataFrame) and isinstance(data, TabularDataModule):
        return of_inputs(run, torch.tensor(data.encoder.matrix(array), dtype=data.row_dtype), "predict")
    values = array.numpy() if isinstance(array, Tensor) else np.asarray(array)
    if list(values.shape) == data.row_shape:
        values = values[None]
    tokens = bool((data.state or {}).get("tokens"))
    return of_inputs(
        run, as_rows(values, data.row_shape, torch.int64 if tokens else data.row_dtype, "predict"), "predict"
    )


def inputs_of(data: Any, path: Path, invert: bool | None) -> Tensor:
    """Of images those with dark strokes are turned: as `invert` says, or where it is None, as they look."""
    if hasattr(data, "light_ground"):
        data.light_ground = invert
    elif invert:
        raise UserError("--invert: is for images, which this model does not take")
    x: Tensor = data.read_inputs(path)
    is_turned = are_images(path) and getattr(data, "is_handwriting", False)
    return data.white - x if invert and not is_turned else x


def existing(source: Source) -> Path:
    if not Path(source).exists():
        raise UserError(f"{source}: no such file or folder")
    return Path(source)


def outputs_of(run: "Run", source: Source | None) -> list[Any]:
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
