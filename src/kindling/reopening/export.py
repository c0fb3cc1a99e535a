"""A model as a file that runs without Kindling, checked against the run: of Kindling's own, from inputs as they come to
predictions; of any other, from its `example_input_array` to what its forward pass gives.
"""

import copy
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from kindling.data.inputs import Standardize
from kindling.data.tabular import TabularDataModule
from kindling.data.tasks import Binary, Multiclass, Multilabel, Regression
from kindling.errors import UserError, shown, some
from kindling.models.base import SupervisedModule
from kindling.reopening.run import Run

Format = Literal["torch-export", "onnx", "state-dict"]
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
Predict = Callable[..., Any]


@dataclass
class Exportable:
    """Args:
    example: arguments, to trace the module with.
    batches: arguments, to compare what it gives with what is expected.
    name: what these are.
    about: for the file, what its numbers mean.
    scale: that differences are counted in.
    any_rows: whether the number of rows is free.
    """

    module: nn.Module
    example: tuple[Any, ...]
    batches: list[tuple[Any, ...]]
    expected: list[Any]
    name: str
    scale: Any = 1.0
    any_rows: bool = True
    about: dict[str, str] = field(default_factory=dict)


def export(run: Run, kind: Format, path: Path) -> tuple[float, str]:
    """Write the model to `path`, read it back, and compare what it predicts with what the run does.

    Returns:
        the largest difference between probabilities or outputs, or between values in standard deviations of the target;
        and on which inputs it was found.

    Raises:
        UserError: where packages are missing, or the model cannot be exported.
    """
    missing = [name for name in ONNX_PACKAGES if not find_spec(name)] if kind == "onnx" else []
    if missing:
        raise UserError(
            f"--format onnx: {', '.join(missing)} missing; pip install -e '.[export]' installs what it needs"
        )
    what = of_supervised(run) if isinstance(run.model, SupervisedModule) else of_example(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")  # follows no link that lies in wait at the path
    write = {"torch-export": as_program, "onnx": as_onnx, "state-dict": as_state_dict}[kind]
    try:
        predict = write(what, temporary)
        temporary.replace(path)
    except OSError:
        raise
    except Exception as error:  # whatever a tracer makes of a model
        reason = " ".join(str(error).split())
        raise UserError(
            f"--format {kind}: {run.cfg.model._target_} cannot be exported ({shown(reason, 300)})"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    with torch.no_grad():
        pairs = zip(what.batches, what.expected, strict=True)
        differences = [difference(predict(*args), y, what.scale) for args, y in pairs]
    return max(differences), what.name


def difference(output: Any, expected: Any, scale: Any) -> float:
    pairs = zip(pytree.tree_leaves(output), pytree.tree_leaves(expected), strict=True)
    return max(((there - here).abs() / scale).max().item() for there, here in pairs if isinstance(here, Tensor))


def of_supervised(run: Run) -> Exportable:
    x, expected, name = real_inputs(run)
    rows = [x[:1], *x[1:].split(1024)]  # one row, then many: the number of rows is free
    sizes = [len(batch) for batch in rows]
    scale = run.model.task.std if isinstance(run.model.task, Regression) else 1.0
    example = torch.zeros(2, *x.shape[1:], dtype=x.dtype)
    batches = [(batch,) for batch in rows if len(batch)]
    expected_of = [y for y in expected.split(sizes) if len(y)]
    return Exportable(run.predictor, (example,), batches, expected_of, name, scale, about=about(run))


def of_example(run: Run) -> Exportable:
    example = getattr(run.model, "example_input_array", None)
    if example is None:
        raise UserError(f"{run.path}: {type(run.model).__name__} has no example_input_array, by which it is exported")
    if isinstance(example, dict):
        raise UserError(f"{run.path}: the example_input_array of {type(run.model).__name__} is a dict; give a tuple")
    args = tuple(example) if isinstance(example, list | tuple) else (example,)
    model = copy.deepcopy(run.model)
    model.eval()
    with torch.no_grad():
        expected = model(*args)
    return Exportable(model, args, [args], [expected], "the example_input_array", any_rows=False)


def real_inputs(run: Run) -> tuple[Tensor, Tensor, str]:
    """Inputs as they come, what the run predicts for them by its own way of reading them, and what they are."""
    from kindling.pictures.seen import predict

    try:
        x = run.datamodule.raw_inputs("test")
    except (UserError, OSError) as error:  # the model is there, its data are not
        x = torch.randn(100, *run.described.row_shape, dtype=run.described.row_dtype)
        if isinstance(scaling := run.predictor.preprocessing, Standardize):
            x = (x * scaling.std + scaling.mean).to(x.dtype)
        return x, run.predictor.predict(x), f"random inputs, since there are no real ones ({error})"
    expected, _ = predict(run.model, run.datamodule.batches("test"), len(x))
    return x, expected, f"{len(x):,} rows of the test split"


def as_program(what: Exportable, path: Path) -> Predict:
    """By torch.export: `torch.export.load(path).module()(x)`."""
    shapes = {"x": {0: torch.export.Dim("rows")}} if what.any_rows else None
    torch.export.save(torch.export.export(what.module, what.example, dynamic_shapes=shapes), path)
    return torch.export.load(path).module()


def as_onnx(what: Exportable, path: Path) -> Predict:
    """By torch.onnx, in one file, with an input x and an output prediction."""
    import onnxruntime

    named = {"input_names": ["x"], "output_names": ["prediction"]} if what.any_rows else {}
    program = torch.onnx.export(
        what.module,
        what.example,
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("rows")}} if what.any_rows else None,
        verbose=False,
        **named,  # type: ignore[arg-type]
    )
    assert program is not None
    program.model.metadata_props.update(what.about)
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def predict(*args: Tensor) -> list[Tensor]:
        values = {name: value.numpy() for name, value in zip(names, args, strict=True)}
        return [torch.from_numpy(output) for output in session.run(None, values)]

    return predict


