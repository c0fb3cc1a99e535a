"""What a run leaves besides its record, once that is complete: none of it may cost the run."""

from pathlib import Path

from kindling.process import rank
from kindling.running import figures
from kindling.running.build import Parts
from kindling.running.loggers import hand_over


def leave(run_dir: Path, parts: Parts, draw: bool) -> None:
    """The pictures of the run, where it draws any; then to its loggers all that it leaves."""
    if draw and rank() == 0:
        figures.draw_of_run(run_dir, parts.trainer, parts.model, parts.datamodule)
    hand_over(run_dir, parts)
