"""`summary.json`: what became of a run. Written at the start, true after every exit, replaced as a whole."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

INTERRUPTED = {130: "SIGINT", 143: "SIGTERM"}  # exit codes, as shells count them


class Summary(dict[str, Any]):
    """The record of one run, written to `path` on entry, at each `write()`, and on exit with how it ended.

    Only the process with `write=True` touches the file.
    """

    def __init__(self, path: Path, enabled: bool, **fields: Any) -> None:
        super().__init__(status="running", metrics={}, seconds={}, **fields)
        self.path = path
        self.enabled = enabled

    def write(self) -> None:
        if not self.enabled:
            return
        temporary = self.path.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(self, indent=2, default=str) + "\n")
        os.replace(temporary, self.path)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self["seconds"][phase] = round(time.perf_counter() - start, 3)
            self.write()

    def __enter__(self) -> "Summary":
        self.write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self["status"] = "completed"
        elif isinstance(error, SystemExit) and error.code in INTERRUPTED:
            self["status"] = "interrupted"
            self["error"] = {"type": INTERRUPTED[error.code], "message": f"stopped by {INTERRUPTED[error.code]}"}
        else:
            self["status"] = "failed"
            self["error"] = {"type": type(error).__name__, "message": str(error)}
        self.write()


def environment() -> dict[str, Any]:
    """What the result depends on besides the config."""
    packages = ("torch", "lightning", "hydra-core", "torchmetrics", "torchvision", "numpy")
    return {
        "command": " ".join([Path(sys.executable).name, *sys.argv]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "git": {"revision": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain"))},
    }


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", *args], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