def as_state_dict(what: Exportable, path: Path) -> Predict:
    """Tensors by name: of Kindling's own, those of the model, of its preprocessing, and of its task."""
    torch.save(dict(what.module.state_dict()), path)
    other = copy.deepcopy(what.module)
    for tensor in other.state_dict().values():
        tensor.zero_()
    other.load_state_dict(torch.load(path, weights_only=True))
    return other


def about(run: Run) -> dict[str, str]:
    """The names behind the numbers, each list as JSON: `columns` of x, `classes` or `labels` of the prediction, and the
    `units` of x and of the prediction."""
    task, datamodule = run.model.task, run.described
    found: dict[str, Any] = {"model": run.cfg.model._target_, "data": run.cfg.data._target_}
    if isinstance(datamodule, TabularDataModule):
        found["columns"] = list(datamodule.encoder.names)
    if isinstance(task, Binary | Multiclass):
        found["classes"] = list(task.classes)
    if isinstance(task, Multilabel):
        found["labels"] = list(task.labels)
    white = getattr(datamodule, "white", None)  # of pictures
    x_units = f"0 to {white}" if white else "as in the data"
    units = "those of the target" if isinstance(task, Regression) else "probability"
    found["units"] = {"x": x_units, "prediction": units}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def signature(run: Run) -> str:
    """What goes into the exported model and what comes out of it, in words."""
    if not isinstance(run.model, SupervisedModule):
        return f"the forward pass of {type(run.model).__name__}, for inputs of the shape of its example_input_array"
    task, datamodule = run.model.task, run.described
    names = datamodule.encoder.names if isinstance(datamodule, TabularDataModule) else None
    shape = ", ".join(map(str, ["rows", *datamodule.row_shape]))
    what = f": {some(names)}" if names else ""
    if isinstance(task, Binary):
        out = f"(rows): the probability of {task.classes[1]}"
    elif isinstance(task, Multiclass):
        out = f"(rows, {task.out_features}): the probabilities of {some(task.classes)}"
    elif isinstance(task, Multilabel):
        out = f"(rows, {task.out_features}): the probability of each of {some(task.labels)}"
    else:
        out = f"(rows, {task.out_features}): values in the units of the target"
    number = "float64" if run.predictor.dtype is torch.float64 else "float32"
    tokens = (datamodule.state or {}).get("tokens")
    kind = "int64" if tokens else str(datamodule.row_dtype).removeprefix("torch.")
    return f"x {kind} ({shape}){what} -> {number} {out}"
