"""The course of a run: `metrics.csv`, whatever loggers there are besides."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import lightning as L

from kindling import abilities
from kindling import lightning_internals as internals
from kindling.containment import follow_no_link
from kindling.errors import UserError
from kindling.folders import read_course, write_whole
from kindling.locks import check_still_held
from kindling.running.callbacks import Late
from kindling.running.loggers.weights import weights_of
from kindling.text import no_formula, printable


class Record(Late):
    """A row when an epoch ends, and when a validation within one does: `epoch`, `step` (optimizer steps done) and what
    was logged since the one before.

    The loggers are handed each row too; of those that are dropped they have the first, and get no second one.

    It comes before all checkpoints, so that none knows of a row that is not in the file; a run that goes on drops the
    rows that its checkpoint does not know.
    """

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "metrics.csv"
        self.num_rows = 0
        self.last: dict[str, Any] = {}
        self.pending: dict[str, float] = {}  # of the validation that comes with the end of the epoch
        self.handed = (-1, -1)  # epoch and step of the last row that loggers have
        self.places: dict[str, tuple[int, int]] = {}  # epoch and step at which each score was measured last

    def state_dict(self) -> dict[str, Any]:
        return {"num_rows": self.num_rows, "last": self.last, "pending": self.pending, "places": self.places}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_rows, self.last = state_dict["num_rows"], dict(state_dict["last"])
        self.pending, self.places = dict(state_dict["pending"]), dict(state_dict.get("places", {}))

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._writes(trainer):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._writes(trainer) and self.path.exists():
            rows = self._rows()
            self.handed = max([(int(row["epoch"]), int(row["step"])) for row in rows], default=self.handed)
            self._write(rows[: self.num_rows])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self.pending = self._measured(trainer, pl_module)
        if trainer.state.fn != "fit" or not trainer.is_last_batch:  # the former: once more, after training
            self._add(trainer, {})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add(trainer, self._measured(trainer, pl_module))

    def _measured(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        """Raises:
        UserError: where a score is not finite.
        """
        values = internals.fresh(trainer)
        wrong = abilities.ends_on_nan(pl_module) and not all(map(math.isfinite, values.values()))
        wrong = internals.any_process(trainer, wrong)
        for name, value in values.items():
            if wrong and not math.isfinite(value):
                raise UserError(f"{name} became {value} in epoch {trainer.current_epoch} at step {trainer.global_step}")
        return values

    def _add(self, trainer: L.Trainer, values: dict[str, float]) -> None:
        row = {"epoch": self._epoch(trainer), "step": trainer.global_step, **self.pending, **values}
        self.pending = {}
        self.places |= dict.fromkeys(row.keys() - {"epoch", "step"}, (int(row["epoch"]), int(row["step"])))
        again = all(self.last.get(key) == row[key] for key in ("epoch", "step"))
        self.num_rows += not again
        self.last = {**self.last, **row} if again else row
        if not self._writes(trainer):
            return
        self._record(row, again)
        self._hand_over(trainer, row)

    def _hand_over(self, trainer: L.Trainer, row: dict[str, Any]) -> None:
        place = (int(row["epoch"]), int(row["step"]))
        if place <= self.handed and trainer.state.fn == "fit":
            return
        scores = {name: value for name, value in row.items() if name != "step"}
        for logger in trainer.loggers:
            logger.log_metrics(scores, step=place[1])
            if abilities.offers(logger, "log_weights"):
                logger.log_weights(weights_of(trainer.lightning_module, trainer.callbacks), place[1])  # type: ignore[attr-defined]
            logger.save()

    def _record(self, row: dict[str, Any], again: bool) -> None:
        check_still_held()
        row, last, exists = named(row), named(self.last), self.path.exists()
        if again or not exists or not set(self._columns()).issuperset(row):
            rows = self._rows() if exists else []
            self._write([*rows[: self.num_rows - 1], last])
            return
        with open(self.path, "a", encoding="utf-8", newline="", opener=follow_no_link) as file:
            file.write(self._lines([row], self._columns()))

    def _epoch(self, trainer: L.Trainer) -> int:
        """After training, that of the last row, whose weights are measured: unless they have changed since."""
        ended = trainer.state.fn != "fit" and self.last.get("step") == trainer.global_step
        same = ended and not self.pending.keys() & self.last.keys()
        return int(self.last["epoch"]) if same else trainer.current_epoch

    def _writes(self, trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and not trainer.fast_dev_run  # type: ignore[attr-defined]

    def _columns(self) -> list[str]:
        with self.path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])

    def _rows(self) -> list[dict[str, Any]]:
        return list(csv.DictReader(io.StringIO(read_course(self.path.parent))))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """All of them; a score that comes up later gets a column of its own, empty in the rows before."""
        columns = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch", "step"]
        write_whole(self.path, self._lines([{name: name for name in columns}, *rows], columns))

    def _lines(self, rows: list[dict[str, Any]], columns: list[str]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
        return text.getvalue()


def named(row: dict[str, Any]) -> dict[str, Any]:
    """As columns: a score may be called anything."""
    return {no_formula(printable(name)): value for name, value in row.items()}
