"""The folder of a job: how far the job came, what is gone of it, and what there is to tell the study."""

import json
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from kindling.folders import number, part, read_summary, write_whole
from kindling.locks import is_locked

BEST = "checkpoints/best.ckpt"


def is_unfinished(run_dir: Path) -> bool:
    """Whether the folder holds a run that stopped before its end."""
    return read_summary(run_dir)["status"] in ("running", "interrupted", "failed")


def left_behind(run_dir: Path) -> str | None:
    """The status of a job that another process began, once nothing trains in its folder any more."""
    if not (run_dir / "summary.json").exists():
        return None
    if is_locked(run_dir / ".lock"):
        print(f"waiting for {run_dir}, where a process still trains", flush=True)
        with FileLock(run_dir / ".lock"):
            pass
    return str(read_summary(run_dir)["status"])


def lacking(run_dir: Path, checkpoint: str | None = None) -> str | None:
    """What is gone of a job that ended well, where something is; the `checkpoint` is that of its best."""
    if not (run_dir / "summary.json").exists():
        return "summary.json"
    if read_summary(run_dir)["status"] == "unreadable":
        return "summary.json that can be read"
    return checkpoint if checkpoint and not (run_dir / checkpoint).exists() else None


def clear(run_dir: Path) -> None:
    """Have the job begin anew there."""
    (run_dir / "summary.json").unlink(missing_ok=True)
    if (run_dir / "checkpoints").exists():
        shutil.rmtree(run_dir / "checkpoints")


def record_failure(run_dir: Path, kind: str, message: str) -> None:
    """In the summary of a job that could not do so itself."""
    summary = {**read_summary(run_dir), "status": "failed", "error": {"type": kind, "message": message}}
    write_whole(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")


def facts(run_dir: Path) -> dict[str, Any]:
    """For the study, whose readers may not have the folder: scores of the test, the best epoch, the error."""
    summary = read_summary(run_dir)
    metrics = {str(name): number(value) for name, value in part(summary, "metrics").items()}
    found: dict[str, Any] = {name: value for name, value in metrics.items() if value is not None}
    epoch = number(part(summary, "monitor").get("epoch"))
    if epoch is not None:
        found["best_epoch"] = epoch
    if (run_dir / BEST).exists():
        found["checkpoint"] = BEST
    error = part(summary, "error")
    if error and summary["status"] not in ("completed", "pruned"):
        found["error"] = f"{error.get('type')}: {error.get('message')}"
    return found
