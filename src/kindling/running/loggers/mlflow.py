"""MLflow: the course of a run, and what it leaves, in a store that all runs share."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from kindling.config.resume import flat
from kindling.errors import UserError, shown
from kindling.process import no_less_than

if TYPE_CHECKING:
    from kindling.config.asked import Asked
    from kindling.running.build import Parts

log = logging.getLogger(__name__)

LONGEST = 500  # characters of a parameter, which every store takes
AT_ONCE = 100  # parameters likewise
STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}
# A server that is down is not waited for over minutes; and no other is told of the run.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MLflow(MLFlowLogger):
    """Lightning's, whose runs end as they have ended, and outlive a store that fails."""

    def __init__(self, model: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.has_failed = False

    def tell(self, call: str, *args: Any, **kwargs: Any) -> None:
        """Have the store do something. Once it has failed it is not asked again: every question may cost seconds."""
        if self.has_failed:
            return
        try:
            with quiet():
                getattr(self.experiment, call)(self.run_id, *args, **kwargs)
        except Exception as error:  # whatever a store or a server raises
            self.has_failed = True
            reason = shown(f"{type(error).__name__}: {error}", 200)
            log.warning(f"WARNING: MLflow's store has failed, and gets no more of this run ({reason})")

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """By full key, as text. What a run has done cannot be changed: what it goes on with otherwise is a tag."""
        from mlflow.entities import Param, RunTag

        texts = {key: str(value)[:LONGEST] for key, value in flat(params)}
        with quiet():
            known = dict(self.experiment.get_run(self.run_id).data.params)
        new = [Param(key, value) for key, value in texts.items() if key not in known]
        for start in range(0, len(new), AT_ONCE):
            self.tell("log_batch", params=new[start : start + AT_ONCE])
        changed = [RunTag(f"resumed.{key}", text) for key, text in texts.items() if known.get(key, text) != text]
        self.tell("log_batch", tags=changed)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        values = [Metric(allowed(name), float(value), now, step or 0) for name, value in metrics.items()]
        self.tell("log_batch", metrics=values)

    def begin(self, asked: "Asked", summary: dict[str, Any]) -> None:
        tags = {"model": summary["model"], "data": summary["data"]["name"], "command": summary["command"]}
        tags |= {"mlflow.source.git.commit": summary["git"]["revision"], "parameters": summary["parameters"]}
        for name, value in tags.items():
            self.tell("set_tag", name, value)
        self.tell("update_run", status="RUNNING")  # one that goes on had ended

    def leave(self, run_dir: Path, parts: "Parts", summary: dict[str, Any]) -> None:
        monitor, step = summary["monitor"], summary["steps"]
        self.log_metrics(summary["metrics"], step)
        if monitor["name"]:
            self.log_metrics({f"best/{monitor['name']}": monitor["best"]}, monitor.get("step", step))
            self.tell("set_tag", "best_epoch", monitor.get("epoch"))
        for path in sorted(run_dir.glob("figures/*.png")):
            self.tell("log_artifact", str(path), "figures")
        files: dict[Path, str | None] = {run_dir / "report.html": None}
        if self.model:
            files[run_dir / "checkpoints" / "best.ckpt"] = "model"
        for path, folder in files.items():
            if path.is_file():
                self.tell("log_artifact", str(path), folder)

    def finalize(self, status: str = "success") -> None:
        """Not yet: Lightning says so after training, before the test."""

    def end(self, status: str) -> None:
        self.tell("set_terminated", STATUS.get(status, "FAILED"))


def mlflow_logger(
    run_dir: str,
    save_dir: str = "outputs",
    experiment: str = "kindling",
    tracking_uri: str | None = None,
    name: str | None = None,
    group: str | None = None,
    id: str | None = None,  # noqa: A002  # as W&B calls it
    model: bool = True,
) -> MLflow:
    """MLflow, with an SQLite store for all runs in the folder `save_dir`.

    Args:
        run_dir: by whose name the run is found; `name` is another.
        tracking_uri: of a server, instead of the store in `save_dir`.
        group: a tag, of the jobs of a sweep their sweep's name.
        model: keep the best checkpoint too.

    Raises:
        UserError: where MLflow is not installed, or its store cannot be opened.
    """
    if find_spec("mlflow") is None:
        raise UserError("logger=mlflow: is not installed; pip install -e '.[mlflow]' does so")
    os.environ.update({key: value for key, value in PATIENCE.items() if key not in os.environ})
    folder, own = Path(save_dir).absolute(), Path(run_dir).absolute()
    store = {"tracking_uri": tracking_uri, "artifact_location": None}
    if tracking_uri is None:
        store = {
            "tracking_uri": f"sqlite:///{folder}/mlflow.db",
            "artifact_location": (folder / "mlflow-artifacts").as_uri(),
        }
    tags = {"run_dir": str(own), **({"group": group} if group else {})}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".mlflow.lock"), quiet(), in_a_sentence():  # the first run makes the store
        run_id = id if id and has_run(store["tracking_uri"], id) else None
        logger = MLflow(
            model,
            experiment_name=experiment,
            run_name=name or f"{own.parent.name}/{own.name}",
            run_id=run_id,
            tags=tags,
            **store,
        )
        _ = logger.experiment  # which begins the run
    return logger


def has_run(uri: str | None, run_id: str) -> bool:
    """One that goes on begins anew where its store is gone."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        return MlflowClient(uri).get_run(run_id).info.run_id == run_id
    except MlflowException:
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """Without what is said of a store that is made, and of an experiment."""
    import mlflow  # noqa: F401  # which sets levels of its own

    levels = {"mlflow": logging.WARNING, "alembic": logging.WARNING, "lightning.pytorch.loggers.mlflow": logging.ERROR}
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow's own packages will no longer do
        for name, level in levels.items():
            stack.enter_context(no_less_than(level, name))
        yield


@contextmanager
def in_a_sentence() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a store or a server raises
        raise UserError(f"logger.mlflow: the store cannot be opened ({shown(str(error), 200)})") from None


def allowed(name: str) -> str:
    """MLflow takes letters, digits and a few signs."""
    return "".join(sign if sign.isalnum() or sign in "_-./ :" else "_" for sign in name)
