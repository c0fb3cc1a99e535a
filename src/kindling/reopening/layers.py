"""What a model is made of, layer by layer."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from kindling.models.base import SupervisedModule

if TYPE_CHECKING:
    import pandas as pd

    from kindling.reopening.run import Run


def layers(run: "Run") -> "pd.DataFrame":
    """A row for each part that has parameters of its own, or that computes something without any.

    `shape` is that of what it gives for one row of the data, or for the example_input_array; empty where there is
    neither, or the part is not called by itself.
    """
    import pandas as pd

    shapes = shapes_given(run.model, example_of(run))
    rows = []
    for name, part in run.model.named_modules():
        count = sum(parameter.numel() for parameter in part.parameters(recurse=False))
        if name and (count or (name in shapes and not list(part.children()))):
            shape = shapes.get(name)
            rows.append((name, type(part).__name__, "" if shape is None else " x ".join(map(str, shape)), count))
    return pd.DataFrame(rows, columns=["layer", "kind", "shape", "parameters"])


def example_of(run: "Run") -> tuple[Any, ...] | None:
    example = getattr(run.model, "example_input_array", None)
    if example is None and isinstance(run.model, SupervisedModule):
        tokens = (run.described.state or {}).get("tokens")
        like = torch.zeros(1, dtype=torch.int64) if tokens else next(run.model.parameters())
        example = torch.zeros(1, *run.described.row_shape, dtype=like.dtype)
    if example is None or isinstance(example, dict):
        return None
    return tuple(example) if isinstance(example, list | tuple) else (example,)


def shapes_given(model: nn.Module, example: tuple[Any, ...] | None) -> dict[str, list[int]]:
    """Of the first tensor that each part gives, without the rows."""
    found: dict[str, list[int]] = {}
    if example is None:
        return found

    def note(name: str, output: Any) -> None:
        tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        if tensors:
            found[name] = list(tensors[0].shape[1:])

    hooks = [
        part.register_forward_hook(lambda _part, _inputs, output, name=name: note(name, output))
        for name, part in model.named_modules()
    ]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(*example)
    except Exception:  # whatever a model makes of an example that does not fit: the parameters are known anyway
        return found
    finally:
        for hook in hooks:
            hook.remove()
    return found
