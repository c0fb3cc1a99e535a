"""A new run that starts from the weights of an old one, or of any file of tensors."""

from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from kindling.checkpoints import archive
from kindling.errors import UserError, shown, some

PREFIXES = ("", "model.", "module.", "net.", "_orig_mod.")  # what others put before the names of tensors, or leave out


def file_of(source: str) -> Path:
    """The file that `init_from=` means: of a run, its best checkpoint.

    Raises:
        UserError: where there is none.
    """
    path = Path(source)
    path = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    if not path.exists():
        raise UserError(f"init_from={source}: there is no {path}")
    return path


def start_from(model: L.LightningModule, source: str, whole: bool = False) -> str:
    """Put the weights of a run (its best), of a checkpoint, or of a file of tensors into the model; a line that says
    which. The last layer may have another number of outputs than the old one, and then starts anew. With `whole`,
    nothing may start anew.

    Raises:
        UserError: where there are no such weights, or another tensor of them has another shape than the model's.
    """
    path = file_of(source)
    model.configure_model()  # where the layers are only made there
    new = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("task.")}
    old = matching(tensors_of(archive.read(path), source), new)
    differing = [name for name in new if name in old and old[name].shape != new[name].shape]
    common = [name for name in new if name in old and name not in differing]
    shapes = [f"{name}: {tuple(old[name].shape)} there, {tuple(new[name].shape)} here" for name in differing]
    if differing and not (common and of_another_head(model, old, differing)):
        raise UserError(
            f"init_from={source}: the shapes differ: {some(shapes, '; ')}; only a last layer with another number of "
            "outputs starts anew"
        )
    if not common:
        raise UserError(f"init_from={source}: none of its tensors is in this model: {shown(', '.join(old), 300)}")
    kept = [name for name in new if name not in old]
    if whole and (differing or kept):
        anew = some([*differing, *kept])
        raise UserError(f"init_from={source}: has no fitting {anew}, which would be random: nothing trains them")
    model.load_state_dict({name: old[name] for name in common}, strict=False)
    unused = [name for name in old if name not in model.state_dict()]
    return (
        f"starts from {path}: {some(common, length=160)}"
        + (f"; of another number of outputs, and so drawn anew: {some(shapes, '; ')}" if shapes else "")
        + (f"; not in it, and so drawn anew: {some(kept)}" if kept else "")
        + (f"; not used: {some(map(shown, unused))}" if unused else "")
    )


def of_another_head(model: L.LightningModule, old: dict[str, Tensor], differing: list[str]) -> bool:
    """Whether these are of the last layer alone, and differ in the number of its outputs alone."""
    *_, (last, _) = model.named_parameters()
    new, layer = model.state_dict(), last.rpartition(".")[0]
    return all(name.rpartition(".")[0] == layer and old[name].shape[1:] == new[name].shape[1:] for name in differing)


def tensors_of(content: Any, source: str) -> dict[str, Tensor]:
    """The tensors by name, of a checkpoint or of a dict of tensors."""
    weights = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights):
        raise UserError(f"init_from={source}: holds neither a state_dict nor a dict of tensors")
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    if len(tensors) < len(weights):
        other = next(name for name in weights if name not in tensors)
        raise UserError(f"init_from={source}: {shown(other)} in it is a {shown(type(weights[other]).__name__)}")
    return tensors


def matching(old: dict[str, Tensor], new: dict[str, Tensor]) -> dict[str, Tensor]:
    """`old` under the names of `new`, as far as a prefix more or less makes them so."""

    def renamed(less: str, more: str) -> dict[str, Tensor]:
        return {more + name.removeprefix(less): tensor for name, tensor in old.items() if name.startswith(less)}

    candidates = [renamed(prefix, "") for prefix in PREFIXES] + [renamed("", prefix) for prefix in PREFIXES[1:]]
    best = max(candidates, key=lambda names: len(names.keys() & new.keys()))
    return best if best.keys() & new.keys() else old
