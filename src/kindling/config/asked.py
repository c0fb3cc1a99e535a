"""What was asked for: the overrides of a run, and the options that were chosen from the groups of conf/."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from kindling.config.sources import Source


@dataclass(frozen=True)
class Asked:
    """Args:
    overrides: as typed.
    choices: the option by its group.
    folders: where the groups are.
    flags: as typed, those that say where the config is.
    """

    overrides: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    def choice(self, group: str, cfg: Any) -> str:
        """The option chosen from a group, or the name of its class where the config was composed by hand."""
        return str(self.choices.get(group) or cfg[group]["_target_"].rpartition(".")[2])


def take_asked(cfg: DictConfig) -> Asked:
    """Out of the config, where `compose` has left it; or from Hydra's app; of a config of other origin, nothing."""
    hydra = None
    if "hydra" in cfg:
        hydra = cfg.hydra
        with open_dict(cfg):
            del cfg["hydra"]
    elif HydraConfig.initialized():
        hydra = HydraConfig.get()
    if hydra is None:
        return Asked()
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    choices: Any = OmegaConf.to_container(hydra.runtime.choices)
    return Asked(list(hydra.overrides.task), choices, folders, Source.of_app(hydra).flags)


def within_sweep() -> bool:
    """Whether this process is that of a sweep, or one that a launcher has started for it."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
