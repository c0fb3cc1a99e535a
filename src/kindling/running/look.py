"""The data of a config, looked at before anything is trained on them."""

from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from kindling import abilities
from kindling.config.asked import take_asked
from kindling.config.signatures import section_problems
from kindling.data import look_figure
from kindling.data.look import facts, view
from kindling.data.setup import make_datamodule
from kindling.errors import UserError, listed
from kindling.figure import Figure
from kindling.process import quiet


def look(cfg: DictConfig) -> tuple[dict[str, Any], Figure]:
    """What there is to say of the data, as plain data, and their picture. Everything else of the config is left alone.

    Raises:
        UserError: where the data cannot be had, or a setting of theirs is wrong.
    """
    quiet()
    asked = take_asked(cfg)
    sections: Any = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("data", "augmentation")}
    mistakes = [mistake for found in section_problems(sections, set()).values() for mistake in found]
    if mistakes:
        raise UserError(listed(mistakes))
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = make_datamodule(cfg)
    seen = view(datamodule)
    source = abilities.source(datamodule)
    return facts(seen, asked.choice("data", cfg), source), look_figure.draw(seen, datamodule)
