"""`compose(overrides)`: the config of a run as `python train.py` composes it, for scripts, notebooks and tests."""

from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from kindling.config.command_line import check_overrides, sentence, source_of
from kindling.config.flags import read_flags
from kindling.errors import UserError, listed
from kindling.folders import CONF


def compose(overrides: Sequence[str] = (), config_dir: str | Path = CONF) -> DictConfig:
    """The config of a run with a folder of its own below outputs/, or where `run_dir=` or `hydra.run.dir=` says.

    Its node `hydra` says what was asked for; `train` takes it out.

    Raises:
        UserError: with every mistake among the overrides.
    """
    args = read_flags(overrides)
    source = source_of(args, Path(config_dir).absolute(), "train")
    with source.opened():
        texts, problems = check_overrides(args.overrides, source)
        if problems:
            raise UserError(listed(problems))
        try:
            cfg = hydra.compose(source.name, texts, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:  # what Hydra alone knows
            raise UserError(sentence(error)) from None
    with open_dict(cfg):
        if OmegaConf.is_interpolation(cfg, "run_dir"):
            cfg.run_dir = str(Path(cfg.hydra.run.dir).absolute())
        del cfg["sweep"]
    return cfg
