"""Training batches of images that are augmented on their device."""

from typing import Any, ClassVar

import torch
from lightning import LightningDataModule
from torch import Tensor

from kindling.data.augmentation import Augmentation
from kindling.data.loader import Chunk
from kindling.errors import UserError

LOW_PRECISION = (torch.float16, torch.bfloat16)  # which not every kernel of an interpolation has


class AugmentedDataModule(LightningDataModule):
    """Comes before the other base of a datamodule whose batches are (x, y), x (N, C, H, W). Of `task` it takes what
    kind of y is changed.

    Args:
        augmentation: of the section of that name, which the run hands over; None: batches stay as they are.
    """

    white: ClassVar[int] = 1  # of images as they are kept; black is 0

    def __init__(self, augmentation: Augmentation | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.augmentation = augmentation

    def black_and_white(self) -> tuple[Any, Any]:
        """What stands for 0 and `white` in a batch, once it is standardised: numbers, or tensors (C, 1, 1)."""
        state = getattr(self, "state", None) or self.state_dict()
        mean, std = state.get("mean"), state.get("std")
        return (0.0, float(self.white)) if mean is None else (-mean / std, (self.white - mean) / std)

    def augment(self, x: Tensor, y: Tensor, augmentation: Augmentation | None = None) -> tuple[Tensor, Tensor]:
        """A batch, standardised as the loaders give it: x (N, C, H, W), or with a dimension of members before.

        Raises:
            UserError: where x are no images.
        """
        augmentation = augmentation or self.augmentation
        if augmentation is None:
            return x, y
        if x.ndim < 4 or not x.is_floating_point():
            raise UserError(
                f"augmentation: is for images, rows of shape (channels, height, width); those of {type(self).__name__} "
                f"have the shape {tuple(x.shape[1:])}"
            )
        levels = self.black_and_white()
        black, white = (level.to(x.device) if isinstance(level, Tensor) else level for level in levels)
        before, num_rows = x.dtype, x.shape[:-3]
        images = (x.float() if before in LOW_PRECISION else x).flatten(0, -4)
        images = (images - black) / (white - black)
        images, y = augmentation(images, y.flatten(0, len(num_rows) - 1), getattr(self, "task", None))
        images = images * (white - black) + black
        return images.unflatten(0, num_rows).to(before), y.unflatten(0, num_rows)

    def augmented(self, batch: Any) -> Any:
        """A batch of training.

        Raises:
            UserError: where its x are no images, or mixing would leave out its weights.
        """
        if not self.augmentation:
            return batch
        x, y, *others = batch
        if others and self.augmentation.mixes:
            raise UserError(
                f"augmentation.{self.augmentation.mixes[0]}: mixes rows, and those of {type(self).__name__} have "
                "weights of their own; leave one of them out"
            )
        return (*self.augment(x, y), *others)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        assert self.trainer is not None
        if self.trainer.training and not isinstance(batch, Chunk):  # whose batches come one by one later
            batch = self.augmented(batch)
        return self.trainer.lightning_module.on_after_batch_transfer(batch, dataloader_idx)
