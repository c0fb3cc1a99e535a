"""Are runs that are killed and gone on with the same, to the bit, as runs that never stopped? And sweeps?

python scripts/torture.py [--kills 20] [--seed 0] [--models xor ...] [--sweeps 10]

Trains each model once in peace. Then starts it again and again, kills it at a random moment (by SIGKILL, SIGTERM or
SIGINT, once to three times), goes on with `resume`, and compares weights, scores and metrics.csv. Then does the same
with a search that prunes, killed so many times on its way, and compares its table. Each run is a process of its own,
forked from this one, which has done nothing but import: that saves seconds a run.
"""

import argparse
import csv
import json
import os
import random
import runpy
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch

import kindling.running.train  # noqa: F401  # what every run imports
from kindling.errors import told_in_a_sentence

ROOT = Path(__file__).parent.parent
QUICK = ["trainer=cpu", "~callbacks.figures"]
RUNS = {
    "linear_regression": ["model=linear_regression", "data=diabetes", *QUICK],
    "xor": ["model=xor", *QUICK],
    "mlp": ["model=mlp", "data=digits", "model.dropout=0.2", "data.batch_size=8", "trainer.max_epochs=4", *QUICK],
    "population": ["data=digits", "population=3", "data.batch_size=16", "trainer.max_epochs=3", *QUICK],
}
SWEEP = [
    *["-m", "data=digits", "trainer.max_epochs=4", "sweep=tpe", "sweep.n_trials=40", "sweep.pruner=median"],
    *["optimizer.lr=tag(log,interval(1e-5,1))", "model.hidden_features=[16],[64],[64,64]", "trainer=cpu"],
]
SIGNALS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}  # and how a run should end


def train_py(args: list[str], output: Path) -> int:
    """`python train.py` with what it prints added to a file, in a process forked for it; returns the exit code."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    warnings.resetwarnings()
    warnings.simplefilter("default")
    os.chdir(ROOT)
    torch.set_num_threads(1)
    sys.argv = ["train.py", *args]
    try:
        runpy.run_path("train.py", run_name="__main__")
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def train(overrides: list[str], log: Path, seconds: float | None = None, number: int = signal.SIGKILL) -> int:
    """The exit code of `python train.py`, sent a signal after so many seconds where it is still at work."""
    pid = os.fork()
    if pid == 0:
        os._exit(train_py(overrides, log))
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            os.kill(pid, number)
            deadline = None
        time.sleep(0.002)


def result(folder: Path) -> dict:
    """All that must be the same."""
    summary = json.loads((folder / "summary.json").read_text())
    weights = {
        name: torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
        for name in ("best", "last")
    }
    kept = ("status", "metrics", "monitor", "epochs", "steps", "last_epoch")
    table = (folder / "metrics.csv").read_text()
    return {"weights": weights, "metrics.csv": table, **{key: summary[key] for key in kept}}


def differences(left: dict, right: dict) -> list[str]:
    same = {key: left[key] == right[key] for key in left if key != "weights"}
    for name, weights in left["weights"].items():
        other = right["weights"][name]
        same[f"{name}.ckpt"] = weights.keys() == other.keys() and all(
            torch.equal(tensor, other[key]) for key, tensor in weights.items()
        )
    return [key for key, equal in same.items() if not equal]


def torture(overrides: list[str], folder: Path, duration: float, rng: random.Random) -> tuple[Path, list[str]]:
    """The folder of a run that was killed and went on until its end, and what happened to it."""
    run, log, events = folder / "run", folder / "log.txt", []
    folder.mkdir()
    for _ in range(rng.randint(1, 3)):
        number, seconds = rng.choice(list(SIGNALS)), rng.uniform(0, duration)
        code = train(started(overrides, run), log, seconds, number)
        events.append(f"{signal.Signals(number).name} after {seconds:.2f} s: {code}")
        if code == 0:
            break
        if code not in (SIGNALS[number], -number):  # the latter where it was still starting
            return run, [*events, "wrong exit code"]
    code = 0 if code == 0 else train(started(overrides, run), log)
    return run, events if code == 0 else [*events, f"the end: {code}"]


def torture_sweep(kills: int, folder: Path, rng: random.Random) -> bool:
    """Whether the table of a sweep that was killed so often is that of one that was not."""
    log = folder / "sweep.txt"
    start = time.monotonic()
    if train([*SWEEP, f"hydra.sweep.dir={folder / 'peace'}"], log) != 0:
        sys.exit(log.read_text())
    duration = time.monotonic() - start
    killed = folder / "killed"
    moments = sorted(rng.uniform(0, duration) for _ in range(kills))
    for before, moment in zip([0.0, *moments], moments, strict=False):
        seconds = moment - before + 1  # second: about what it takes to start, and do the killed job once more
        number = rng.choice(list(SIGNALS))
        code = train([*SWEEP, f"hydra.sweep.dir={killed}"], log, seconds, number)
        print(f"sweep: {signal.Signals(number).name} after {seconds:.2f} s: {code}", flush=True)
        if code not in (SIGNALS[number], -number, 0):
            print(log.read_text()[-2000:], flush=True)
            return False
    if train(["-m", f"sweep.resume={killed}"], log) != 0:
        print(log.read_text()[-2000:], flush=True)
        return False
    return table(killed) == table(folder / "peace")


def table(folder: Path) -> list[dict[str, str]]:
    """Without the times."""
    with (folder / "table.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def started(overrides: list[str], run: Path) -> list[str]:
    """The command to begin the run, or to go on with it once it has begun."""
    return [f"resume={run}"] if (run / "summary.json").exists() else [*overrides, f"hydra.run.dir={run}"]


@told_in_a_sentence()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="runs a model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweeps", type=int, default=10, help="times to kill a sweep; 0: no sweep")
    parser.add_argument("--models", nargs="*", choices=list(RUNS), default=list(RUNS))
    args = parser.parse_args()
    rng, failed = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory() as path:
        for name in args.models:
            peace = Path(path) / f"{name}_in_peace"
            start = time.monotonic()
            if train([*RUNS[name], f"hydra.run.dir={peace}"], Path(path) / "log.txt") != 0:
                sys.exit((Path(path) / "log.txt").read_text())
            duration, expected = time.monotonic() - start, result(peace)
            for trial in range(args.kills):
                folder = Path(path) / f"{name}{trial}"
                run, events = torture(RUNS[name], folder, duration, rng)
                try:
                    wrong = differences(expected, result(run))
                except (OSError, KeyError) as error:
                    wrong = [repr(error)]
                failed += bool(wrong)
                print(
                    f"{name} {trial}: {'; '.join(events)}: {'differs in ' + ', '.join(wrong) if wrong else 'same'}",
                    flush=True,
                )
                if wrong:
                    print((folder / "log.txt").read_text()[-2000:], flush=True)
        same = not args.sweeps or torture_sweep(args.sweeps, Path(path), rng)
    total = args.kills * len(args.models)
    print(f"{total - failed} of {total} are the same to the bit")
    if args.sweeps:
        print(f"the table of the sweep that was killed {args.sweeps} times is {'the same' if same else 'ANOTHER'}")
    sys.exit(bool(failed) or not same)


if __name__ == "__main__":
    main()
