"""Weights & Biases: a run of it begun and ended, online or for a later upload."""

import http.client
import logging
import os
import shlex
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from kindling.config.asked import within_sweep
from kindling.errors import UserError
from kindling.process import rank
from kindling.running.loggers.limit import within
from kindling.running.loggers.wandb_run import Wandb

log = logging.getLogger(__name__)

ANSWER = 3.0  # seconds that a server has for a first answer


def wandb_logger(
    save_dir: str,
    project: str,
    finish_timeout: float = 6.0,
    histograms: bool = False,
    model: bool = True,
    **kwargs: Any,
) -> Wandb:
    """Weights & Biases: online where a key is configured, else offline with a line that says how to upload later.

    A server that does not answer costs ten seconds, not the run, which is then offline too. `mode` and the environment
    variable WANDB_MODE overrule what the key says, and so do `wandb disabled` and `wandb offline`. Further arguments
    are those of `wandb.init`.

    Args:
        finish_timeout: seconds to wait at the end for what has not been uploaded; more where there are models or
            pictures.
        histograms: of weights and gradients, with each row.
        model: keep the best checkpoint as an artifact.
    """
    import wandb
    import wandb.errors

    set_up(wandb)
    mode = kwargs.pop("mode", None) or os.environ.get("WANDB_MODE") or chosen_by_command(wandb)
    if mode is None:
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    # A sweep of ours has many runs in one process, to which one name from outside would give one history.
    asked = None if within_sweep() else os.environ.get("WANDB_RUN_ID")
    run_id = kwargs.pop("id", None) or asked or wandb.sdk.lib.runid.generate_id()
    folder = Path(save_dir)
    kwargs = {"name": f"{folder.parent.name}/{folder.name}", **{k: v for k, v in kwargs.items() if v is not None}}
    # How often a lost connection is retried is left to W&B: nothing of the history may be lost with it.
    settings = wandb.Settings(
        silent=True, console="off", init_timeout=6, finish_timeout=finish_timeout, finish_timeout_raises=True
    )
    arguments = {"dir": save_dir, "project": project, "id": run_id, "resume": "allow", "settings": settings, **kwargs}
    try:
        run = started(wandb, mode, arguments) if rank() == 0 else None
    except wandb.errors.UsageError as error:  # such as a project with a slash in its name
        raise UserError(f"logger.wandb: {error}") from None
    return Wandb(histograms, model, experiment=run, save_dir=save_dir, project=project, id=run_id)


def started(wandb: Any, mode: str, arguments: dict[str, Any]) -> Any:
    sync = f"wandb sync {shlex.quote(arguments['dir'])}/wandb/offline-run-*"
    if mode == "online":
        try:
            check_answers(wandb.setup().settings.base_url)
            return init(wandb, mode, arguments)
        except (OSError, wandb.Error) as error:
            reason = str(error).strip().partition("\n")[0]
            log.warning(f"WARNING: W&B's server cannot be used ({reason}); to upload the run later: {sync}")
            mode = "offline"
            wandb.teardown()  # what has failed would keep its id
            set_up(wandb)
    elif mode in ("offline", "dryrun"):
        log.info(f"W&B is offline; to upload the run: {sync}")
    return init(wandb, mode, arguments)


def init(wandb: Any, mode: str, arguments: dict[str, Any]) -> Any:
    """The run, whose scores lie over the optimizer steps."""
    run = wandb.init(mode=mode, **arguments)
    run.define_metric("step")
    run.define_metric("*", step_metric="step", step_sync=False)
    return run


def set_up(wandb: Any) -> None:
    """Have W&B be silent, already before init(), to which Lightning passes what W&B warns of."""
    with suppress(RuntimeError):  # of a user that the machine does not know
        os.environ.setdefault("HOME", str(Path.home()))  # W&B's own program asks nobody else, and complains at length
    wandb.setup(wandb.Settings(silent=True))


def chosen_by_command(wandb: Any) -> str | None:
    """What `wandb disabled` or `wandb offline` has written down."""
    mode = wandb.setup().settings.mode
    return mode if mode in ("disabled", "offline", "dryrun") else None


def check_answers(url: str, seconds: float = ANSWER) -> None:
    """Ask the server for something, without a key.

    Raises:
        OSError: where it has not answered in time, or has failed; one that refuses is none of this function's business.
    """

    def ask() -> None:
        request = urllib.request.Request(f"{url}/graphql", b'{"query": "{viewer {id}}"}')
        request.add_header("Content-Type", "application/json")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= 500:
                raise

    try:
        within(seconds, ask, url)  # the timeout above is that of each read, and not of the name
    except TimeoutError as error:
        raise TimeoutError(f"{url} has not answered in {seconds:g} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        of_certificates = isinstance(error, urllib.error.URLError) and isinstance(error.reason, ssl.SSLError)
        if not of_certificates:  # W&B may know others
            raise OSError(f"{url}: {getattr(error, 'reason', error)}") from None


def finish(wandb: Any, exit_code: int) -> None:
    run = wandb.run
    try:
        wandb.finish(exit_code=exit_code)
    except TimeoutError:
        folder = shlex.quote(run.settings.sync_dir)
        log.warning(
            f"WARNING: W&B's server has not taken everything in logger.wandb.finish_timeout="
            f"{run.settings.finish_timeout:g} seconds; to upload the rest: wandb sync {folder}"
        )
