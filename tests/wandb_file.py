"""What an offline run of W&B holds, read back from its .wandb file."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Held:
    """Args:
    run: id, name, group, job type, tags and project.
    history: a row each, without W&B's own columns but `_step`.
    artifacts: by name, the aliases and the paths in the manifest.
    """

    run: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, tuple[list[str], dict[str, str]]] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def course(self) -> list[dict[str, Any]]:
        """The rows that are of epochs."""
        return [{key: row[key] for key in row if key[0] != "_"} for row in self.history if "epoch" in row]


def read(path: Path) -> Held:
    """W&B's own process writes the last of it after the run has been closed."""
    end = time.monotonic() + 10
    held, before = parse(path), -1
    while (held.exit_code is None or path.stat().st_size != before) and time.monotonic() < end:
        before = path.stat().st_size
        time.sleep(0.3)
        held = parse(path)
    return held


def parse(path: Path) -> Held:
    from wandb.proto.wandb_internal_pb2 import Record

    held = Held()
    for record in map(Record.FromString, records(path)):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            named = {"id": run.run_id, "name": run.display_name, "group": run.run_group, "job_type": run.job_type}
            held.run = {**named, "project": run.project, "tags": list(run.tags), "git": run.git.commit}
            put(held.config, run.config.update)
        elif kind == "config":
            put(held.config, record.config.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            put(row, record.history.item)
            own = ("_timestamp", "_runtime")
            held.history.append({key: value for key, value in row.items() if key not in own})
        elif kind == "summary":
            put(held.summary, record.summary.update)
        elif kind == "artifact":
            entries = {entry.path: entry.local_path for entry in record.artifact.manifest.contents}
            held.artifacts[record.artifact.name] = (list(record.artifact.aliases), entries)
        elif kind == "metric":
            held.axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            held.exit_code = record.exit.exit_code
    return held


def put(into: dict[str, Any], items: Any) -> None:
    for item in items:
        into[".".join(item.nested_key) or item.key] = json.loads(item.value_json)


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: a header of 7 bytes, then LevelDB's log format in blocks of 32 KiB.

    Format: https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    content, position, parts = path.read_bytes(), 7, []
    while position + 7 <= len(content):
        if 2**15 - position % 2**15 < 7:
            position += 2**15 - position % 2**15
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        if position + 7 + length > len(content):  # it is being written; `read` comes again
            return
        parts.append(content[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield b"".join(parts)
            parts = []
