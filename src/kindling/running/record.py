"""The course of a run: `metrics.csv`, whatever loggers there are besides."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities.model_helpers import is_overridden

from kindling import abilities
from kindling import lightning_internals as internals
from kindling.errors import UserError, did_you_mean
from kindling.folders import follow_no_link, write_whole
from kindling.running.callbacks import Late


class Record(Late):
    """A row when an epoch ends, and when a validation within one does: `epoch`, `step` (optimizer steps done) and what
    was logged since the one before.

    It comes before all checkpoints, so that none knows of a row that is not in the file; a run that goes on drops the
    rows that its checkpoint does not know.
    """

    def __init__(self, run_dir: Path, monitor: str | None) -> None:
        self.path = run_dir / "metrics.csv"
        self.monitor = monitor
        self.num_rows = 0
        self.last: dict[str, Any] = {}
        self.pending: dict[str, float] = {}  # of the validation that comes with the end of the epoch
        self.seen: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        return {"num_rows": self.num_rows, "last": self.last, "pending": self.pending, "seen": sorted(self.seen)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_rows, self.last = state_dict["num_rows"], dict(state_dict["last"])
        self.pending, self.seen = dict(state_dict["pending"]), set(state_dict["seen"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._writes(trainer):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._writes(trainer) and self.path.exists():
            self._write(self._rows()[: self.num_rows])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self.pending = self._checked(trainer, pl_module, internals.fresh(trainer), validated=True)
        if not trainer.is_last_batch:
            self._add(trainer, {})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validates = trainer.enable_validation and is_overridden("validation_step", pl_module)
        self._add(trainer, self._checked(trainer, pl_module, internals.fresh(trainer), validated=not validates))

    def _checked(
        self, trainer: L.Trainer, pl_module: L.LightningModule, values: dict[str, float], validated: bool
    ) -> dict[str, float]:
        """Raises:
        UserError: where one is not finite, or where none is the monitor once all have been seen.
        """
        self.seen |= values.keys() | internals.latest(trainer).keys()
        wrong = abilities.ends_on_nan(pl_module) and not all(map(math.isfinite, values.values()))
        wrong = internals.any_process(trainer, wrong)
        for name, value in values.items():
            if wrong and not math.isfinite(value):
                raise UserError(f"{name} became {value} in epoch {trainer.current_epoch} at step {trainer.global_step}")
        if self.monitor and validated and self.monitor not in self.seen and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            logged = f"only {', '.join(sorted(self.seen))}" if self.seen else "and nothing else"
            raise UserError(
                f"monitor={self.monitor}: is not logged, {logged}{did_you_mean(self.monitor, self.seen)} "
                "(monitor=null takes the last checkpoint for the best)"
            )
        return values

    def _add(self, trainer: L.Trainer, values: dict[str, float]) -> None:
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step, **self.pending, **values}
        self.pending = {}
        again = all(self.last.get(key) == row[key] for key in ("epoch", "step"))
        self.num_rows += not again
        self.last = {**self.last, **row} if again else row
        if not self._writes(trainer):
            return
        exists = self.path.exists()
        if again or not exists or not set(self._columns()).issuperset(row):
            rows = self._rows() if exists else []
            self._write([*rows[: self.num_rows - 1], self.last])
            return
        with open(self.path, "a", newline="", opener=follow_no_link) as file:
            file.write(self._lines([row], self._columns()))

    def _writes(self, trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]

    def _columns(self) -> list[str]:
        with self.path.open(newline="") as file:
            return next(csv.reader(file))

    def _rows(self) -> list[dict[str, Any]]:
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """All of them; a score that comes up later gets a column of its own, empty in the rows before."""
        columns = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch", "step"]
        write_whole(self.path, ",".join(columns) + "\n" + self._lines(rows, columns))

    def _lines(self, rows: list[dict[str, Any]], columns: list[str]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
        return text.getvalue()
