"""What differs in the config of a run from that of a bare `python train.py`."""

from functools import cache
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kindling.config.places import located
from kindling.config.sources import Source
from kindling.config.tree import marked

RUN = "{run_dir}"  # in the values of the defaults


def marked_config(config: dict[str, Any]) -> list[tuple[int, str, bool]]:
    """A line a key: how deep it lies, its text, whether it differs. Where conf/ cannot be composed, none is marked."""
    try:
        resolved, written = defaults()
    except Exception:  # whatever is wrong with conf/ today: the page is of a run that has been
        return list(marked(config, {}))
    return list(marked(config, beside(config, in_place(resolved, str(config.get("run_dir"))), written)))


@cache
def defaults() -> tuple[dict[str, Any], dict[str, Any]]:
    """With their interpolations resolved as a run records them, where they can be; and as they are written."""
    hydra, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # that of the app, where one runs
    try:
        with Source().opened():
            cfg = compose("train")
    finally:
        GlobalHydra.instance().hydra = hydra
    written: Any = OmegaConf.to_container(cfg)
    cfg.run_dir = RUN
    for key in [key for key in cfg if OmegaConf.is_config(cfg[key])]:
        try:
            OmegaConf.resolve(cfg[key])
        except OmegaConfBaseException:  # by what a run alone has
            continue
    plain: Any = OmegaConf.to_container(cfg)
    plain.pop("sweep", None)
    return plain, written


def beside(value: Any, default: Any, written: Any) -> Any:
    """The default to show: where it differs from the value and comes from elsewhere, as from the environment, as it is
    written, since that may be a secret.
    """
    if isinstance(default, dict) and isinstance(written, dict):
        value = value if isinstance(value, dict) else {}
        return {key: beside(value.get(key), item, written.get(key)) for key, item in default.items()}
    computed = isinstance(written, str) and "${" in written and ":" in written
    return written if computed and value != default else default


def in_place(value: Any, run_dir: str, key: str = "") -> Any:
    """With the folder of the run, and places as absolute paths."""
    if isinstance(value, dict):
        return {name: in_place(item, run_dir, f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    return located(key, value.replace(RUN, run_dir) if isinstance(value, str) else value)
