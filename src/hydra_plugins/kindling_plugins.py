"""What Hydra finds here by itself: how Kindling sweeps (`-m`), and how it runs jobs in processes of their own.

Hydra imports this file at each start, so everything heavy waits until it is needed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """A sweep is an Optuna study in a folder, which survives the process (conf/sweep/).

    Args:
        params: overrides that are swept besides those of the command line, as in Hydra's own sweeper.
    """

    def __init__(self, params: Mapping[str, str] | None = None) -> None:
        self.params = [f"{key}={value}" for key, value in (params or {}).items()]

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from kindling.errors import told_in_a_sentence
        from kindling.sweep.sweeper import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task_function is not None
        with told_in_a_sentence():
            return sweep(self.config, [*self.params, *arguments], self.hydra_context, self.task_function)


class ProcessLauncher(Launcher):
    """Each job in a process of its own, with its share of the processor's threads and one GPU; `n_jobs` at a time, but
    no more than there are cores.

    What a job prints goes to output.log in its folder.
    """

    def __init__(self, n_jobs: int = 1) -> None:
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = enumerate(job_overrides, initial_job_idx)
        return [result for _, result in sorted(self.stream(jobs), key=lambda pair: pair[0])]

    def stream(self, jobs: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, JobReturn]]:
        """The results as they come; the next job is taken from `jobs` only when there is a process for it."""
        from kindling.sweep.processes import stream

        return stream(jobs, self.n_jobs, self.hydra_context, self.task_function, self.config)
