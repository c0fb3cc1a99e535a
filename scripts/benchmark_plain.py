"""What does a plain LightningModule cost under Kindling, next to the same one under a bare Trainer?

python scripts/benchmark_plain.py [--repeats 5] [--epochs 4]

A 784-256-10 net on random rows behind an ordinary DataLoader, trained in turn by `lightning.Trainer` as it comes, and
as a run of Kindling's with its record and two checkpoints an epoch. The first epoch of each turn is not counted.
"""

import argparse
import statistics
import tempfile
import warnings

import lightning as L
import torch
import torch.nn.functional as F
from omegaconf import open_dict
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmark import EpochTimes
from kindling import compose
from kindling.config.asked import take_asked
from kindling.data.mnist import no_output
from kindling.errors import told_in_a_sentence
from kindling.process import quiet
from kindling.running.build import build


class Rows(L.LightningDataModule):
    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(20_000, 784, generator=generator)
        self.rows = TensorDataset(x, torch.randint(10, (20_000,), generator=generator))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=128, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.utils.data.Subset(self.rows, range(2_000)), batch_size=500)


class Net(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.net(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


def bare(epochs: int, folder: str) -> list[float]:
    times = EpochTimes()
    trainer = L.Trainer(max_epochs=epochs, devices=1, default_root_dir=folder, callbacks=[times])
    trainer.fit(Net(), datamodule=Rows())
    return times.seconds()


def under_kindling(epochs: int, folder: str) -> list[float]:
    cfg = compose([f"run_dir={folder}", f"trainer.max_epochs={epochs}", "monitor=val_loss", "loss=none"])
    with open_dict(cfg):
        cfg.optimizer = cfg.scheduler = None
        cfg.data, cfg.model = {"_target_": f"{__name__}.Rows"}, {"_target_": f"{__name__}.Net"}
    take_asked(cfg)
    parts, times = build(cfg), EpochTimes()
    parts.trainer.callbacks.append(times)
    parts.trainer.fit(parts.model, datamodule=parts.datamodule)
    return times.seconds()


@told_in_a_sentence()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    ways = {"a bare Trainer": bare, "Kindling": under_kindling}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.repeats):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder, no_output():
                seconds[name] += way(args.epochs, folder)
    print("| under | epoch (s) | spread (s) | times a bare Trainer |\n|---|---|---|---|")
    reference = statistics.median(seconds["a bare Trainer"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.3f} | {min(values):.3f} to {max(values):.3f} | {median / reference:.2f} |")


if __name__ == "__main__":
    main()
