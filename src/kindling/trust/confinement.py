"""A config out of a checkpoint or a folder, which may lead into no other folder than the one that the user named."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kindling.errors import UserError, shown

# Arguments that name a folder which a part of a run writes to.
WRITTEN = {"run_dir", "dirpath", "save_dir", "default_root_dir", "root_dir", "log_dir", "dir"}
WRITERS = {"trainer", "logger", "callbacks"}  # sections
# What these name is only read; but data_dir, where what is missing is downloaded to.
READ = {"data", "augmentation", "init_from"}
NAMELESS = "what an argument without a name is for cannot be told; name it"


def confined(config: dict[str, Any], run_dir: Path, data_dir: Path) -> dict[str, Any]:
    """`config` as if its run had been made in `run_dir`: whoever builds it writes only there, and reads `data_dir`.

    Paths in the folder that the config calls its run's move to `run_dir`, and the config has no say in where this
    machine keeps its data. Then every folder to write to must lie in `run_dir`, links followed. No other value may be
    an absolute path, an address, or a way up such as the file name `../../x`; those of `data` may, which are only read.

    Raises:
        UserError: with the key whose value leads out of the folder.
    """
    old = str(config.get("run_dir")).rstrip("/")
    if isinstance(config.get("trainer"), dict):  # Lightning's own default is wherever the process runs
        folder = config["trainer"].get("default_root_dir") or str(run_dir.resolve())
        config = {**config, "trainer": {**config["trainer"], "default_root_dir": folder}}
    return {key: _moved([str(key)], child, old, run_dir.resolve(), str(data_dir)) for key, child in config.items()}


def _moved(keys: Sequence[str], node: Any, old: str, run_dir: Path, data_dir: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved([*keys, str(key)], child, old, run_dir, data_dir) for key, child in node.items()}
    if isinstance(node, list):
        return [_moved(keys, child, old, run_dir, data_dir) for child in node]
    if nameless(keys, node):
        raise UserError(f"{shown('.'.join(keys))}: {NAMELESS}")
    if keys[0] in READ:
        return data_dir if keys[-1] == "data_dir" else node
    if not isinstance(node, str):
        return node
    moved = f"{run_dir}{node[len(old) :]}" if f"{node}/".startswith(f"{old}/") else node
    if leads_out(keys[-1], moved, run_dir):
        key = shown(".".join(keys))
        raise UserError(f"{key}={shown(node)}: leads out of the run folder {run_dir}; set it on the command line")
    return moved


def nameless(keys: Sequence[str], node: Any) -> bool:
    return "_args_" in keys and (keys[0] in WRITERS or (keys[0] in READ and isinstance(node, str)))


def leads_out(name: str, value: str, run_dir: Path) -> bool:
    """Whether the value of an argument is a path out of the folder, which has been resolved, or an address."""
    if any(part in value for part in ("://", "::", "\0")) or ".." in Path(value).parts or value[:1] == "~":
        return True
    unclear = name in WRITTEN and not Path(value).is_absolute()  # relative to wherever the process runs
    return unclear or not (run_dir / value).resolve().is_relative_to(run_dir)


def ways_out(config: dict[str, Any], run_dir: Path, trusted: dict[str, Any]) -> list[str]:
    """Where a config that is built in `run_dir` leads out of it, but for the parts that are the same in `trusted`."""
    return list(_ways_out([], config, run_dir.resolve(), trusted))


def _ways_out(keys: Sequence[str], node: Any, run_dir: Path, trusted: Any) -> Iterator[str]:
    if node == trusted:
        return
    if isinstance(node, dict):
        known = trusted if isinstance(trusted, dict) else {}
        # Left out, it would be wherever the process runs.
        missing = {name: None for name in known if name in WRITTEN and name not in node}
        for key, child in {**node, **missing}.items():
            yield from _ways_out([*keys, str(key)], child, run_dir, known.get(key))
    elif isinstance(node, list):
        for child in node:
            yield from _ways_out(keys, child, run_dir, None)
    elif nameless(keys, node):
        yield f"{shown('.'.join(keys))}: {NAMELESS}"
    elif keys[-1] == "data_dir" and keys[0] == "data":
        yield f"{shown('.'.join(keys))}={shown(str(node))}: may be anywhere, and what is missing is downloaded to it"
    elif keys[0] not in READ:
        written = keys[-1] in WRITTEN and not isinstance(node, str)
        if written or (isinstance(node, str) and leads_out(keys[-1], node, run_dir)):
            yield f"{shown('.'.join(keys))}={shown(str(node))}: leads out of the run folder"
