"""A model as a file that runs without Kindling: from inputs as they come to predictions, checked against the run."""

import copy
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kindling.data.inputs import Standardize
from kindling.data.tabular import TabularDataModule
from kindling.errors import UserError, shown
from kindling.models.predictor import Predictor
from kindling.runs import Run
from kindling.tasks import Binary, Multiclass, Regression

Format = Literal["torch-export", "onnx", "state-dict"]
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
Predict = Callable[[Tensor], Tensor]


def export(run: Run, kind: Format, path: Path) -> tuple[float, str]:
    """Write the model to `path`, read it back, and compare what it predicts with what the run does.

    Returns:
        the largest difference between probabilities, or between values in standard deviations of the target; and on
        which inputs it was found.

    Raises:
        UserError: where packages are missing.
    """
    missing = [name for name in ONNX_PACKAGES if not find_spec(name)] if kind == "onnx" else []
    if missing:
        raise UserError(
            f"--format onnx: {', '.join(missing)} missing; pip install -e '.[export]' installs what it needs"
        )
    x, expected, name = real_inputs(run)
    example = torch.zeros(2, *x.shape[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    write = {"torch-export": as_program, "onnx": as_onnx, "state-dict": as_state_dict}[kind]
    try:
        predict = write(run.predictor, example, path)
    except OSError:
        raise
    except Exception as error:  # whatever a tracer makes of a model
        reason = " ".join(str(error).split())
        raise UserError(
            f"--format {kind}: {run.cfg.model._target_} cannot be exported ({shown(reason, 300)})"
        ) from error
    scale = run.model.task.std if isinstance(run.model.task, Regression) else 1.0
    with torch.no_grad():  # one row, then many: the number of rows is free
        predictions = torch.cat([predict(rows) for rows in (x[:1], *x[1:].split(1024)) if len(rows)])
    return ((predictions - expected).abs() / scale).max().item(), name


def real_inputs(run: Run) -> tuple[Tensor, Tensor, str]:
    """Inputs as they come, what the run predicts for them by its own way of reading them, and what they are."""
    from kindling import plots

    try:
        split = run.datamodule.splits["test"]
    except (UserError, OSError) as error:  # the model is there, its data are not
        x = torch.randn(100, *run.described.row_shape)
        if isinstance(scaling := run.predictor.preprocessing, Standardize):
            x = (x * scaling.std + scaling.mean).float()
        return x, run.predictor.predict(x), f"random inputs, since there are no real ones ({error})"
    x = run.datamodule.raw_inputs("test")
    return x, plots.predict(run.model, split), f"{len(x):,} rows of the test split"


def as_program(predictor: Predictor, example: Tensor, path: Path) -> Predict:
    """By torch.export, for any number of rows: `torch.export.load(path).module()(x)`."""
    program = torch.export.export(predictor, (example,), dynamic_shapes={"x": {0: torch.export.Dim("rows")}})
    torch.export.save(program, path)
    return torch.export.load(path).module()


def as_onnx(predictor: Predictor, example: Tensor, path: Path) -> Predict:
    """By torch.onnx, in one file, with an input x and an output prediction, for any number of rows."""
    import onnxruntime

    torch.onnx.export(
        predictor,
        (example,),
        path,
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("rows")}},
        input_names=["x"],
        output_names=["prediction"],
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def as_state_dict(predictor: Predictor, example: Tensor, path: Path) -> Predict:
    """Tensors by name: those of the model, of its preprocessing, and of its task."""
    torch.save(predictor.state_dict(), path)
    other = copy.deepcopy(predictor)
    for tensor in other.state_dict().values():
        tensor.zero_()
    other.load_state_dict(torch.load(path, weights_only=True))
    return other


def signature(run: Run) -> str:
    """What goes into the exported model and what comes out of it, in words."""
    task, datamodule = run.model.task, run.described
    names = datamodule.encoder.names if isinstance(datamodule, TabularDataModule) else None
    shape = ", ".join(map(str, ["rows", *datamodule.row_shape]))
    what = f": {', '.join(names)}" if names else ""
    if isinstance(task, Binary):
        out = f"(rows): the probability of {task.classes[1]}"
    elif isinstance(task, Multiclass):
        out = f"(rows, {task.out_features}): the probabilities of {', '.join(task.classes)}"
    else:
        out = f"(rows, {task.out_features}): values in the units of the target"
    return f"x float32 ({shape}){what} -> float32 {out}"
