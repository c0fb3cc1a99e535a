"""`~key` takes away a key that is null too, such as `~loss.class_weights` for a loss of one's own that has none.

Hydra (1.3) says of such a key that it does not exist: it looks for a value. So it is given one first.
"""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

hydra_applies = ConfigLoaderImpl._apply_overrides_to_config


def apply(overrides: Sequence[Override], cfg: DictConfig) -> None:
    for override in overrides:
        if override.is_delete() and override.package is None:
            section, _, name = override.key_or_group.rpartition(".")
            node = OmegaConf.select(cfg, section) if section else cfg
            if isinstance(node, DictConfig) and name in node and OmegaConf.select(node, name) is None:
                OmegaConf.update(node, name, 0)
        hydra_applies([override], cfg)


ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply)  # type: ignore[method-assign]
