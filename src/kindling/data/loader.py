"""Batches of a split: one indexed read each, in an order that depends on (seed, epoch) alone and can be resumed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from kindling.data.splits import Split
from kindling.errors import UserError

MAX_ROWS = 2**27  # of an epoch, whose order takes eight bytes each


@dataclass
class Chunk:
    """Several batches in a row, each read when its turn comes, for `SupervisedModule.training_step` to step through."""

    batches: Iterator[tuple[Tensor, ...]]


class BatchLoader:
    """Iterates over the batches of a split, for one process of `world_size`; over chunks of `steps_per_call` batches,
    where that is more than one.

    In training (`shuffle`) an epoch is `num_repeats` passes over the rows, each in an order of its own that is drawn
    from (seed, epoch); every process takes equally many steps, for which a few rows may come once more. In evaluation
    the order is that of the split and every row is seen exactly once.

    With several `num_members`, x is (num_members, batch_size, ...) and the rest likewise: a batch for each member of a
    population, in as many orders, of the seeds from `seed` on, as `num_orders` says (one for all, or one each).
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        num_repeats: int = 1,
        rank: int = 0,
        world_size: int = 1,
        steps_per_call: int = 1,
        num_members: int = 1,
        num_orders: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        num_rows = len(split.x) * num_repeats
        if num_rows > MAX_ROWS:
            raise UserError(
                f"data.num_repeats={num_repeats}: makes an epoch of {num_rows:,} rows, and {MAX_ROWS:,} are the most"
            )
        if shuffle:
            num_rows += -num_rows % world_size
        self.num_repeats = num_repeats
        self.steps_per_call = steps_per_call
        self.num_members = num_members
        self.num_orders = num_orders
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.share = slice(rank, num_rows, world_size)  # of the order, for this process
        self.position = 0  # in the epoch: batches handed out
        self.start = 0  # position of the next epoch to be iterated over
        self.num_batches = -(-len(range(num_rows)[self.share]) // batch_size)
        # What Lightning looks at in a loader: it announces each epoch to `sampler`, and takes all but one kind of it
        # for shuffling.
        self.sampler = self if shuffle else SequentialSampler(split)
        self.batch_sampler = None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch to be iterated over in its middle."""
        self.start = state["position"]

    def __len__(self) -> int:
        return -(-self.num_batches // self.steps_per_call)

    def order(self, seed: int) -> Tensor:
        """The rows of this epoch, for all processes together."""
        if not self.shuffle:
            return torch.arange(len(self.split.x)).repeat(self.num_repeats)
        # A large multiplier keeps the streams of neighbouring seeds and epochs apart.
        generator = torch.Generator().manual_seed((seed * 1_000_003 + self.epoch) % 2**63)
        passes = [torch.randperm(len(self.split.x), generator=generator) for _ in range(self.num_repeats)]
        order = torch.cat(passes)
        return torch.cat([order, order[: self.share.stop - len(order)]])

    def batches(self) -> Iterator[tuple[Tensor, ...]]:
        if self.num_members == 1:
            return self._read(self.order(self.seed)[self.share])
        orders = torch.stack([self.order(seed)[self.share] for seed in range(self.seed, self.seed + self.num_orders)])
        shape = self.num_members, -1
        return (tuple(part.expand(*shape, *part.shape[2:]) for part in batch) for batch in self._read(orders))

    def _read(self, order: Tensor) -> Iterator[tuple[Tensor, ...]]:
        order = order[..., self.position * self.batch_size :]
        rows_of_batches = order.to(self.split.x.device).split(self.batch_size, dim=-1)
        if not (self.num_workers or self.pin_memory):
            return (self.split[rows] for rows in rows_of_batches)
        # Its own generator: a DataLoader that draws from the global one would change what dropout draws.
        return iter(
            DataLoader(
                self.split,  # type: ignore[arg-type]
                sampler=rows_of_batches,
                batch_size=None,
                num_workers=self.num_workers,
                pin_memory=self.pin_memory,
                generator=torch.Generator(),
            )
        )

    def __iter__(self) -> Iterator[tuple[Tensor, ...] | Chunk]:
        # A generator: Lightning asks for the iterator of the first epoch before it says which epoch that is.
        self.position, self.start = self.start, 0
        batches = self.batches()
        while self.position < self.num_batches:
            self.position = min(self.position + self.steps_per_call, self.num_batches)
            yield next(batches) if self.steps_per_call == 1 else Chunk(islice(batches, self.steps_per_call))


def fits(split: Split, device: torch.device) -> bool:
    """Whether the split takes up less than half of the memory that the device has free. XLA devices hold none."""
    if device.type == "cuda":
        return 2 * (split.x.nbytes + split.y.nbytes) < torch.cuda.mem_get_info(device)[0]
    return device.type in ("cpu", "mps")
