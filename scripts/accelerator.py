"""Does what is promised hold on an accelerator? python scripts/accelerator.py [ROW ...] [--minutes 8] [--small]

What the machine lacks is said at once. Then a row for each thing, as soon as it is measured:

speed        an epoch of the MNIST MLP next to a hand-written loop, by batch size
accuracy     `python train.py`, until 98 % of the validation images are right
bf16         trainer=bf16        compile   compile=true
exact        deterministic=true: killed and gone on with, the same weights; evaluated on the CPU, the same scores
population   1,000 XOR nets and 100 MNIST nets at once, next to one of them
resnet       the example ResNet-18 on image files, in mixed precision

What would begin after --minutes is left out, and said to be. --small does all of it in little, for a CPU. MNIST is read
from KINDLING_DATA (or data/); random images of its size take its place where it is missing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "scripts")]  # where nothing could be installed
PATHS = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])

from kindling.errors import UserError, told_in_a_sentence  # noqa: E402  # once its folder is known
from kindling.folders import read_summary  # noqa: E402

Row = tuple[str, str, str]  # what, measured, next to what


@dataclass
class Machine:
    """Where runs go, and how large they are."""

    folder: Path
    small: bool
    count: int = 0
    plain: dict[str, Any] | None = None  # the summary of a run with nothing special

    @property
    def mlp(self) -> list[str]:
        return ["model=mlp", "data=digits"] if self.small else ["model=mlp", "data=mnist"]

    def new(self) -> Path:
        self.count += 1
        return self.folder / f"run{self.count}"

    def train(self, *overrides: str, folder: Path | None = None, paths: str = PATHS) -> tuple[dict[str, Any], float]:
        """Of a process of its own: summary.json, and its seconds."""
        folder = folder or self.new()
        start = time.perf_counter()
        process = python(train_py(folder, *overrides), paths)
        printed, errors = process.communicate()
        if process.returncode:
            said = (printed + errors)[-1500:]
            raise UserError(f"python train.py {' '.join(overrides)}: ended with {process.returncode}: {said}")
        return read_summary(folder), time.perf_counter() - start


def python(command: list[str], paths: str = PATHS) -> subprocess.Popen[str]:
    """Started in the checkout; what it prints is kept."""
    environment = {**os.environ, "PYTHONPATH": paths}
    output = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output, text=True
    )


def train_py(folder: Path, *overrides: str) -> list[str]:
    """Of a new run in that folder, or of one that goes on there."""
    return ["train.py", f"resume={folder}" if folder.exists() else f"hydra.run.dir={folder}", *overrides]


def lacking() -> list[str]:
    """Packages that are missing or of another version than pyproject.toml asks for, known without importing any."""
    from packaging.requirements import Requirement

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = []
    for requirement in map(Requirement, wanted):
        version = ""
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(requirement.name)
        if not version:
            found.append(str(requirement))
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement}, not {version}")
    return found


def speed(machine: Machine) -> Iterator[Row]:
    """Several steps a call, as in every run: medians of turns that alternate."""
    from benchmark import hand_written, kindling

    for batch_size in [64] if machine.small else [128, 1024, 8192]:
        seconds: dict[str, list[float]] = {"kindling": [], "hand-written": []}
        for _ in range(1 if machine.small else 3):
            for name, pipeline in (("hand-written", hand_written), ("kindling", kindling)):
                seconds[name] += pipeline(config(machine, f"data.batch_size={batch_size}", "trainer.max_epochs=4"))
        ours, plain = (statistics.median(values) for values in seconds.values())
        yield (
            f"epoch, batches of {batch_size:,}",
            f"{ours:.3f} s",
            f"hand-written {plain:.3f} s: {ours / plain:.2f} times",
        )


def config(machine: Machine, *overrides: str) -> Any:
    from kindling import compose
    from kindling.config.asked import take_asked

    cfg = compose([*machine.mlp, *overrides, f"run_dir={machine.new()}"])
    take_asked(cfg)
    return cfg


def accuracy(machine: Machine) -> Iterator[Row]:
    """With the defaults but for the end."""
    goal = 0.9 if machine.small else 0.98
    stop = "+callbacks.stop={_target_:lightning.pytorch.callbacks.EarlyStopping,monitor:val/acc,mode:max,patience:100,"
    run, seconds = machine.train(*machine.mlp, f"{stop}stopping_threshold:{goal}}}", *few(machine, 20))
    reached = run["last_epoch"]["val/acc"]
    measured = f"{run['seconds']['fit']:.1f} s of training, {seconds:.1f} s in all"
    yield f"validation accuracy {goal:.0%}", measured, f"reached {reached:.2%} in {run['epochs']} epochs"


def few(machine: Machine, epochs: int) -> list[str]:
    return [f"trainer.max_epochs={2 if machine.small else epochs}"]


def plainly(machine: Machine, *overrides: str) -> Iterator[Row]:
    plain = machine.plain or machine.train(*machine.mlp, *few(machine, 5))[0]
    machine.plain = plain
    run, _ = machine.train(*machine.mlp, *few(machine, 5), *overrides)
    measured, beside = (
        f"{r['seconds']['fit']:.1f} s, test accuracy {r['metrics']['test/acc']:.2%}" for r in (run, plain)
    )
    yield " ".join(overrides), measured, f"without {beside}"


def bf16(machine: Machine) -> Iterator[Row]:
    yield from plainly(machine, "trainer=bf16")


def compiled(machine: Machine) -> Iterator[Row]:
    yield from plainly(machine, "compile=true")


def exact(machine: Machine) -> Iterator[Row]:
    """A run that is killed after its second epoch, and one that is left alone."""
    overrides = [*machine.mlp, "++trainer.deterministic=true", "trainer.max_epochs=8"]
    peace, folder = machine.new(), machine.new()
    machine.train(*overrides, folder=peace)
    kill_after_epochs(2, train_py(folder, *overrides), folder)
    machine.train(folder=folder)
    same = weights_of(peace) == weights_of(folder)
    yield "killed and gone on with", "the same to the bit" if same else "OTHER WEIGHTS", "a run left alone"
    printed, errors = python(["scripts/evaluate.py", str(peace), "trainer.accelerator=cpu", "--json"]).communicate()
    if not printed:
        raise UserError(errors[-1500:])
    scores = json.loads(printed)
    furthest = max(abs(value - read_summary(peace)["metrics"][name]) for name, value in scores.items())
    yield "evaluated on the CPU", f"scores differ by {furthest:.1e} at most", f"{len(scores)} scores of the run"


def kill_after_epochs(epochs: int, command: list[str], folder: Path) -> None:
    with python(command) as process:
        rows = folder / "metrics.csv"
        while process.poll() is None and not (rows.exists() and rows.read_text().count("\n") > epochs):
            time.sleep(0.002)
        if process.poll() is not None:
            raise UserError(f"{folder}: the run ended before it could be killed")
        process.kill()


def weights_of(folder: Path) -> list[tuple[str, bytes]]:
    import torch

    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]
    return [(name, value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()) for name, value in state.items()]


def population(machine: Machine) -> Iterator[Row]:
    sizes = {"xor": 20 if machine.small else 1000, "mlp": 3 if machine.small else 100}
    for model, members in sizes.items():
        overrides = [*(machine.mlp if model == "mlp" else ["model=xor"]), *few(machine, 5)]
        one, _ = machine.train(*overrides)
        many, _ = machine.train(*overrides, f"population={members}")
        first, all_of_them = one["seconds"]["fit"], many["seconds"]["fit"]
        times = f"one {first:.1f} s: {all_of_them / first:.1f} times for {members:,} times as many"
        yield f"population={members} of {model}", f"{all_of_them:.1f} s of training", times


def resnet(machine: Machine) -> Iterator[Row]:
    """The example, as it is: image files, two workers that read and augment them."""
    example = ROOT / "docs" / "examples" / "resnet"
    small = ["trainer.max_epochs=1", "+trainer.limit_train_batches=4"] if machine.small else []
    overrides = [f"--config-dir={example / 'conf'}", "model=resnet", "trainer.precision=bf16-mixed", *small]
    run, seconds = machine.train(*overrides, paths=os.pathsep.join([str(example / "src"), PATHS]))
    scores = ", ".join(f"{name} {value:.4g}" for name, value in run["metrics"].items())
    yield "ResNet-18 on image files, bf16", f"{run['seconds']['fit']:.1f} s of training, {seconds:.1f} s in all", scores


ROWS: dict[str, Callable[[Machine], Iterator[Row]]] = {
    "speed": speed,
    "accuracy": accuracy,
    "bf16": bf16,
    "compile": compiled,
    "exact": exact,
    "population": population,
    "resnet": resnet,
}


def measure(names: list[str], machine: Machine, end: float) -> None:
    print("| what | measured | next to |\n|---|---|---|", flush=True)
    for name in names:
        if time.monotonic() > end:
            print(f"| {name} | not measured: no time left | |", flush=True)
            continue
        try:
            for row in ROWS[name](machine):
                print(f"| {' | '.join(row)} |", flush=True)
        except UserError as error:  # the others are measured all the same
            print(f"| {name} | FAILED: {' '.join(str(error).split())} | |", flush=True)


def check_machine() -> None:
    """Raises:
    UserError: where a package is missing.
    """
    graphics = shutil.which("nvidia-smi")
    listed = subprocess.run([graphics, "-L"], capture_output=True, text=True).stdout if graphics else ""
    print(listed.strip() or "no GPU of NVIDIA's: what there is, is measured", flush=True)
    found = lacking()
    if found:
        raise UserError(
            f"this machine lacks {', '.join(found)}: install them, or name a folder with them in PYTHONPATH"
        )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--small", action="store_true", help="all of it in little")
    args = parser.parse_args(argv)
    end = time.monotonic() + 60 * args.minutes
    with told_in_a_sentence():
        if unknown := [name for name in args.rows if name not in ROWS]:
            raise UserError(f"{unknown[0]}: should be one of {', '.join(ROWS)}")
        check_machine()
        import torch

        from benchmark import with_mnist
        from kindling.process import quiet

        quiet()
        with tempfile.TemporaryDirectory() as folder:
            machine = Machine(Path(folder), args.small)
            if not args.small and with_mnist(machine.folder):
                print("MNIST is missing (KINDLING_DATA): random images take its place, and no accuracy is reached")
            device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
            print(f"{device}, torch {torch.__version__}, Python {sys.version.split()[0]}\n", flush=True)
            measure(args.rows or list(ROWS), machine, end)


if __name__ == "__main__":
    main()
