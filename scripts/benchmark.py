"""How fast is Kindling, next to a hand-written loop and to the pipeline of the usual templates?

python scripts/benchmark.py [training] [processes] [--repeats 5] [--tasks mnist xor linear] [--batch-sizes 32 128 1024]
                            [--json FILE]

training    each in turn, for a few epochs each time, in one process: what slows the machine down slows all three down;
            an epoch is a pass over the training rows and one over the validation rows, the first of each turn is not
            counted
processes   seconds and memory of whole commands

MNIST is read from KINDLING_DATA (or data/), random images of its size take its place where it is missing.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torchmetrics
import torchvision
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from kindling import compose
from kindling.config.asked import take_asked
from kindling.data.mnist import MNIST
from kindling.data.splits import Split
from kindling.errors import told_in_a_sentence
from kindling.process import quiet
from kindling.running.build import build

ROOT = Path(__file__).parent.parent
TASKS = {
    "mnist": ["model=mlp", "data=mnist", "data.source=full"],
    "xor": ["model=xor", "data.num_repeats=2000", "data.batch_size=4"],
    "linear": ["model=linear_regression", "data.num_samples=12500", "data.num_repeats=1", "scheduler=one_cycle"],
}


class EpochTimes(L.Callback):
    """The seconds of every epoch of a fit but the first."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        synchronize()
        self.starts.append(time.perf_counter())

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)

    def seconds(self) -> list[float]:
        return np.diff(self.starts)[1:].tolist()


class FirstStep(L.Callback):
    """Ends the process after the first training step."""

    def on_train_batch_end(self, *args: object) -> None:
        os._exit(0)


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def config(task: str, batch_size: int, epochs: int, folder: str) -> DictConfig:
    size = [] if task == "xor" else [f"data.batch_size={batch_size}"]
    cfg = compose([*TASKS[task], *size, f"trainer.max_epochs={epochs}", f"run_dir={folder}"])
    take_asked(cfg)
    return cfg


def kindling(cfg: DictConfig) -> list[float]:
    """As a user runs it: metrics, metrics.csv, checkpoints, progress."""
    parts = build(cfg)
    times = EpochTimes()
    parts.trainer.callbacks.append(times)
    with contextlib.redirect_stdout(io.StringIO()):
        parts.trainer.fit(parts.model, datamodule=parts.datamodule)
    return times.seconds()


