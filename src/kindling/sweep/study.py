"""The Optuna study of a sweep: what is left to do, who does it, and what came of it.

All jobs are in the study from the start, waiting. Processes take them one by one, so any number of processes, also on
several machines, can work on one sweep; what a dead process left undone is taken up by the next that looks. A trial is
one try of a job: what failed, or is to be done again, gets another trial.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from kindling.errors import UserError, shown
from kindling.folders import read_overrides
from kindling.locks import is_locked
from kindling.sweep.job_folder import clear, lacking
from kindling.sweep.space import Space
from kindling.sweep.storage import open_storage

WORKER = "kindling:worker"  # which process has a trial

optuna.logging.set_verbosity(optuna.logging.WARNING)


class SeededByTrial(BaseSampler):
    """Draws for each trial anew from (seed, number of its job): a sweep that goes on draws as if it had not stopped.

    `make` builds the sampler from a seed.
    """

    def __init__(self, make: Any, seed: int) -> None:
        self.make = make
        self.seed = seed
        self.sampler: BaseSampler = make(seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        (seed,) = np.random.SeedSequence([self.seed, job_of(trial)]).generate_state(1)
        self.sampler = self.make(int(seed))
        self.sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.sampler.after_trial(study, trial, state, values)


def job_of(trial: FrozenTrial | Trial) -> int:
    """The number of the job that the trial is a try of: its own, unless it says otherwise."""
    job = trial.user_attrs.get("job")
    return job if isinstance(job, int) and job >= 0 else trial.number


def latest(study: optuna.Study) -> dict[int, FrozenTrial]:
    """By the numbers of the jobs, their last tries."""
    return {job_of(trial): trial for trial in study.get_trials(deepcopy=False)}


class Queue:
    """The jobs of a study, handed out one by one."""

    def __init__(self, study: optuna.Study, folder: Path, space: Space) -> None:
        self.study = study
        self.folder = folder
        self.space = space
        self.lock = FileLock(folder / ".lock")
        self.me = uuid.uuid4().hex

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let other processes see that this one lives."""
        path = self._path(self.me)
        path.parent.mkdir(exist_ok=True)
        with FileLock(path):
            yield
        path.unlink(missing_ok=True)

    def add(self, jobs: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """Have the study hold these, and once more those that failed, or of whose folder something is gone.

        What a job leaves open is sampled. Returns the numbers of jobs that had ended well, and what their folders lack.
        What a folder says of its job counts, where the study knows of no such job or of other values.
        """
        gone = {}
        with self.lock:
            tries = latest(self.study)
            for number, values in enumerate(jobs):
                run_dir, last = self.folder / str(number), tries.get(number)
                if last and not last.state.is_finished():
                    continue
                done = self.space.values(read_overrides(run_dir))
                expected = {**(last.params if last else {}), **done, **values}
                if last is None:
                    self._enqueue(number, expected)
                elif last.state is TrialState.FAIL:
                    self._enqueue(number, expected, last.intermediate_values)
                elif lack := lacking(run_dir, last.user_attrs.get("checkpoint")):
                    clear(run_dir)
                    self._enqueue(number, expected)
                    gone[number] = lack
                elif last.params != expected:
                    self._enqueue(number, expected)
        return gone

    def _enqueue(self, job: int, values: Mapping[str, Any], reported: Mapping[int, float] | None = None) -> None:
        attributes = {"job": job, "folder": str((self.folder / str(job)).absolute())}
        trial = create_trial(
            state=TrialState.WAITING,
            system_attrs={"fixed_params": dict(values)},
            user_attrs=attributes,
            intermediate_values=dict(reported or {}),
        )
        self.study.add_trial(trial)

    def count_done(self) -> int:
        done = (TrialState.COMPLETE, TrialState.PRUNED)
        return sum(trial.state in done for trial in latest(self.study).values())

    def failed(self) -> list[int]:
        return sorted(job for job, trial in latest(self.study).items() if trial.state is TrialState.FAIL)

    def take(self, total: int) -> Trial | None:
        """A try of the next of the first `total` jobs: one that a dead process left, or one that waits."""
        with self.lock, of_this_sweep(self.folder):
            trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
            trials = [trial for trial in trials if job_of(trial) < total]
            left = [trial for trial in trials if trial.state is TrialState.RUNNING and not self._is_alive(trial)]
            if left:
                trial = reopened(self.study, left[0].number)
                for key, distribution in self.space.swept.items():
                    trial._suggest(key, distribution)  # as `ask` does; those that are set stay
            elif any(trial.state is TrialState.WAITING for trial in trials):
                trial = self.study.ask(self.space.swept)
            else:
                return None
            self.study._storage.set_trial_system_attr(trial._trial_id, WORKER, self.me)
        return trial

    def tell(self, trial: Trial, state: TrialState, values: list[float] | None, facts: Mapping[str, Any]) -> None:
        """How a try ended. What somebody else has told the study of it in the meantime does not count."""
        with self.lock:
            if self.study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                told = create_trial(
                    state=state,
                    values=values,
                    params=trial.params,
                    distributions=trial.distributions,
                    user_attrs={**trial.user_attrs, **facts},
                )
                self.study.add_trial(told)
                return
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, values, state)

    def _is_alive(self, trial: FrozenTrial) -> bool:
        path = self._path(str(trial.system_attrs.get(WORKER)))
        return path.exists() and is_locked(path)

    def _path(self, worker: str) -> Path:
        return self.folder / ".workers" / f"{Path(worker).name}.lock"


@contextmanager
def of_this_sweep(folder: Path) -> Iterator[None]:
    """Optuna takes no other values than the sweep's command gives.

    Raises:
        UserError: where the study holds some.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(f"{folder}: the study holds other values than sweep.yaml ({shown(str(error))})") from None


def reopened(study: optuna.Study, number: int) -> Trial:
    """A trial that another process has begun."""
    return Trial(study, study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number))


def open_study(
    folder: Path,
    name: str,
    url: str | None,
    sampler: BaseSampler | None = None,
    modes: Sequence[str] = ("min",),
) -> optuna.Study:
    directions = [StudyDirection.MINIMIZE if mode == "min" else StudyDirection.MAXIMIZE for mode in modes]
    storage = open_storage(folder, url)
    return optuna.create_study(
        storage=storage, study_name=name, sampler=sampler, directions=directions, load_if_exists=True
    )
