"""A new run that starts from the weights of an old one."""

from pathlib import Path

from kindling import checkpoints
from kindling.errors import UserError
from kindling.models.base import SupervisedModule
from kindling.models.population import Population


def start_from(model: SupervisedModule, source: str) -> str:
    """Put the weights of a run (its best) or of a checkpoint into the model; a line that says which.

    Raises:
        UserError: where there is no such checkpoint, or a tensor of it has another shape than the model's.
    """
    path = Path(source)
    path = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    if isinstance(model, Population):
        raise UserError(f"init_from={source}: a population has many weights; set population=1")
    if not path.exists():
        raise UserError(f"init_from={source}: there is no {path}")
    old = checkpoints.load(path)["state_dict"]
    new = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("task.")}
    common = [name for name in new if name in old]
    wrong = [
        f"{n}: {tuple(old[n].shape)} there, {tuple(new[n].shape)} here" for n in common if old[n].shape != new[n].shape
    ]
    if wrong:
        raise UserError(f"init_from={source}: the shapes differ: {'; '.join(wrong)}")
    if not common:
        raise UserError(f"init_from={source}: none of its tensors is in this model: {', '.join(old)}")
    model.load_state_dict({name: old[name] for name in common}, strict=False)
    kept = [name for name in new if name not in old]
    unused = [name for name in old if name not in model.state_dict()]
    return (
        f"starts from {path}: {', '.join(common)}"
        + (f"; not in it, and so drawn anew: {', '.join(kept)}" if kept else "")
        + (f"; not used: {', '.join(unused)}" if unused else "")
    )
