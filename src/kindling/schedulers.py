"""How long a schedule is, and when it steps."""

from collections.abc import Callable
from functools import partial
from typing import Any

from kindling.signatures import RUN_LENGTH, signature


def length_argument(scheduler: Callable[..., Any]) -> str | None:
    """The argument under which `scheduler` wants the number of optimizer steps; None where it has none, or has it.

    A scheduler whose length is filled in steps with every batch, any other with every epoch.
    """
    given = scheduler.keywords if isinstance(scheduler, partial) else {}
    takes = signature(scheduler.func if isinstance(scheduler, partial) else scheduler)
    return next((name for name in RUN_LENGTH if name in takes and given.get(name) is None), None)
