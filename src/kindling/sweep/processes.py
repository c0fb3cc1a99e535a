"""Jobs in processes of their own, several at a time.

Not joblib's: its processes serve one job after the other, one that dies takes all down, and it wants to know all jobs
at the start, while a search says what to try next when a process is free.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from kindling.containment import follow_no_link
from kindling.errors import UserError
from kindling.process import outlive_output

# Imported once, by the server that the jobs are forked from.
PRELOADED = [
    "__main__",
    "kindling.running.train",
    "kindling.sweep.pruning",
    "kindling.report",
    "hydra._internal.core_plugins.basic_launcher",
]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class Running:
    number: int
    process: BaseProcess
    result: Connection
    slot: int


def stream(
    jobs: Iterable[tuple[int, Sequence[str]]],
    n_jobs: int,
    hydra_context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
) -> Iterator[tuple[int, JobReturn]]:
    """The results as they come. Where this is left early, the jobs are told to stop, and waited for."""
    if n_jobs > num_cpus():  # more take longer than these: 1.15 times, four on two cores (docs/scale.md)
        print(f"hydra.launcher.n_jobs={n_jobs}: {num_cpus()} at a time, one for each core", flush=True)
        n_jobs = num_cpus()
    context = server(n_jobs)
    pending, running = iter(jobs), dict[Connection, Running]()
    try:
        while True:
            while len(running) < n_jobs and (job := next(pending, None)):
                slot = min(set(range(n_jobs)) - {other.slot for other in running.values()})
                started = start(context, *job, slot, hydra_context, task, config)
                running[started.result] = started
            if not running:
                return
            for connection in wait(list(running)):
                done = running.pop(cast(Connection, connection))
                yield done.number, result_of(done)
    finally:
        stop(list(running.values()))


def server(n_jobs: int) -> Any:
    """Where processes come from that have imported torch: forked from one that has done nothing else."""
    for variable, threads in share_of_cores(n_jobs).items():
        os.environ.setdefault(variable, threads)
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def share_of_cores(n_jobs: int) -> dict[str, str]:
    """For the environment of each of so many processes at once: those that fight for cores take many times as long."""
    return dict.fromkeys(THREAD_VARIABLES, str(max(1, num_cpus() // n_jobs)))


def num_cpus() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(
    context: Any,
    number: int,
    overrides: Sequence[str],
    slot: int,
    hydra_context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
) -> Running:
    receiver, sender = context.Pipe(duplex=False)
    # By value: resolvers and the task are functions within functions, which pickle cannot find again.
    arguments = cloudpickle.dumps((number, list(overrides), slot, hydra_context, task, config, Singleton.get_state()))
    process = context.Process(target=run, args=(sender, arguments))
    process.start()
    sender.close()
    return Running(number, process, receiver, slot)


def run(sender: Connection, arguments: bytes) -> None:
    """In the process of the job."""
    os.setsid()  # Ctrl-C reaches the sweep, which passes it on once
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    number, overrides, slot, hydra_context, task, config, singletons = pickle.loads(arguments)
    threading.Thread(target=follow_parent, daemon=True).start()
    Singleton.set_state(singletons)
    setup_globals()
    job = hydra_context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    run_dir = Path(job.hydra.sweep.dir, str(job.hydra.sweep.subdir))
    run_dir.mkdir(parents=True, exist_ok=True)
    output = follow_no_link(str(run_dir / "output.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    outlive_output()
    if job.trainer.get("devices") == 1:
        take_gpu(slot)
    result = run_job(
        task_function=task,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=hydra_context,
    )
    if result.status is JobStatus.FAILED:
        error: Any = result._return_value
        traceback.print_exception(error)
        result.return_value = UserError(f"{type(error).__name__}: {error}")  # others may not survive pickling
    sender.send(result)


def follow_parent() -> None:
    """A sweep that is killed takes its jobs along, after they have saved."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def take_gpu(slot: int) -> None:
    """Let the process see one GPU: each of the places for jobs has its own, as far as there are enough."""
    import torch

    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if gpus == [""]:
        gpus = [str(index) for index in range(torch.cuda.device_count())]
    if len(gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]


def result_of(job: Running) -> JobReturn:
    try:
        result: JobReturn = job.result.recv()
    except EOFError:
        result = JobReturn(status=JobStatus.FAILED)
        job.process.join()
        code = job.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        result.return_value = UserError(f"the process ended with {how}; its last words are in output.log")
    job.process.join()
    job.result.close()
    return result


def stop(jobs: list[Running]) -> None:
    """Have them save and end; at a second signal, have them end."""
    try:
        for job in jobs:
            with suppress(ProcessLookupError):
                os.kill(job.process.pid or 0, signal.SIGINT)
        for job in jobs:
            job.process.join()
    except BaseException:
        for job in jobs:
            with suppress(ProcessLookupError):
                os.killpg(job.process.pid or 0, signal.SIGKILL)  # and what it has started
        raise
