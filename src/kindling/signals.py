"""How a process ends when it is told to."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Ctrl-C; from schedulers: stop now, stop soon


@contextmanager
def exit_codes() -> Iterator[None]:
    """Leave with 128 + the signal, as schedulers expect. Lightning's own codes are 1 and 0."""
    previous = {number: signal.signal(number, lambda number, _: sys.exit(128 + number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def requeue() -> None:
    """SLURM sends SIGUSR1 (`#SBATCH --signal=SIGUSR1@90`) before the time is up; `resume=auto` goes on next time."""
    job = os.environ.get("SLURM_JOB_ID")
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job and subprocess.run(["scontrol", "requeue", job], check=False).returncode != 0:
        log.warning(f"scontrol could not requeue job {job}")
