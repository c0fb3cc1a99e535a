"""Of which run a picture is."""

from dataclasses import dataclass
from pathlib import Path

from kindling.errors import UserError
from kindling.files import read_yaml
from kindling.folders import number, part, read_summary
from kindling.text import printable


@dataclass(frozen=True)
class About:
    """What every picture says below itself.

    Args:
        best: epochs after which the best weights were saved, where that is known.
        in_steps: whether the run was counted in optimizer steps, `trainer.max_epochs=-1`.
        split: of the rows of which the picture is.
    """

    model: str
    data: str
    seed: str = ""
    run: str = ""
    monitor: str = ""
    mode: str = ""
    best: float | None = None
    same_rows: bool = False
    in_steps: bool = False
    split: str = "test"

    @classmethod
    def of(cls, folder: Path) -> "About":
        """The run in that folder, as its summary.json tells."""
        summary = read_summary(folder)
        data, monitor = part(summary, "data"), part(summary, "monitor")
        epoch = number(monitor.get("epoch"))
        return cls(
            model=printable(str(summary.get("model", "?"))),
            data=printable(str(data.get("name", "?"))),
            seed=printable(str(summary.get("seed", ""))),
            run=printable(folder.resolve().name),
            monitor=printable(str(monitor.get("name") or "")),
            mode=str(monitor.get("mode") or ""),
            best=None if epoch is None else epoch + 1,
            same_rows=data.get("same_rows") is True,
            in_steps=counted_in_steps(folder),
        )

    @property
    def caption(self) -> str:
        parts = [f"{self.model} on {self.data}", f"seed {self.seed}" if self.seed else "", self.run]
        if self.same_rows:
            parts.append("the test rows are those of training")
        return ", ".join(filter(None, parts))


def counted_in_steps(folder: Path) -> bool:
    """As its config.yaml says; where that cannot be read, in epochs."""
    try:
        config = read_yaml(folder / "config.yaml")
    except (OSError, UserError):
        return False
    trainer = config.get("trainer") if isinstance(config, dict) else None
    return isinstance(trainer, dict) and trainer.get("max_epochs") == -1
