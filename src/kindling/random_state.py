"""The generators that a run may draw from: Python's, NumPy's, and torch's on every device."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Of all of them, as plain data."""
    state: Any = np.random.get_state(legacy=True)
    _, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": [torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():  # another machine may have more or fewer
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_from(*numbers: int) -> int:
    """Begin all of them anew; returns the seed. Neighbouring numbers give streams that have nothing in common."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1)
    random.seed(int(seed))
    np.random.seed(seed)
    torch.manual_seed(int(seed))
    return int(seed)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Draw from these numbers alone, and leave the generators as they were."""
    before = random_state()
    seed_from(*numbers)
    try:
        yield
    finally:
        set_random_state(before)
