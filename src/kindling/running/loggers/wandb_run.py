"""What a run of Weights & Biases is told and handed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from kindling.running.loggers.limit import within
from kindling.running.loggers.table import worst_predictions

if TYPE_CHECKING:
    from kindling.config.asked import Asked
    from kindling.running.build import Parts

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

    from kindling.pictures.images import as_drawn

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