def hand_written(cfg: DictConfig) -> list[float]:
    """The reference: tensors in memory, a fused optimizer, nothing but the training and a loss and score at the end."""
    parts = build(cfg)
    model, datamodule, device = parts.model, parts.datamodule, parts.trainer.strategy.root_device
    train, val = (standardised(datamodule.splits[name], device) for name in ("train", "val"))
    net, loss_of, task = model.net.to(device), model.loss, model.task.to(device)
    batch_size = cfg.data.batch_size or len(train[0])
    batches = -(-len(train[0]) * cfg.data.get("num_repeats", 1) // batch_size)
    keywords = dict(model.make_optimizer.keywords)
    optimizer = model.make_optimizer.func(net.parameters(), **keywords, fused=True)
    scheduler = None
    if cfg.scheduler._target_.endswith("OneCycleLR"):
        scheduler = model.make_scheduler(optimizer, total_steps=batches * cfg.trainer.max_epochs)
    starts = []
    for _ in range(cfg.trainer.max_epochs):
        synchronize()
        starts.append(time.perf_counter())
        net.train()
        for _ in range(cfg.data.get("num_repeats", 1)):
            for rows in torch.randperm(len(train[0])).to(device).split(batch_size):
                x, y = (tensor.index_select(0, rows) for tensor in train)
                loss = loss_of(net(x), task.target(y))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if scheduler:
                    scheduler.step()
        net.eval()
        with torch.no_grad():
            output = torch.cat([net(x) for x in val[0].split(4 * batch_size)])
            loss_of(output, task.target(val[1])).item()
    synchronize()
    starts.append(time.perf_counter())
    return np.diff(starts)[1:].tolist()


def standardised(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    x, y = split[torch.arange(len(split))]
    return x.to(device), y.to(device)


class StockModule(L.LightningModule):
    """As in the usual templates: metric objects, logged at every step."""

    def __init__(self, net: nn.Module, loss: nn.Module, task: nn.Module, optimizer: Callable, lr: float) -> None:
        super().__init__()
        self.net, self.loss, self.task, self.optimizer, self.lr = net, loss, task, optimizer, lr
        score = task.metrics().get("acc") or torchmetrics.MeanAbsoluteError()
        self.train_score, self.val_score = score.clone(), score.clone()
        self.train_loss, self.val_loss = torchmetrics.MeanMetric(), torchmetrics.MeanMetric()

    def shared_step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        x, y = batch
        output = self.net(x)
        loss = self.loss(output, self.task.target(y))
        loss_metric, score = getattr(self, f"{stage}_loss"), getattr(self, f"{stage}_score")
        loss_metric(loss)
        score(self.task.prediction(output), y)
        self.log(f"{stage}/loss", loss_metric, on_step=False, on_epoch=True, prog_bar=True)
        self.log(f"{stage}/score", score, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.shared_step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.shared_step(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.net.parameters(), lr=self.lr)


def stock(cfg: DictConfig) -> list[float]:
    """A torchvision data set with per-sample transforms (or a TensorDataset) behind a DataLoader."""
    parts = build(cfg)
    model, splits = parts.model, parts.datamodule.splits
    train, val = (
        stock_dataset(splits[name], cfg.data.get("num_repeats", 1) * (name == "train")) for name in ("train", "val")
    )
    module = StockModule(model.net, model.loss, model.task, model.make_optimizer.func, cfg.optimizer.lr)
    times = EpochTimes()
    checkpoint = L.pytorch.callbacks.ModelCheckpoint(cfg.run_dir, monitor="val/loss")
    trainer = L.Trainer(
        max_epochs=cfg.trainer.max_epochs,
        devices=1,
        logger=L.pytorch.loggers.CSVLogger(cfg.run_dir),
        callbacks=[times, checkpoint],
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    loaders = [DataLoader(data, cfg.data.batch_size, shuffle=data is train) for data in (train, val)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        trainer.fit(module, *loaders)
    return times.seconds()


def stock_dataset(split: Split, num_repeats: int) -> Dataset:
    if split.mean is None:
        repeats = max(num_repeats, 1)
        return TensorDataset(split.x.repeat(repeats, 1), split.y.repeat(repeats, *[1] * (split.y.ndim - 1)))
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((split.mean / 255,), (split.std / 255,))]
    )
    data = torchvision.datasets.MNIST.__new__(torchvision.datasets.MNIST)
    data.data, data.targets, data.transform, data.target_transform = split.x[:, 0], split.y, transform, None
    return data


def random_mnist(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)),
            ("labels-idx1", np.arange(count, dtype=np.uint8) % 10),
        ):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return folder


def with_mnist(folder: Path) -> bool:
    """Whether random images had to take its place, in that folder."""
    missing = MNIST(data_dir=os.environ.get("KINDLING_DATA", "data")).raw_dir() is None
    if missing:
        os.environ["KINDLING_DATA"] = str(random_mnist(folder))
    return missing


def training(tasks: list[str], batch_sizes: list[int], repeats: int) -> Iterator[dict]:
    pipelines = {"hand-written": hand_written, "kindling": kindling, "stock": stock}
    for task in tasks:
        for batch_size in batch_sizes if task != "xor" else [4]:
            seconds: dict[str, list[float]] = {name: [] for name in pipelines}
            for _ in range(repeats):
                for name, pipeline in pipelines.items():
                    epochs = 2 if name == "stock" and task == "mnist" else 3
                    with tempfile.TemporaryDirectory() as folder:
                        seconds[name] += pipeline(config(task, batch_size, epochs, folder))
            rows = {"mnist": 55_000, "xor": 8_000, "linear": 10_000}[task]
            for name, values in seconds.items():
                ratios = statistics.median(values) / statistics.median(seconds["hand-written"])
                yield {
                    "task": task,
                    "batch size": batch_size,
                    "pipeline": name,
                    "epoch (s)": round(statistics.median(values), 3),
                    "spread (s)": f"{min(values):.3f} to {max(values):.3f}",
                    "rows / s": round(rows / statistics.median(values)),
                    "times hand-written": round(ratios, 2),
                }


def processes(repeats: int) -> Iterator[dict]:
    """Whole commands, in turn: seconds, and memory at its peak."""
    train, folder = [sys.executable, "train.py"], "hydra.run.dir=FOLDER"
    first = "+callbacks.first={_target_:benchmark.FirstStep}"
    commands = {
        "import torch, lightning": [sys.executable, "-c", "import torch, lightning"],
        "--help": [*train, "--help"],
        "--cfg job": [*train, "--cfg", "job"],
        "unknown option": [*train, "model=mpl"],
        "misspelt key": [*train, "optimizer.lrr=1"],
        "wrong type": [*train, "optimizer.lr=abc"],
        "first training step": [*train, "model=xor", first, folder],
        "model=mlp, 2 epochs": [*train, "trainer.max_epochs=2", folder],
        "model=xor": [*train, "model=xor", folder],
        "model=xor population=1000": [*train, "model=xor", "population=1000", folder],
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as path:
                measured[name].append(run([word.replace("FOLDER", path) for word in command]))
    for name, values in measured.items():
        seconds, megabytes = zip(*values, strict=True)
        yield {
            "command": name,
            "median (s)": round(statistics.median(seconds), 2),
            "spread (s)": f"{min(seconds):.2f} to {max(seconds):.2f}",
            "peak (MB)": round(statistics.median(megabytes)),
        }


# By way of a small process: a child starts with the peak of its parent, and this one has imported torch.
LAUNCHER = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and megabytes at the peak."""
    paths = [str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    launched = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launched, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def table(rows: list[dict]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(map(str, row.values())) + " |" for row in rows])


@told_in_a_sentence()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="training|processes", help="default: both")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--batch-sizes", nargs="*", type=int, default=[32, 128, 1024])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts = args.parts or ["processes", "training"]
    if not {"processes", "training"}.issuperset(parts):
        parser.error(f"{' '.join(parts)}: the parts are training and processes")
    quiet()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, lightning {L.__version__}, {device}\n", flush=True)
    measured: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with_mnist(Path(folder))
        if "processes" in parts:
            measured["processes"] = list(processes(args.repeats))
            print(table(measured["processes"]), "\n", flush=True)
        if "training" in parts:
            measured["training"] = list(training(args.tasks, args.batch_sizes, args.repeats))
            print(table(measured["training"]))
    if args.json:
        args.json.write_text(json.dumps({"device": device, **measured}, indent=2))


if __name__ == "__main__":
    main()
