"""What parts of a run take up, counted while they are made: a config from elsewhere may ask for any size."""

import math
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kindling.errors import UserError, shown
from kindling.files import in_bytes

MAX_OPERATIONS = 100_000  # to make a model; one of a thousand layers takes some ten thousand
MAX_SECONDS = 2  # of the processor, on the meta device: some layers take a time that grows with their square
MIN_BYTES = 2**30  # that a part may take up, however small its checkpoint: some keep tensors that they can make again


def of_machine() -> int:
    """Bytes of its memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Budget(TorchDispatchMode):
    """Within it, tensors are made until they take up `max_bytes` together; the next one is refused before it is made.

    Args:
        named: what is made, for the sentence.
        max_seconds: of the processor, between tensors; of one long piece of work, as reading a file, little counts.
    """

    def __init__(self, named: str, max_bytes: int = sys.maxsize, max_seconds: float = math.inf) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.named = named
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.num_bytes = 0
        self.num_operations = 0
        self.seconds, self.latest = 0.0, time.thread_time()

    def check(self, max_bytes: int) -> None:
        """Raises:
        UserError: where what was made so far takes up more.
        """
        if self.num_bytes > max_bytes:
            size, most = in_bytes(self.num_bytes), in_bytes(max_bytes)
            raise UserError(f"{self.named}: would take up {size} of memory, and {most} are allowed")

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.num_operations += 1
        before, self.latest = self.latest, time.thread_time()
        self.seconds += min(self.latest - before, 0.01)
        if self.num_operations > MAX_OPERATIONS or self.seconds > self.max_seconds:
            raise UserError(f"{self.named}: has so many parts that it takes too long to make")
        if any(returned.alias_info for returned in func._schema.returns):  # a view, or changed in place
            return func(*args, **kwargs)
        if "device" in kwargs:  # made from nothing but numbers: on the meta device at first, where it takes no memory
            try:
                self._count(func(*args, **{**kwargs, "device": torch.device("meta")}))
            except RuntimeError as error:  # a size below nothing, or beyond 64 bits
                raise UserError(f"{self.named}: cannot be made ({shown(str(error), 200)})") from None
            return func(*args, **kwargs)
        made = func(*args, **kwargs)
        self._count(made)
        return made

    def _count(self, made: Any) -> None:
        parts = made if isinstance(made, tuple | list) else [made]
        self.num_bytes += sum(part.nbytes for part in parts if isinstance(part, Tensor))
        self.check(self.max_bytes)
