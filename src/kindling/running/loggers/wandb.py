"""Weights & Biases: the course of a run and what it leaves, online or for a later upload."""

import http.client
import logging
import os
import shlex
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from kindling.config.asked import within_sweep
from kindling.errors import UserError
from kindling.process import rank
from kindling.running.loggers.limit import within
from kindling.running.loggers.table import worst_predictions

if TYPE_CHECKING:
    from kindling.config.asked import Asked
    from kindling.running.build import Parts

log = logging.getLogger(__name__)

ANSWER = 3.0  # seconds that a server has for a first answer
LEAVE = 4.0  # seconds for what W&B asks its server at the end; then comes finish_timeout


class Wandb(WandbLogger):
    """Lightning's, with a row of metrics.csv as one row of the history, and all that a run leaves."""

    def __init__(self, histograms: bool = False, model: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.histograms = histograms
        self.model = model

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Each call is a row. W&B's own count of rows runs along with the steps, so that it goes on in a run that does;
        with several optimizers callbacks of Lightning's count less steps, and W&B drops what lies before the last row.
        """
        run = self.experiment
        if step is None:
            run.log(dict(metrics))
        else:
            run.log({**metrics, "step": step}, step=max(step, run.step), commit=True)

    def begin(self, asked: "Asked", summary: dict[str, Any]) -> None:
        run = self.experiment
        run.tags = tuple(dict.fromkeys([*(run.tags or ()), summary["model"], summary["data"]["name"]]))
        run.config.update({"git": summary["git"], "command": summary["command"]}, allow_val_change=True)
        run.summary.update({"parameters": summary["parameters"]})
        if run.config.get("monitor"):
            run.define_metric(run.config["monitor"], step_metric="step", summary=f"{run.config['mode']},last")

    def log_weights(self, tensors: dict[str, Tensor], step: int) -> None:
        import wandb

        if self.histograms:
            found = {name: wandb.Histogram(values.float().cpu().numpy()) for name, values in tensors.items()}
            self.experiment.log({**found, "step": step}, commit=True)

    def leave(self, run_dir: Path, parts: "Parts", summary: dict[str, Any]) -> None:
        run = self.experiment
        if run.disabled:
            return
        run.summary.update(end_of(summary))
        with staged_in(run_dir / "wandb" / "data"):
            table = table_of(parts, summary)
            hand_over = partial(self.hand_over, run_dir, table, summary)
            hand_over() if run.offline else within(LEAVE, hand_over, "W&B's server")

    def hand_over(self, run_dir: Path, table: dict[str, Any], summary: dict[str, Any]) -> None:
        run, best = self.experiment, run_dir / "checkpoints" / "best.ckpt"
        left = {**pictures_in(run_dir), **table}
        if left:
            run.log({**left, "step": summary["steps"]}, commit=True)
        if self.model and best.is_file():
            log_model(run, best, summary, remove_older=bool(summary["resumed"]) and not run.offline)


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


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Tables are kept there until they are uploaded, and not in the user's home, which another machine may not see."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder.absolute())
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def end_of(summary: dict[str, Any]) -> dict[str, Any]:
    """What the test measured, the best score and its place; those of the last epoch are there already."""
    monitor = summary["monitor"]
    best = {f"best/{monitor['name']}": monitor["best"]} if monitor["name"] else {}
    place = {f"best/{key}": monitor[key] for key in ("epoch", "step") if key in monitor}
    kept = {key: summary[key] for key in ("epochs", "steps", "parameters", "status", "device")}
    return {**summary["metrics"], **best, **place, **kept}


def pictures_in(run_dir: Path) -> dict[str, Any]:
    """The figures, and the page of the run."""
    import wandb

    left: dict[str, Any] = {
        f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted(run_dir.glob("figures/*.png"))
    }
    if (run_dir / "report.html").is_file():
        left["report"] = wandb.Html(str(run_dir / "report.html"), inject=False)
    return left


def table_of(parts: "Parts", summary: dict[str, Any]) -> dict[str, Any]:
    """The worst predictions of the test; of the validation where the test rows have been left alone."""
    import wandb

    from kindling.pictures.mistakes import as_drawn

    table = worst_predictions(parts.model, parts.datamodule, "test" if summary["metrics"] else "val")
    if table is None:
        return {}
    if "image" in table:
        table["image"] = [wandb.Image(as_drawn(picture)) for picture in table["image"]]
    rows = [[getattr(value, "item", lambda v=value: v)() for value in row] for row in table.itertuples(index=False)]
    return {"predictions": wandb.Table(columns=list(table.columns), data=rows)}


def log_model(run: Any, best: Path, summary: dict[str, Any], remove_older: bool) -> None:
    """The best checkpoint, read from where it is; versions from before the run went on have become idle."""
    import wandb

    about = {key: summary[key] for key in ("monitor", "metrics", "model", "epochs", "steps")}
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata={**about, "data": summary["data"]["name"]})
    artifact.add_file(str(best), name="best.ckpt", policy="immutable")
    run.log_artifact(artifact, aliases=["best", "last"])
    if remove_older:
        artifact.wait(timeout=int(LEAVE))
        for version in wandb.Api().artifacts("model", f"{run.entity}/{run.project}/{artifact.name.partition(':')[0]}"):
            if version.version != artifact.version:
                version.delete(delete_aliases=True)


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
