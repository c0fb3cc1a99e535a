"""Modules that do what Lightning allows, in this process: stopped by an error and gone on with, they end the same."""

import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, open_dict
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import BinaryAccuracy

from kindling import Run, compose, train
from kindling.errors import UserError

Batch = tuple[Tensor, Tensor]


class Stop(L.Callback):
    """Ends the run by an error in the batch that the environment variable STOP_AT names."""

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.global_step == int(os.environ.get("STOP_AT", -1)):
            raise RuntimeError("stopped")


class Rows(L.LightningDataModule):
    num_rows = 80

    def setup(self, stage: str) -> None:
        x = torch.randn(self.num_rows, 4)
        self.rows = TensorDataset(x, (x.sum(dim=1) > 0).float())

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=8, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=40)


class Plain(L.LightningModule):
    """Its attributes have names that Kindling's own models use for methods."""

    def __init__(self) -> None:
        super().__init__()
        self.predictor = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))
        self.scores: list[float] = []
        self.num_samples = 16

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(self.predictor(batch[0])[:, 0], batch[1])
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val_loss", F.binary_cross_entropy_with_logits(self.predictor(batch[0])[:, 0], batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.05)


class OwnHooks(Plain):
    """Keeps an average by itself, after each batch and after each validation."""

    def __init__(self) -> None:
        super().__init__()
        self.average = nn.Linear(4, 8).requires_grad_(False)
        self.register_buffer("validations", torch.zeros(1))

    def on_train_batch_end(self, *args: Any) -> None:
        self.average.weight.lerp_(self.predictor[0].weight.detach(), 0.1)

    def on_validation_end(self) -> None:
        self.validations += 1


