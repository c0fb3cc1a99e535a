"""A config out of a checkpoint, made to write into no other folder than the one that the user named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kindling.errors import UserError, shown

# Arguments that name a folder which a part of a run writes to.
WRITTEN = {"run_dir", "dirpath", "save_dir", "default_root_dir", "root_dir", "log_dir", "dir"}
WRITERS = {"trainer", "logger", "callbacks"}  # sections


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
    data = config.get("data")
    if isinstance(data, dict) and "_args_" in data and str(data.get("_target_")).startswith("kindling."):
        raise UserError("data._args_: an argument without a name may be where data are downloaded to; name it")
    return {key: _moved([str(key)], child, old, run_dir.resolve(), str(data_dir)) for key, child in config.items()}


def _moved(keys: Sequence[str], node: Any, old: str, run_dir: Path, data_dir: str) -> Any:
    if isinstance(node, dict):
        return {key: _moved([*keys, str(key)], child, old, run_dir, data_dir) for key, child in node.items()}
    if isinstance(node, list):
        return [_moved(keys, child, old, run_dir, data_dir) for child in node]
    if keys[0] in WRITERS and "_args_" in keys:
        raise UserError(f"{shown('.'.join(keys))}: what an argument without a name is for cannot be told; name it")
    if keys[0] == "data":
        return data_dir if keys[-1] == "data_dir" else node
    if not isinstance(node, str):
        return node
    moved = f"{run_dir}{node[len(old) :]}" if f"{node}/".startswith(f"{old}/") else node
    leads_out = any(part in moved for part in ("://", "::", "\0")) or ".." in Path(moved).parts or moved[:1] == "~"
    unclear = keys[-1] in WRITTEN and not Path(moved).is_absolute()  # relative to wherever the process runs
    if leads_out or unclear or not (run_dir / moved).resolve().is_relative_to(run_dir):
        key = shown(".".join(keys))
        raise UserError(f"{key}={shown(node)}: leads out of the run folder {run_dir}; set it on the command line")
    return moved
