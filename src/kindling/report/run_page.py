"""The page of one run, made from its folder alone."""

import shlex
from pathlib import Path
from typing import Any

from kindling.errors import UserError
from kindling.folders import SPREADS, number, part, write_whole
from kindling.report.charts import curves
from kindling.report.frame import Cell, Rows, charts, code, document, figures, paragraph, section, table, text
from kindling.report.numbers import duration, moment, short
from kindling.report.run_folder import RunFolder
from kindling.report.run_record import commands, config, environment, files

PLACE = "Commands are run from the root of the checkout."


def write_run(folder: str | Path) -> Path:
    """report.html of a run, anew from its folder, whatever there is in it; may be called while the run is at work.

    Raises:
        UserError: where the folder is none of a run.
    """
    run = RunFolder(folder)
    if not any((run.folder / name).exists() for name in ("summary.json", "config.yaml")):
        raise UserError(f"{folder}: is not the folder of a run; name one with a summary.json in it")
    path = run.folder / "report.html"
    write_whole(path, run_page(run))
    return path


def run_page(run: RunFolder) -> str:
    drawn = curves(run)
    body = "".join(
        [
            head(run),
            section("How to repeat it", repeat(run)),
            section("Scores", scores(run)),
            section("Curves", charts("curves") if drawn else paragraph(without_curves(run), "quiet")),
            section("Figures", figures(run.pictures())),
            section("Going on with it", commands(run)),
            section("Config", config(run)),
            section("Environment", table(["", ""], environment(run), plain=True)),
            section("Files", files(run)),
        ]
    )
    return document(f"{run.name}: {run.folder.name}", body, {"curves": drawn}, ("tables.js", "charts.js"))


def head(run: RunFolder) -> str:
    summary = run.summary
    known = [
        moment(summary.get("started")),
        f"{duration(run.seconds())}" if run.seconds() else "",
        f"{summary['parameters']:,} parameters" if isinstance(summary.get("parameters"), int) else "",
        f"on {summary['device']}" if summary.get("device") else "",
        f"seed {summary['seed']}" if "seed" in summary else "",
    ]
    status = f'<span class="status {text(run.status)}">{text(run.status)}</span>'
    parts = [f"<h1>{text(run.name)} {status}</h1>\n", paragraph(", ".join(filter(None, known)), "quiet")]
    parts += [paragraph(run, "quiet")]
    return "".join([*parts, *(paragraph(words) for words in remarks(run)), failure(part(summary, "error"))])


def remarks(run: RunFolder) -> list[str]:
    """What is to be known before the scores are read."""
    ended, told = part(run.summary, "ended"), []
    if run.status == "running":
        told.append("The run was at work when this page was written, or its process was killed.")
    if run.status == "unreadable":
        told.append("summary.json is missing or damaged: what follows is what the other files say.")
    if run.status == "pruned":
        told.append("The sweep gave the run up, since others did better.")
    if ended.get("reason"):
        told.append(f"It ended{' early' if ended.get('early') else ''}: {ended['reason']}.")
    if part(run.summary, "data").get("same_rows") is True:
        told.append("The test rows are the same rows as those of training.")
    resumed = run.summary.get("resumed")
    if isinstance(resumed, list) and resumed:
        told.append(f"It was gone on with {'once' if len(resumed) == 1 else f'{len(resumed)} times'}.")
    return told


def failure(error: dict[str, Any]) -> str:
    if not error:
        return ""
    frames = error.get("traceback")
    trace = code("".join(map(str, frames))) if isinstance(frames, list) else ""
    told = paragraph(f"{error.get('type', 'error')}: {error.get('message', '')}", "error")
    return told + (f"<details><summary>where in the code</summary>{trace}</details>\n" if trace else "")


def repeat(run: RunFolder) -> str:
    git, typed = part(run.summary, "git"), str(run.summary.get("command") or "")
    asked = shlex.join(["python", "train.py", *run.overrides])
    told = paragraph("As it was typed:", "quiet") + code(typed) if anew(typed) not in ("", asked) else ""
    revision = f"Code: revision {git['revision']}" if git.get("revision") else ""
    changed = ", with changes that were not committed" if git.get("dirty") else ""
    return code(asked) + told + paragraph(f"{revision}{changed}. {PLACE}" if revision else PLACE, "quiet")


def anew(command: str) -> str:
    """The command without the folder that it has put its run into."""
    try:
        return shlex.join(word for word in shlex.split(command) if not word.startswith("hydra.run.dir="))
    except ValueError:  # quotes that nothing closes
        return command


def scores(run: RunFolder) -> str:
    monitor, tiles, measured = part(run.summary, "monitor"), [], part(run.summary, "metrics")
    if found := run.best():
        epoch = f", epoch {monitor['epoch']}" if isinstance(monitor.get("epoch"), int) else ""
        tiles.append((short(found[1]), f"best {found[0]} ({monitor.get('mode')}{epoch})"))
    for name, value in run.scores().items():
        deviation = number(measured.get(f"{name}_std"))
        tiles.append((short(value) + (f" ± {short(deviation, 2)}" if deviation is not None else ""), name))
    shown = "".join(f'<div class="tile"><b>{text(value)}</b><span>{text(name)}</span></div>\n' for value, name in tiles)
    last = part(run.summary, "last_epoch").items()
    rows: Rows = [
        [Cell(str(name)), Cell(short(value), value)]
        for name, value in ((name, number(value)) for name, value in last)
        if value is not None and not str(name).endswith(SPREADS)
    ]
    told = f"<details><summary>after the last epoch</summary>{table(['score', 'value'], rows)}</details>\n" * bool(rows)
    return (f'<div class="tiles">\n{shown}</div>\n' if shown else paragraph("None was measured.", "quiet")) + told


def without_curves(run: RunFolder) -> str:
    name = "metrics.csv"
    if not (run.folder / name).exists():
        return f"There is no {name}."
    return f"{name} has less than two rows, or is damaged: there is no course to show."
