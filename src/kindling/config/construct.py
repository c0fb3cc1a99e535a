"""Objects made from nodes of a config."""

import re
from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from torch import nn
from torchmetrics import Metric

from kindling.config.signatures import INSTANTIATE_KEYS
from kindling.errors import UserError

# What a section of the config has to describe, for those that Lightning would ask for methods without looking.
KINDS = {
    "data": LightningDataModule,
    "augmentation": nn.Module,
    "callbacks": Callback,
    "logger": Logger,
    "metrics": Metric,
    "trainer": Trainer,
}


ABOUT_ARGUMENTS = ValueError | TypeError | MisconfigurationException | ModuleNotFoundError
OF_TORCH = RuntimeError | OverflowError  # where a size is below nothing or beyond everything


def construct(path: str, node: DictConfig | dict[str, Any], **handed_over: Any) -> Any:
    """What the node at `path` of the config describes.

    Raises:
        UserError: where its constructor refuses its arguments, or makes something else than the section is for. A bug
            in a model or a data set needs its traceback.
    """
    try:
        made = instantiate(node, _convert_="all", **handed_over)
    except InstantiationException as error:
        if path in ("data", "model"):
            raise error.__cause__ or error from None
        raise UserError(construction_problem(path, {str(k): v for k, v in node.items()}, error)) from None
    kind = KINDS.get(path.partition(".")[0])
    if kind and not isinstance(made, kind):
        raise UserError(f"{path}: {node['_target_']} makes a {type(made).__name__}, and a {kind.__name__} is needed")
    return made


def construction_problem(path: str, node: Mapping[str, Any], error: InstantiationException) -> str:
    """The sentence of a constructor that refused its arguments, headed by the key that it is about.

    That is the one whose name, or else whose value, the sentence mentions; the whole section where this is unclear.

    Raises:
        Exception: the constructor's own, where it is not about its arguments but a bug.
    """
    cause = error.__cause__
    if isinstance(cause, UserError):
        raise cause
    of_slurm = path == "trainer" and isinstance(cause, RuntimeError)  # which has other tasks than the trainer
    of_torch = isinstance(cause, OF_TORCH) and str(node["_target_"]).startswith("torch.")
    if not (of_slurm or of_torch or isinstance(cause, ABOUT_ARGUMENTS)):
        raise cause or error
    sentence = " ".join(str(cause).split())
    words = set(re.findall(r"[\w.+-]+", sentence))
    values = {key: value for key, value in node.items() if key not in INSTANTIATE_KEYS}
    by_name = [key for key in values if key in words]
    by_value = [key for key, value in values.items() if str(value) in words]
    for keys in (by_name, by_value):
        if len(keys) == 1:
            return f"{path}.{keys[0]}={values[keys[0]]}: {sentence}"
    return f"{path}: {sentence}"
