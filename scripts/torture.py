"""Are runs that are killed and gone on with the same, to the bit, as runs that never stopped? And sweeps?

python scripts/torture.py [--kills 20] [--seed 0] [--models xor ...] [--sweeps 10]

Trains each case once in peace. Then starts it again and again, kills it once to three times, goes on with `resume`, and
compares weights, scores and metrics.csv. It is killed at a random moment by SIGKILL, SIGTERM or SIGINT, or by SIGKILL
just before one of the writes that make a checkpoint, a row or a summary: each of them in turn. Then does the same with
a search that prunes, killed so many times on its way, and compares its table. Each run is a process of its own, forked
from this one, which has done nothing but import: that saves seconds a run.
"""

import argparse
import csv
import itertools
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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

import kindling.running.train  # noqa: F401  # what every run imports
from kindling.errors import told_in_a_sentence

ROOT = Path(__file__).parent.parent
QUICK = ["trainer=cpu", "~callbacks.figures"]
DIGITS = ["model=mlp", "data=digits", "model.dropout=0.2", *QUICK]
CALLBACK = "_target_=lightning.pytorch.callbacks"
RUNS = {
    "linear_regression": ["model=linear_regression", "data=diabetes", *QUICK],
    "xor": ["model=xor", *QUICK],
    "mlp": [*DIGITS, "data.batch_size=8", "trainer.max_epochs=4"],
    "population": ["data=digits", "population=3", "data.batch_size=16", "trainer.max_epochs=3", *QUICK],
    "plateau": [
        *DIGITS,
        "trainer.max_epochs=6",
        "scheduler=plateau",
        "scheduler.patience=0",
        "+scheduler.threshold=0.5",
    ],
    "plateau_2": [*DIGITS, "trainer.max_epochs=6", "scheduler=plateau", "trainer.check_val_every_n_epoch=2"],
    "cosine": [*DIGITS, "trainer.max_epochs=4", "scheduler=cosine", "trainer.gradient_clip_val=0.5"],
    "accumulation": [*DIGITS, "trainer.max_epochs=4", "trainer.accumulate_grad_batches=3"],
    "limits": [*DIGITS, "trainer.max_epochs=5", "trainer.limit_train_batches=7", "trainer.limit_val_batches=1"],
    "max_steps": [*DIGITS, "trainer.max_epochs=-1", "trainer.max_steps=130", "callbacks.last.every_n_steps=9"],
    "val_check_quarter": [*DIGITS, "trainer.max_epochs=3", "trainer.val_check_interval=0.25"],
    "val_check_5": [*DIGITS, "trainer.max_epochs=2", "trainer.val_check_interval=5", "callbacks.last.every_n_steps=4"],
    "ema": [
        *DIGITS,
        "trainer.max_epochs=4",
        f"+callbacks.ema.{CALLBACK}.EMAWeightAveraging",
        "+callbacks.ema.decay=0.9",
    ],
    "swa": [
        *[*DIGITS, "trainer.max_epochs=5", "scheduler=constant", "+callbacks.swa.swa_lrs=0.01"],
        *[f"+callbacks.swa.{CALLBACK}.StochasticWeightAveraging", "+callbacks.swa.swa_epoch_start=1"],
    ],
    "early_stopping": [
        *[*DIGITS, "trainer.max_epochs=9", "scheduler=constant", "optimizer.lr=0.1", "callbacks.best.save_top_k=2"],
        *[
            f"+callbacks.stop.{CALLBACK}.EarlyStopping",
            "+callbacks.stop.monitor=val/loss",
            "+callbacks.stop.patience=1",
        ],
    ],
    "lbfgs": ["model=linear_regression", "data=diabetes", "optimizer=lbfgs", "trainer.max_epochs=5", *QUICK],
    "64-true": [*DIGITS, "trainer.max_epochs=4", "trainer.precision=64-true"],
    "ddp_cpu": [*DIGITS, "trainer.max_epochs=3", "trainer=ddp_cpu"],  # two processes: 10 s a start
}
SWEEP = [
    *["-m", "data=digits", "trainer.max_epochs=4", "sweep=tpe", "sweep.n_trials=40", "sweep.pruner=median"],
    *["optimizer.lr=tag(log,interval(1e-5,1))", "model.hidden_features=[16],[64],[64,64]", "trainer=cpu"],
]
SIGNALS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}  # and how a run should end


class Writes:
    """Counts what touches the files of a run folder, and kills the process just before the one of a number.

    Python tells of it all before it is done: files that are opened to be written, renamed and removed.
    """

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.folder, self.fatal, self.done = str(folder), fatal, 0
        sys.addaudithook(self.see)

    def see(self, event: str, args: tuple) -> None:
        if event not in ("open", "os.rename", "os.remove", "os.link") or not str(args[0]).startswith(self.folder):
            return
        if event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        self.done += 1
        if self.done == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def train_py(args: list[str], output: Path) -> int:
    """`python train.py` with what it prints added to a file, in a process forked for it; returns the exit code."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
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
    except BaseException as error:
        traceback.print_exc()
        return 130 if isinstance(error, KeyboardInterrupt) else 1  # as Python does
    return 0


def train(
    overrides: list[str],
    log: Path,
    seconds: float | None = None,
    number: int = signal.SIGKILL,
    write: int | None = None,
) -> int:
    """The exit code of `python train.py`, sent a signal after so many seconds where it is still at work, or killed
    before its write of that number. In a log beside it stands how many writes there were."""
    pid = os.fork()
    if pid == 0:
        os.setsid()  # with the processes that it starts itself
        run = next(
            (text.partition("=")[2] for text in overrides if text.startswith(("hydra.run.dir=", "resume="))), "-"
        )
        writes = Writes(Path(run), write)
        code = train_py(overrides, log)
        log.with_suffix(".writes").write_text(str(writes.done))
        os._exit(code)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what the killed one has left
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


def torture(
    overrides: list[str], folder: Path, duration: float, writes: Iterator[int], rng: random.Random
) -> tuple[Path, list[str]]:
    """The folder of a run that was killed and went on until its end, and what happened to it."""
    run, log, events = folder / "run", folder / "log.txt", []
    folder.mkdir()
    for kill in range(rng.randint(1, 3)):
        command, number, seconds = started(overrides, run), rng.choice(list(SIGNALS)), rng.uniform(0, duration)
        if kill == 0:
            write = next(writes)
            code = train(command, log, write=write)
            events.append(f"SIGKILL before write {write}: {code}")
            number = signal.SIGKILL
        else:
            code = train(command, log, seconds, number)
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
            writes = range(1, int((Path(path) / "log.writes").read_text()) + 1)
            each = itertools.cycle(rng.sample(writes, len(writes)))
            for trial in range(args.kills):
                folder = Path(path) / f"{name}{trial}"
                run, events = torture(RUNS[name], folder, duration, each, rng)
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
