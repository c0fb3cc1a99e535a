"""What does a sweep cost besides its jobs, and what do jobs side by side gain?

python scripts/benchmark_sweep.py [overhead] [growth] [parallel]

overhead   200 XOR jobs in one process: seconds a job that are neither building nor training nor testing
growth     2,000 jobs that do nothing: milliseconds a job, for each quarter of them
parallel   four MNIST jobs of half a minute and more: one after the other with all threads, and side by side
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hydra
from omegaconf import DictConfig

import kindling.config.command_line  # noqa: F401  # registers the resolver that the sweep's name uses
from kindling.folders import write_whole

ROOT = Path(__file__).parent.parent
DONE = {"status": "completed", "monitor": {"name": "val/loss", "mode": "min", "best": 1.0}, "epochs": 1}
DONE |= {"metrics": {"test/loss": 1.0}, "last_epoch": {}, "seconds": {"fit": 0.0}}


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def nothing(cfg: DictConfig) -> float:
    """The job of `growth`."""
    from kindling.sweep.job import take_job

    job = take_job(cfg)
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


def overhead(folder: Path) -> Iterator[str]:
    sweep(folder, "model=xor", "seed=range(200)", "trainer=cpu")
    moments = ends(folder)
    whole = (moments[-1] - moments[0]) / (len(moments) - 1)
    seconds = [json.loads(path.read_text())["seconds"] for path in folder.glob("*/summary.json")]
    jobs = statistics.mean(sum(parts.values()) for parts in seconds)
    rest = 1000 * (whole - jobs)
    yield f"200 XOR jobs: {whole:.3f} s a job, of which build, train and test {jobs:.3f} s: {rest:.0f} ms besides"


def growth(folder: Path) -> Iterator[str]:
    sweep(folder, "model=xor", "seed=range(2000)", script=__file__)
    moments = ends(folder)
    for quarter in range(4):
        first, last = moments[500 * quarter], moments[500 * quarter + 499]
        yield f"jobs {500 * quarter} to {500 * quarter + 499}: {1000 * (last - first) / 499:.1f} ms a job"


def parallel(folder: Path) -> Iterator[str]:
    job = ["model=mlp", "data.source=full", "trainer.max_epochs=24", "seed=range(4)", "trainer=cpu"]
    ways = {
        "one after the other": [],
        "two at a time": ["hydra/launcher=processes", "hydra.launcher.n_jobs=2"],
        "four at a time": ["hydra/launcher=processes", "hydra.launcher.n_jobs=4"],
    }
    for turn in range(2):
        for name, overrides in ways.items():
            seconds = sweep(folder / f"{name}{turn}", *job, *overrides)
            yield f"four MNIST jobs, {name}: {seconds:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"overhead": overhead, "growth": growth, "parallel": parallel}
    parser.add_argument("parts", nargs="*", default=list(parts), choices=list(parts))
    for name in parser.parse_args().parts:
        with tempfile.TemporaryDirectory() as folder:
            for line in parts[name](Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    nothing() if "-m" in sys.argv else main()
