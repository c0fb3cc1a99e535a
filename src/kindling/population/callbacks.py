"""What a run leaves of its members."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint
from omegaconf import DictConfig

from kindling.folders import write_whole
from kindling.lightning_internals import checkpoint_of


def member_callbacks(cfg: DictConfig, callbacks: list[Callback]) -> list[Callback]:
    """A table of the members, and the best of them in the place of the best epoch, which is another for each."""
    found: list[Callback] = [MemberTable(Path(cfg.run_dir))]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor == cfg.monitor:
            callback = BestMember(Path(callback.dirpath or cfg.run_dir) / f"{callback.filename or 'best'}.ckpt")
        found.append(callback)
    return found


class BestMember(Checkpoint):
    """Saves each member of a population that becomes the best so far, as an ordinary checkpoint, to `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        best = pl_module.best_member
        if int(pl_module.best_values["epoch"][best]) < trainer.current_epoch:
            return  # has been saved
        checkpoint = pl_module.member_checkpoint(checkpoint_of(trainer), best)
        checkpoint["config"] = member_config(checkpoint["config"], best)
        trainer.strategy.save_checkpoint(checkpoint, self.path)


class MemberTable(Callback):
    """Writes members.csv when training ends, and with what the test measured after that."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def on_fit_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if pl_module.best_values and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            write_whole(self.run_dir / "members.csv", pl_module.table(tested=False).to_csv(index=False))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            pl_module.tested = pl_module.table(tested=True)
            write_whole(self.run_dir / "members.csv", pl_module.tested.to_csv(index=False))


def member_config(config: dict[str, Any], place: int) -> dict[str, Any]:
    """The config of the ordinary run that does what the member at that place does."""
    data = dict(config["data"])
    if config["population_order"] == "own":
        data["seed"] = data.get("seed", 0) + place
    return {**config, "data": data, "seed": config["seed"] + place, "population": 1}
