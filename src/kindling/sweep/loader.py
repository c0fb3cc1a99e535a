"""Composing the configs of many jobs."""

import pickle
from collections.abc import Sequence
from functools import cache

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


class SweepConfigLoader(ConfigLoaderImpl):
    """Composes once for each combination of options: a job that differs from another in `values` alone gets the same
    config with its own values in it. Hydra itself sets values after everything else has been composed, so the result is
    the same; and it takes a tenth of a second, of which this saves nine tenths.
    """

    def __init__(self, loader: ConfigLoader, values: Sequence[str]) -> None:
        super().__init__(loader.get_search_path())
        self.values = {key for key in values if not self.options(key)}
        self.composed: dict[tuple[str, ...], bytes] = {}  # unpickling takes an eighth of the time of copying

    def options(self, key: str) -> list[str]:
        """Of the group that the key names; none where it is that of a value."""
        return [] if "." in key else self.get_group_options(key.lstrip("+"))

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        values = [text for text in sweep_overrides if text.partition("=")[0] in self.values]
        rest = tuple(text for text in sweep_overrides if text not in values)
        if rest not in self.composed:
            self.composed[rest] = pickle.dumps(super().load_sweep_config(master_config, list(rest)))
        config: DictConfig = pickle.loads(self.composed[rest])
        overrides = [parsed(text) for text in values]
        ConfigLoaderImpl._apply_overrides_to_config(overrides, config)
        for override in overrides:
            kind = "hydra" if override.is_hydra_override() else "task"
            config.hydra.overrides[kind].append(override.input_line)
        of_task = [override for override in map(parsed, sweep_overrides) if not override.is_hydra_override()]
        config.hydra.job.override_dirname = get_overrides_dirname(of_task, **config.hydra.job.config.override_dirname)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config


@cache
def parsed(text: str) -> Override:
    return OverridesParser.create().parse_override(text)