class LoggedMetric(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.train_acc, self.val_acc = BinaryAccuracy(), BinaryAccuracy()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.train_acc(self.predictor(batch[0])[:, 0].sigmoid(), batch[1])
        self.log("train_acc", self.train_acc, on_step=False, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.val_acc(self.predictor(batch[0])[:, 0].sigmoid(), batch[1])
        self.log("val_acc", self.val_acc)
        super().validation_step(batch, batch_idx)


class Plateau(Plain):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=0, factor=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


class ByHand(Plain):
    """Steps every third batch."""

    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.manual_backward(super().training_step(batch, batch_idx))
        if batch_idx % 3 == 2:
            self.optimizers().step()
            self.optimizers().zero_grad()


class NotFinite(Plain):
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * (float("nan") if batch_idx == 3 else 1)


class NotFiniteScore(Plain):
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val_loss", torch.tensor(float("inf")))


class ArgumentCalledOptimizer(Plain):
    def __init__(self, optimizer: str = "adam", batch_size: int = 7) -> None:
        super().__init__()
        assert (optimizer, batch_size) == ("adam", 7)


class OddNames(Plain):
    """Of scores, which would be other columns, other rows, or a formula."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        for name in ("f1, macro", 'the "best"', "two\nlines", "=1+1"):
            self.log(name, float(len(name)))


class PutsAnObjectIntoCheckpoints(Plain):
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = {"where": Path("here")}


def config(folder: Path, model: type, *overrides: str, **trainer: Any) -> DictConfig:
    cfg = compose(["trainer=cpu", "trainer.max_epochs=3", "monitor=val_loss", f"run_dir={folder}", *overrides])
    with open_dict(cfg):
        cfg.loss = cfg.optimizer = cfg.scheduler = None
        cfg.data = {"_target_": f"{__name__}.Rows"}
        cfg.model = {"_target_": f"{__name__}.{model.__name__}"}
        cfg.callbacks.stop = {"_target_": f"{__name__}.Stop"}
        cfg.callbacks.last.every_n_steps = 1
        cfg.allowed_packages = [__name__]
        cfg.trainer.update(trainer)
    return cfg


def gone_on(cfg: DictConfig, **changes: Any) -> Run:
    cfg = cfg.copy()
    cfg.resume = cfg.run_dir
    with open_dict(cfg):
        cfg.trainer.update(changes)
    return train(cfg)


def assert_same(one: Run, other: Run, *, rows: bool = True) -> None:
    for name in ("best", "last"):
        weights, others = (
            torch.load(run.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
            for run in (one, other)
        )
        assert all(torch.equal(weights[key], others[key]) for key in weights), name
    assert one.score == other.score
    if rows:
        assert (one.folder / "metrics.csv").read_text() == (other.folder / "metrics.csv").read_text()


@pytest.mark.parametrize("step", [13, 20])
@pytest.mark.parametrize("model", [OwnHooks, LoggedMetric, Plateau, OddNames])
def test_a_run_that_stopped_ends_as_one_that_did_not(
    model: type, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the second epoch, or at the start of the third."""
    peace = train(config(tmp_path / "peace", model))
    cfg = config(tmp_path / "stopped", model)
    monkeypatch.setenv("STOP_AT", str(step))
    with pytest.raises(RuntimeError, match="stopped"):
        train(cfg)
    monkeypatch.delenv("STOP_AT")
    assert_same(peace, gone_on(cfg))


def test_gradients_that_are_added_up_by_hand_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peace = train(config(tmp_path / "peace", ByHand))
    cfg = config(tmp_path / "stopped", ByHand)
    monkeypatch.setenv("STOP_AT", "5")
    with pytest.raises(RuntimeError, match="stopped"):
        train(cfg)
    monkeypatch.delenv("STOP_AT")
    assert_same(peace, gone_on(cfg))


def test_max_steps_made_longer_goes_on_within_the_epoch(tmp_path: Path) -> None:
    peace = train(config(tmp_path / "peace", Plain, max_steps=25, max_epochs=-1))
    cfg = config(tmp_path / "short", Plain, max_steps=14, max_epochs=-1)
    train(cfg)
    longer = gone_on(cfg, max_steps=25)
    assert longer.summary["steps"] == 25
    assert_same(peace, longer, rows=False)  # the shorter one has a row for its end


def test_validation_within_epochs_has_rows_of_its_own(tmp_path: Path) -> None:
    table = train(config(tmp_path / "run", LoggedMetric, max_epochs=2, val_check_interval=0.5)).metrics
    assert table[["epoch", "step"]].to_numpy().tolist() == [[0, 5], [0, 10], [1, 15], [1, 20]]
    assert table["train_acc"].notna().tolist() == [False, True, False, True]
    assert table["val_acc"].notna().all()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (NotFinite, "the training loss became nan in epoch 0 at step 3;"),
        (NotFiniteScore, "val_loss became inf in epoch 0 at step 10"),
        (PutsAnObjectIntoCheckpoints, "the checkpoint could not be read again: mine.where in it is a PosixPath;"),
    ],
)
def test_what_cannot_go_on_ends_in_a_sentence(model: type, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        train(config(tmp_path / "run", model))
    assert str(error.value).startswith(sentence)


def test_a_score_may_be_called_anything(tmp_path: Path) -> None:
    run = train(config(tmp_path / "run", OddNames, max_epochs=2))
    assert len(run.metrics) == 2
    odd = {"f1, macro": 9, 'the "best"': 10, r"two\nlines": 9, "'=1+1": 4}
    assert run.metrics[[*odd]].to_numpy().tolist() == [list(odd.values())] * 2
    assert run.metrics["val_loss"].notna().all()


def test_an_argument_called_optimizer_is_the_models_own(tmp_path: Path) -> None:
    assert train(config(tmp_path / "run", ArgumentCalledOptimizer, max_epochs=1)).summary["status"] == "completed"


def test_any_score_can_be_the_monitor_also_one_of_training(tmp_path: Path) -> None:
    run = train(config(tmp_path / "run", Plain, "monitor=train_loss", max_epochs=2))
    assert run.score == pytest.approx(run.metrics["train_loss"].min())
    nothing = train(config(tmp_path / "none", Plain, "monitor=null", max_epochs=1))
    assert nothing.score != nothing.score
    assert (nothing.folder / "checkpoints" / "best.ckpt").exists()


def test_runs_of_others_are_listed_and_ranked(tmp_path: Path) -> None:
    train(config(tmp_path / "runs" / "a", Plain, "monitor=null", max_epochs=1))
    train(config(tmp_path / "runs" / "b", Plain, max_epochs=1))
    table = Run.list(tmp_path / "runs")
    assert "val_loss" in table.columns
    assert len(table) == 2
