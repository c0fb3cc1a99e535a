"""`~key` takes away a key that is null too, such as `~loss.class_weights` for a loss of one's own that has none.

Hydra (1.3) says of such a key that it does not exist, since it looks for a value.
"""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

hydra_applies = ConfigLoaderImpl._apply_overrides_to_config


def apply(overrides: Sequence[Override], cfg: DictConfig) -> None:
    """Each override, one after the other; those of null keys here, all others by Hydra."""
    for override in overrides:
        section, _, name = override.key_or_group.rpartition(".")
        node = OmegaConf.select(cfg, section) if override.is_delete() and section else cfg
        if override.is_delete() and override.value() is None and is_null(node, name):
            with open_dict(node):
                del node[name]
        else:
            hydra_applies([override], cfg)


def is_null(node: object, name: str) -> bool:
    """As it is written: what an interpolation comes to is for Hydra."""
    if not isinstance(node, DictConfig) or name not in node or OmegaConf.is_missing(node, name):
        return False
    return not OmegaConf.is_interpolation(node, name) and node[name] is None


ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply)  # type: ignore[method-assign]
