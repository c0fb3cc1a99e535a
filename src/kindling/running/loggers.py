"""Loggers that Lightning does not have."""

import http.client
import logging
import os
import shlex
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig

from kindling.process import rank

log = logging.getLogger(__name__)


def wandb_logger(save_dir: str, project: str, finish_timeout: float = 10.0, **kwargs: Any) -> WandbLogger:
    """Weights & Biases: online where a key is configured, else offline with a line that says how to upload later.

    A server that does not answer costs ten seconds, not the run, which is then offline too. `mode` and the environment
    variable WANDB_MODE overrule what the key says. Further arguments are those of `wandb.init`.

    Args:
        finish_timeout: seconds to wait at the end for what has not been uploaded; more where there are models or
            pictures.
    """
    import wandb

    set_up(wandb)
    mode = kwargs.pop("mode", None) or os.environ.get("WANDB_MODE")
    if mode is None:
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
    run_id = kwargs.pop("id", None) or wandb.sdk.lib.runid.generate_id()
    # How often a lost connection is retried is left to W&B: nothing of the history may be lost with it.
    settings = wandb.Settings(
        silent=True, console="off", init_timeout=6, finish_timeout=finish_timeout, finish_timeout_raises=True
    )
    arguments = {"save_dir": save_dir, "project": project, "id": run_id, "settings": settings, **kwargs}
    sync = f"wandb sync {shlex.quote(save_dir)}/wandb/offline-run-*"
    if mode == "online" and rank() == 0:
        try:
            check_answers(wandb.setup().settings.base_url)
            logger = WandbLogger(mode=mode, **arguments)
            _ = logger.experiment  # which calls init()
            return logger
        except (OSError, wandb.Error) as error:
            reason = str(error).strip().partition("\n")[0]
            log.warning(f"WARNING: W&B's server cannot be used ({reason}); to upload the run later: {sync}")
            mode = "offline"
            wandb.teardown()  # what has failed would keep its id
            set_up(wandb)
    elif mode in ("offline", "dryrun"):
        log.info(f"W&B is offline; to upload the run: {sync}")
    return WandbLogger(mode=mode, **arguments)


def set_up(wandb: Any) -> None:
    """Have W&B be silent, already before init(), to which Lightning passes what W&B warns of."""
    with suppress(RuntimeError):  # of a user that the machine does not know
        os.environ.setdefault("HOME", str(Path.home()))  # W&B's own program asks nobody else, and complains at length
    wandb.setup(wandb.Settings(silent=True))


def check_answers(url: str, seconds: float = 3.0) -> None:
    """Ask the server for something, without a key.

    Raises:
        OSError: where it has not answered in time, or has failed; one that refuses is none of this function's business.
    """
    failed: list[Exception] = []

    def ask() -> None:
        request = urllib.request.Request(f"{url}/graphql", b'{"query": "{viewer {id}}"}')
        request.add_header("Content-Type", "application/json")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= 500:
                failed.append(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failed.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # the timeout above is that of each read, and not of the name
    asking.start()
    asking.join(seconds)
    if asking.is_alive():
        raise TimeoutError(f"{url} has not answered in {seconds:g} s")
    error = failed[0] if failed else None
    of_certificates = isinstance(error, urllib.error.URLError) and isinstance(error.reason, ssl.SSLError)
    if error and not of_certificates:  # W&B may know others
        raise OSError(f"{url}: {getattr(error, 'reason', error)}") from None


def same_run(node: DictConfig, version: str | None) -> dict[str, str]:
    """What makes a logger go on with the run that it knows by `version`; the others write to the same files anyway."""
    return {"id": version} if version and node._target_.endswith("wandb_logger") else {}


@contextmanager
def finished_loggers() -> Iterator[None]:
    """Close W&B's run on every way out: one left open would take in the metrics of the next run of the process."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if "wandb" in sys.modules:
            finish(sys.modules["wandb"], exit_code)


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
