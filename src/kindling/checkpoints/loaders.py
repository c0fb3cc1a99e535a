"""Loaders of any kind, whose batches a run that goes on gets as if it had never stopped.

The batches of Kindling's own loader, and the state of a loader that has one (torchdata's StatefulDataLoader), say where
they are. Any other loader is read again up to where the run stopped. That gives the same batches, since everything a
DataLoader draws, its order, the seeds of its workers and what `__getitem__` draws in this process, comes from
(seed, epoch) alone.
"""

import logging
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from kindling import lightning_internals as internals
from kindling.random_state import random_state, seed_from, set_random_state

log = logging.getLogger(__name__)


class ResumableLoaders(Callback):
    """Seeds the loaders at the start of each epoch, and has checkpoints say where they are.

    Lightning makes the first iterator before anything can be seeded or restored; so this makes it anew.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._epoch = -1  # the latest that everything has been seeded for
        self._state: dict[str, Any] | None = None  # to go on from
        self._before: list[Any] | None = None  # states of the loaders before the batch that was read ahead

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        state, self._state = self._state, None
        self._epoch = trainer.current_epoch
        drawn = self._draws(trainer)
        if drawn:
            self._seed_epoch(trainer)
        within = state is not None and not state["epoch_done"]
        states = state["loaders"] if state and within else []
        stateful = bool(states) and all(loader_state is not None for loader_state in states)
        if stateful:
            for loader, loader_state in zip(internals.loaders(trainer), states, strict=True):
                loader.load_state_dict(loader_state)
        if drawn or stateful:
            internals.begin_reading(trainer)
        if state and within and not stateful:
            log.info(f"reading {state['batches']} batches once more, up to where the run stopped")
            internals.skip_batches(trainer, state["batches"])
        if state and (within or not drawn):
            set_random_state(internals.of_this_process(trainer, state["random_state"]))
        if internals.reads_ahead(trainer) and all(has_state(loader) for loader in internals.loaders(trainer)):
            internals.before_each_batch(trainer, lambda: setattr(self, "_before", self._states(trainer)))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch != self._epoch and self._draws(trainer):
            self._seed_epoch(trainer)
        self._epoch = trainer.current_epoch

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["position"] = {
            "epoch_done": internals.epoch_is_done(trainer),
            "batches": internals.batches_done(trainer),
            "loaders": self._before or self._states(trainer),
            "random_state": internals.of_all_processes(trainer, random_state()),
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == "fit":
            self._state = checkpoint.get("position")

    def _states(self, trainer: L.Trainer) -> list[Any]:
        return [loader.state_dict() if has_state(loader) else None for loader in internals.loaders(trainer)]

    def _draws(self, trainer: L.Trainer) -> bool:
        """Whether a loader draws its order from the generators of the process."""
        return any(isinstance(loader, DataLoader) or not has_state(loader) for loader in internals.loaders(trainer))

    def _seed_epoch(self, trainer: L.Trainer) -> None:
        # Processes share an order, and draw their own augmentation and noise.
        generator = torch.Generator().manual_seed(seed_from(self.seed, trainer.current_epoch))
        if trainer.global_rank > 0:
            seed_from(self.seed, trainer.current_epoch, trainer.global_rank)
        for loader in internals.loaders(trainer):
            if isinstance(loader, DataLoader):
                loader.generator = generator
                samplers: list[Any] = [loader.sampler, getattr(loader.batch_sampler, "sampler", None)]
                for sampler in samplers:
                    if hasattr(sampler, "generator"):
                        sampler.generator = generator
                if loader.persistent_workers:
                    loader._iterator = None  # new ones: the old ones would draw on from the epoch before


def has_state(loader: Any) -> bool:
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
