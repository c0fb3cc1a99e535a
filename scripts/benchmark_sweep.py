"""What does a sweep cost besides its jobs, and what do jobs side by side gain?

python scripts/benchmark_sweep.py [overhead] [growth] [parallel] [--jobs N] [--epochs N]

overhead   200 XOR jobs in one process: seconds a job that are neither building nor training nor testing
growth     2,000 jobs that do nothing: milliseconds a job, for each quarter of them
parallel   four MNIST jobs of half a minute and more: one after the other with all threads, and side by side; on random
           images of its size where MNIST is missing

--jobs and --epochs give other numbers of jobs, and of epochs in `parallel`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

import kindling.config.command_line  # noqa: F401  # registers the resolver that the sweep's name uses
from kindling.errors import told_in_a_sentence
from kindling.folders import write_whole

ROOT = Path(__file__).parent.parent
DONE = {"status": "completed", "monitor": {"name": "val/loss", "mode": "min", "best": 1.0}, "epochs": 1}
DONE |= {"metrics": {"test/loss": 1.0}, "last_epoch": {}, "seconds": {"fit": 0.0}}


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def nothing(cfg: DictConfig) -> float:
    """The job of `growth`."""
    from kindling.sweep.job import job_of

    job = job_of(cfg)
    assert job is not None
    with job.recorded():
        write_whole(Path(cfg.run_dir) / "summary.json", json.dumps(DONE))
    return 1.0


def sweep(folder: Path, *overrides: str, script: str = "train.py") -> float:
    """Seconds."""
    start = time.perf_counter()
    command = [sys.executable, script, "-m", *overrides, f"hydra.sweep.dir={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - start


def ends(folder: Path) -> list[float]:
    """When each job ended, in seconds."""
    return sorted(path.stat().st_mtime for path in folder.glob("*/summary.json"))


def overhead(folder: Path, jobs: int = 200) -> Iterator[str]:
    sweep(folder, "model=xor", f"seed=range({jobs})", "trainer=cpu")
    moments = ends(folder)
    whole = (moments[-1] - moments[0]) / (len(moments) - 1)
    seconds = [json.loads(path.read_text())["seconds"] for path in folder.glob("*/summary.json")]
    own = statistics.mean(sum(parts.values()) for parts in seconds)
    rest = 1000 * (whole - own)
    yield f"{jobs} XOR jobs: {whole:.3f} s a job, of which build, train and test {own:.3f} s: {rest:.0f} ms besides"


def growth(folder: Path, jobs: int = 2_000) -> Iterator[str]:
    sweep(folder, "model=xor", f"seed=range({jobs})", script=__file__)
    moments, size = ends(folder), jobs // 4
    for start in range(0, 4 * size, size):
        milliseconds = 1000 * (moments[start + size - 1] - moments[start]) / (size - 1)
        yield f"jobs {start} to {start + size - 1}: {milliseconds:.1f} ms a job"


def parallel(folder: Path, jobs: int = 4, epochs: int = 24) -> Iterator[str]:
    from benchmark import with_mnist  # imports torch, for which `growth` should not wait

    (folder / "mnist").mkdir()
    with_mnist(folder / "mnist")
    job = ["model=mlp", "data.source=full", f"trainer.max_epochs={epochs}", f"seed=range({jobs})", "trainer=cpu"]
    ways = {
        "one after the other": [],
        "two at a time": ["hydra/launcher=processes", "hydra.launcher.n_jobs=2"],
        "four at a time": ["hydra/launcher=processes", "hydra.launcher.n_jobs=4"],
    }
    for turn in range(2):
        for name, overrides in ways.items():
            seconds = sweep(folder / f"{name}{turn}", *job, *overrides)
            yield f"{jobs} MNIST jobs, {name}: {seconds:.1f} s"


@told_in_a_sentence()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"overhead": overhead, "growth": growth, "parallel": parallel}
    parser.add_argument("parts", nargs="*", metavar="|".join(parts), help="default: all")
    parser.add_argument("--jobs", type=int, help="of each part; growth needs 8")
    parser.add_argument("--epochs", type=int, help="of each job of parallel")
    args = parser.parse_args(argv)
    if not parts.keys() >= set(args.parts):
        parser.error(f"{' '.join(args.parts)}: the parts are {', '.join(parts)}")
    if args.jobs is not None and args.jobs < (8 if "growth" in (args.parts or parts) else 2):
        parser.error(f"--jobs {args.jobs}: are too few to measure")
    for name in args.parts or parts:
        size = {"jobs": args.jobs, "epochs": args.epochs if name == "parallel" else None}
        with tempfile.TemporaryDirectory() as folder:
            for line in parts[name](Path(folder), **{key: value for key, value in size.items() if value is not None}):
                print(line, flush=True)


if __name__ == "__main__":
    nothing() if "-m" in sys.argv else main()
