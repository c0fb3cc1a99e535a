"""Files of rows like those of a model's example_input_array."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from kindling.data.inputs import MAX_BYTES, read_npy
from kindling.errors import UserError, shown


def accepted(model: L.LightningModule) -> dict[str, str]:
    """What files it takes, as endings and in words."""
    example = getattr(model, "example_input_array", None)
    if not isinstance(example, Tensor):  # it is up to the data
        return {"endings": "", "words": "a file of inputs"}
    return {"endings": ".npy", "words": f"a .npy file with rows of shape {list(example.shape[1:])}"}


@torch.no_grad()
def of_example(model: Any, path: Path) -> Any:
    """What the forward pass gives for the rows of a file.

    Raises:
        UserError: where they are not like those of the example.
    """
    if path.suffix != ".npy":
        raise UserError(f"{path}: is no input of this model; give {accepted(model)['words']}")
    array, example = read_npy(path), model.example_input_array
    if array.dtype.kind not in "iufb" or 4 * array.size > MAX_BYTES:
        raise UserError(f"{path}: holds other things than numbers, or too many of them")
    if array.ndim < 1 or list(array.shape[1:]) != list(example.shape[1:]) or not len(array):
        expected = list(example.shape[1:])
        raise UserError(f"{path}: has rows of shape {list(array.shape[1:])}, and the model takes {expected}")
    x = torch.from_numpy(np.array(array)).to(example.dtype)
    if not x.isfinite().all():
        raise UserError(f"{path}: holds values that are missing, infinite or beyond {example.dtype}")
    try:
        return model(x)
    except (RuntimeError, IndexError, ValueError) as error:
        raise UserError(f"{path}: the model does not take it ({shown(str(error))})") from None
