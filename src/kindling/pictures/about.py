"""Of which run a picture is."""

from dataclasses import dataclass
from pathlib import Path

from kindling.folders import number, part, read_summary
from kindling.text import printable


@dataclass(frozen=True)
class About:
    """What every picture says below itself.

    Args:
        best: epochs after which the best weights were saved, where that is known.
    """

    model: str
    data: str
    seed: str = ""
    run: str = ""
    monitor: str = ""
    mode: str = ""
    best: float | None = None
    same_rows: bool = False

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
        )

    @property
    def caption(self) -> str:
        parts = [f"{self.model} on {self.data}", f"seed {self.seed}" if self.seed else "", self.run]
        if self.same_rows:
            parts.append("the test rows are those of training")
        return ", ".join(filter(None, parts))
