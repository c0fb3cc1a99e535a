"""The data of a config, looked at before anything is trained on them."""

from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from kindling import abilities
from kindling.config.asked import take_asked
from kindling.config.construct import construct
from kindling.config.signatures import section_problems
from kindling.data import look_figure
from kindling.data.look import facts, view
from kindling.data.setup import set_up_once
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
    node: Any = OmegaConf.to_container(cfg.data, resolve=True)
    mistakes = section_problems({"data": node}, set())["data"]
    if mistakes:
        raise UserError(listed(mistakes))
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = construct("data", cfg.data)
    set_up_once(datamodule, cfg.seed)
    seen = view(datamodule)
    source = abilities.source(datamodule)
    return facts(seen, asked.choice("data", cfg), source), look_figure.draw(seen, datamodule)
