"""This process: which it is of a run, what it prints, and how it ends when it is told to."""

import io
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Ctrl-C; from schedulers: stop now, stop soon
INTERRUPTED = {128 + number: number.name for number in SIGNALS}  # exit codes, as shells count them


def rank() -> int:
    """Of this process among those of the run; also before Lightning has started them."""
    from lightning.pytorch.utilities.rank_zero import rank_zero_only  # not above: the command line is checked without

    return int(getattr(rank_zero_only, "rank", 0))


def is_first() -> bool:
    """Whether it is the first of the run, by the word of what started them; without Lightning, which takes seconds."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


class Output(io.FileIO):
    """Where a process prints to. What cannot be written is lost, and nothing else: the reader has gone (`| head`), the
    disk is full, the terminal was closed.
    """

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def outlive_output() -> None:
    """Let nothing that happens to what this process prints to end it, or print more than was meant to be printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed (`>&-`): else the next file opened would take its place, and be printed into
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for number, name in ((1, "stdout"), (2, "stderr")):
        before = getattr(sys, name)
        buffer = io.BufferedWriter(Output(number, "w", closefd=False))
        each_line = number == 2 or (before is not None and (before.line_buffering or before.write_through))
        text = io.TextIOWrapper(buffer, getattr(before, "encoding", None), "backslashreplace", line_buffering=each_line)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)  # the one that Python flushes last
    logging.raiseExceptions = False  # of a train.log on a full disk; logging would print a traceback for each line


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


@contextmanager
def no_less_than(level: int, name: str) -> Iterator[None]:
    """Only messages of that level or above from the logger of that name, for a while."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def screens() -> list[logging.Handler]:
    """The handlers of a run's messages that write to the screen."""
    handlers = [*logging.getLogger().handlers, *logging.getLogger("kindling").handlers]
    return [handler for handler in handlers if getattr(handler, "stream", None) is sys.stdout]


def quiet() -> None:
    """Keep advertising, and warnings that nobody here can act on, off the screen."""
    for name in ("lightning.pytorch", "lightning.fabric", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if rank() != 0:
        logging.getLogger("kindling").setLevel(logging.ERROR)  # once is enough
    for message in (
        r".*LeafSpec.*",  # Lightning's use of torch.utils._pytree
        r".*smaller than the logging interval.*",
        r".*Checkpoint directory .* exists and is not empty.*",
        r".*`srun` command is available.*",  # as on the login node of a cluster, where nobody meant to use it
        r".*available but not used.*",  # trainer=cpu on a machine with a GPU is a choice
        r".*could not find the monitored key.*",  # the record of the run says so, in its own words
        r".*does not have many workers.*",  # a matter of speed, which the user has chosen
        r".*is an instance of `nn.Module` and is already saved.*",  # what is no plain data is left out of checkpoints
        r".*your dataloader is not resumable.*",  # it is: checkpoints/loaders.py
        r".*outside the 'fit' stage.*",  # averaged weights are tested, which are what the checkpoint holds
        r".*WeightAveraging callback with a model that overrides the configure_model.*",
        r".*SWA is currently only supported every epoch.*",  # it takes the place of schedules of steps all the same
        r".*callbacks used to create the checkpoint need to be provided.*",  # a run that goes on may have others
        r".*Trying to infer the `batch_size`.*",  # for samples a second, which can do without
    ):
        warnings.filterwarnings("ignore", message)
