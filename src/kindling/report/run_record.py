"""Of the page of a run what is looked up rather than read: config, environment, files, and the commands to go on."""

import shlex

from kindling.config.quoting import override
from kindling.config.sources import split
from kindling.files import in_bytes
from kindling.folders import part
from kindling.report.defaults import marked_config
from kindling.report.frame import Cell, Rows, code, paragraph, table, text
from kindling.report.run_folder import MOST_FILES, RunFolder

Line = tuple[int, str, bool]  # of a config: how deep it lies, its text, whether it differs from the default


def commands(run: RunFolder) -> str:
    folder, told = str(run), ""
    kept = run.folder / "checkpoints"
    if (kept / "best.ckpt").exists() or (kept / "last.ckpt").exists():
        for words in (["evaluate"], ["predict", "--output", "predictions.csv"], ["export", "--format", "onnx"]):
            told += shlex.join(["python", f"scripts/{words[0]}.py", folder, *words[1:]]) + "\n"
    if (kept / "last.ckpt").exists() and run.config.get("train") is not False:
        more, epochs = [], part(run.config, "trainer").get("max_epochs")
        if run.status == "completed" and isinstance(epochs, int) and epochs > 0:
            more = [f"trainer.max_epochs={2 * epochs}"]
        resume = override("resume", folder)
        told += shlex.join(["python", "train.py", *split(run.overrides)[0], resume, *more]) + "\n"
    told += shlex.join(["python", "scripts/report.py", folder]) + "\n"
    return code(told.rstrip())


def config(run: RunFolder) -> str:
    if not run.config:
        return paragraph("config.yaml is missing or damaged.", "quiet")
    lines = marked_config(run.config)
    asked = paragraph(f"Asked for: {', '.join(run.overrides) or 'nothing but the defaults'}.", "quiet")
    count = sum(differs for _, _, differs in lines)
    if count:
        asked += paragraph(f"{count} values differ from those of a bare python train.py:", "quiet")
        asked += tree(changed(lines))
    return f"{asked}<details><summary>all of config.yaml</summary>{tree(lines)}</details>\n"


def changed(lines: list[Line]) -> list[Line]:
    """Those that differ, below the sections that they are in."""
    kept, wanted = list[Line](), 0  # how deep a section may lie that holds what has been kept
    for depth, words, differs in reversed(lines):
        if differs or depth < wanted:
            kept.append((depth, words, differs))
            wanted = depth
    return kept[::-1]


def tree(lines: list[Line]) -> str:
    shown = (
        f'<div style="padding-left: {2 * depth}ch">{f"<mark>{text(words)}</mark>" if on else text(words)}</div>'
        for depth, words, on in lines
    )
    return f'<div class="config">{"".join(shown)}</div>'


def environment(run: RunFolder) -> Rows:
    summary, data = run.summary, part(run.summary, "data")
    sizes = ", ".join(f"{name} {size}" for name, size in part(data, "sizes").items())
    pairs = [
        ("device", f"{summary.get('device', '')} x {summary.get('num_devices', 1)}" if summary.get("device") else ""),
        ("data", " ".join(str(data[name]) for name in ("name", "source") if data.get(name))),
        ("rows", sizes),
        ("digest of the data", data.get("digest")),
        *((f"seconds of {phase}", value) for phase, value in part(summary, "seconds").items()),
        ("samples a second", summary.get("samples_per_second")),
        *part(summary, "versions").items(),
        *((f"logger {name}", value) for name, value in part(summary, "loggers").items()),
    ]
    return [[Cell(str(name)), Cell(str(value))] for name, value in pairs if value not in (None, "")]


def files(run: RunFolder) -> str:
    found = run.files()
    rows = [[Cell(name, link=name), Cell(in_bytes(size), size)] for name, size in found[:MOST_FILES]]
    more = f"And {len(found) - MOST_FILES} more." if len(found) > MOST_FILES else ""
    return table(["file", "size"], rows) + paragraph(more, "quiet")
