"""A sweep of W&B's, whose agents run `python train.py`, from the command of one of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from optuna.distributions import IntDistribution

from kindling.config.command_line import check_overrides, source_of
from kindling.config.compose import compose
from kindling.config.flags import read_flags
from kindling.errors import UserError, listed
from kindling.folders import CONF
from kindling.sweep.space import Space, read_space

METHODS = {"grid": "grid", "random": "random", "tpe": "bayes"}
GOALS = {"min": "minimize", "max": "maximize"}
# W&B writes parameters as KEY=VALUE only where it is asked to; Hydra knows no --KEY=VALUE.
COMMAND = ["${env}", "${interpreter}", "${program}"]


def wandb_sweep(words: Sequence[str]) -> dict[str, Any]:
    """What `wandb sweep` reads, as plain data.

    Raises:
        UserError: where the command is wrong, sweeps nothing, or is one that W&B has no search for.
    """
    args = read_flags(words)
    source = source_of(args, Path(CONF).absolute(), "train")
    with source.opened():
        texts, problems = check_overrides(args.overrides, source, multirun=True)
        if problems:
            raise UserError(listed(problems))
        chosen = next((text.removeprefix("sweep=") for text in reversed(texts) if text.startswith("sweep=")), "grid")
        if chosen not in METHODS:
            raise UserError(f"sweep={chosen}: W&B has no such search; take one of {', '.join(METHODS)}")
        space = read_space(texts, GlobalHydra.instance().config_loader(), chosen == "grid")
    if not space.swept:
        raise UserError("nothing is swept; give a key a list of values or a range, like optimizer.lr=0.01,0.1")
    fixed = [text for text in space.fixed if not text.startswith("sweep")]
    cfg = compose([*source.flags, *fixed])
    logged = [] if any(text.startswith("logger") for text in fixed) else ["logger=wandb"]
    sweep: dict[str, Any] = {"program": "train.py", "method": METHODS[chosen]}
    if cfg.monitor:
        sweep["metric"] = {"name": f"best/{cfg.monitor}", "goal": GOALS[cfg.mode]}
    if number := next((text for text in space.fixed if text.startswith("sweep.n_trials=")), None):
        sweep["run_cap"] = int(number.partition("=")[2])
    parameters = {key: parameter(key, space) for key in space.swept}
    command = [*COMMAND, *source.flags, *logged, *fixed, "${args_no_hyphens}"]
    return {**sweep, "parameters": parameters, "command": command}


def parameter(key: str, space: Space) -> dict[str, Any]:
    """Values as they stand on a command line; ranges as ranges."""
    if key in space.listed:
        return {"values": [value if isinstance(value, int | float) else text for value, text in space.listed[key]]}
    drawn: Any = space.swept[key]
    if isinstance(drawn, IntDistribution) and drawn.step > 1:
        return {"values": list(range(drawn.low, drawn.high + 1, drawn.step))}
    kinds = {(True, False): "int_uniform", (False, False): "uniform", (False, True): "log_uniform_values"}
    whole = isinstance(drawn, IntDistribution)
    if (whole, drawn.log) not in kinds:
        return {"distribution": "q_log_uniform_values", "q": 1, "min": drawn.low, "max": drawn.high}
    return {"distribution": kinds[whole, drawn.log], "min": drawn.low, "max": drawn.high}
