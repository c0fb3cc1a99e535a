"""The Optuna study of a sweep: what is left to do, who does it, and what came of it.

All jobs are in the study from the start, waiting. Processes take them one by one, so any number of processes, also on
several machines, can work on one sweep; what a dead process left undone is taken up by the next that looks.
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
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from kindling.errors import UserError, shown
from kindling.folders import follow_no_link, is_locked

optuna.logging.set_verbosity(optuna.logging.WARNING)


class JournalLock(JournalFileSymlinkLock):
    """One that the system lets go of when its process is killed. Optuna's own would block all others for 30 s."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(path.with_name(".journal.lock"))

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def open_storage(folder: Path, url: str | None) -> str | BaseStorage:
    """What Optuna keeps the study in: journal.log in the folder of the sweep, unless there is a `url`."""
    if url:
        return url
    path = folder / "journal.log"
    lock = JournalLock(path)
    with lock.lock:
        if path.exists() and not (written := path.read_bytes()).endswith(b"\n"):
            # A full disk cuts a line short; with it, the whole file would count as damaged.
            with open(path, "r+b", opener=follow_no_link) as file:
                file.truncate(written.rfind(b"\n") + 1)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


class SeededByTrial(BaseSampler):
    """Draws for each trial anew from (seed, number of the trial): a sweep that goes on draws as if it had not stopped.

    `make` builds the sampler from a seed.
    """

    def __init__(self, make: Any, seed: int) -> None:
        self.make = make
        self.seed = seed
        self.sampler: BaseSampler = make(seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        (seed,) = np.random.SeedSequence([self.seed, trial.number]).generate_state(1)
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


class Queue:
    """The trials of a study, handed out one by one.

    A trial that failed is never told to Optuna. It stays with its process; once that has ended, another one that works
    on the sweep finds the trial left, and tries it again.
    """

    def __init__(self, study: optuna.Study, folder: Path, swept: dict[str, BaseDistribution]) -> None:
        self.study = study
        self.folder = folder
        self.swept = swept
        self.lock = FileLock(folder / ".lock")
        self.me = uuid.uuid4().hex
        self.taken: set[int] = set()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let other processes see that this one lives."""
        path = self._path(self.me)
        path.parent.mkdir(exist_ok=True)
        with FileLock(path):
            yield
        path.unlink(missing_ok=True)

    def add(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Have the study hold these, of which it may hold the first already. What a trial leaves open is sampled."""
        with self.lock:
            for values in trials[len(self.study.get_trials(deepcopy=False)) :]:
                self.study.enqueue_trial(dict(values))

    def count_done(self) -> int:
        return sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))

    def take(self, total: int) -> Trial | None:
        """The next trial among the first `total`: one that a dead process left, or one that waits."""
        with self.lock, of_this_sweep(self.folder):
            trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
            trials = [trial for trial in trials if trial.number < total and trial.number not in self.taken]
            left = [
                t for t in trials if t.state is TrialState.RUNNING and not self._is_alive(t.user_attrs.get("worker"))
            ]
            if left:
                trial = reopened(self.study, left[0].number)
                for key, distribution in self.swept.items():
                    trial._suggest(key, distribution)  # as `ask` does; those that are set stay
            elif any(trial.state is TrialState.WAITING for trial in trials):
                trial = self.study.ask(self.swept)
            else:
                return None
            trial.set_user_attr("worker", self.me)
        self.taken.add(trial.number)
        return trial

    def _is_alive(self, worker: str | None) -> bool:
        return worker is not None and self._path(worker).exists() and is_locked(self._path(worker))

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
