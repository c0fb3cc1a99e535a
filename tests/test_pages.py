"""The pages of a run, of a sweep and of all of them, in a browser: what is seen, and that nothing is asked for."""

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import report as script
from conftest import Finished, Process
from kindling import report
from kindling.errors import UserError
from kindling.report.frame import embedded
from kindling.report.run_folder import RunFolder, panels
from kindling.text import printable
from test_report import LR, SEEDS, make_job, make_sweep

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
SIZES = [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of this file."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium, or CHROMIUM=PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page from its file; in the end nothing may have been asked for, and nothing have gone wrong."""
    contexts, wrong = [], list[str]()

    def opened(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: None if is_asked_for(request) else wrong.append(request.url))
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def is_asked_for(request: Any) -> bool:
    """By a click of the test, or a part of the page itself."""
    return request.is_navigation_request() or request.url.startswith("data:")


def make_run(folder: Path, name: str = "val/loss", model: str = "xor", **fields: Any) -> Path:
    """A completed run of a few epochs, with two pictures."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints/best.ckpt").write_bytes(b"weights")
    (folder / "checkpoints/last.ckpt").write_bytes(b"weights")
    (folder / "figures").mkdir()
    Image.fromarray(np.zeros((300, 1200, 3), np.uint8)).save(folder / "figures/learning_curves.png")
    (folder / "figures/decision.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    config = {
        "seed": 0,
        "monitor": name,
        "optimizer": {"_target_": "torch.optim.SGD", "lr": fields.pop("lr", 0.25)},
        "run_dir": str(folder),
        "trainer": {"max_epochs": 4},
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    OmegaConf.save(OmegaConf.create([f"model={model}"]), folder / "overrides.yaml")
    quoted = '"' + name.replace('"', '""') + '"'
    rows = "".join(f"{epoch},{epoch * 10},{0.5 / 8**epoch},{0.7 / 8**epoch}\n" for epoch in range(4))
    (folder / "metrics.csv").write_text(f"epoch,step,train/loss,{quoted}\n{rows}")
    summary = {
        "status": "completed",
        "model": model,
        "data": {"name": "xor", "sizes": {"train": 4}, "same_rows": True},
        "monitor": {"name": name, "mode": "min", "best": 0.7 / 8**3, "epoch": 3, "step": 30},
        "metrics": {"test/acc": 0.875, "test/acc_std": 0.0625},
        "last_epoch": {"train/loss": 0.5 / 8**3},
        "seconds": {"setup": 1.0, "fit": 80.5},
        "started": "2026-01-02T03:04:05+0000",
        "versions": {"python": "3.11.7", "torch": "2.10.0"},
        "git": {"revision": "0123456789abcdef", "dirty": True},
        "command": f"python train.py model={model} hydra.run.dir=elsewhere",
        "parameters": 1234,
        "epochs": 4,
        "seed": 0,
    }
    (folder / "summary.json").write_text(json.dumps({**summary, **fields}))
    return folder


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, one that failed, and a sweep."""
    root = tmp_path_factory.mktemp("pages") / "outputs"
    make_run(root / "xor/first", lr=0.25)
    make_run(root / "xor/second", lr=0.5, metrics={"test/acc": 0.5}, started="2026-01-03T00:00:00+0000")
    failed = root / "mlp/third"
    failed.mkdir(parents=True)
    error = {"type": "ValueError", "message": "no luck", "traceback": ["line 1\n", "line 2\n"]}
    (failed / "summary.json").write_text(json.dumps({"status": "failed", "model": "mlp", "error": error}))
    (root / "sweeps").mkdir()
    sweep = make_sweep(root / "sweeps/demo", {"optimizer.lr": LR, "seed": SEEDS})
    for job, lr in enumerate([0.001, 0.01, 0.1]):
        make_job(sweep, job, [f"optimizer.lr={lr}", f"seed={job}"], 1 / (job + 1))
    report.write(sweep)
    report.write_run(root / "xor/first")
    report.write_index(root)
    return root


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_page_fits_its_screen_and_has_the_ground_that_is_wished_for(
    outputs: Path, opened: Callable[..., Any], width: int, scheme: str
) -> None:
    for name in ("xor/first/report.html", "sweeps/demo/report.html", "index.html"):
        page = opened(outputs / name, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 23, 26)")
        assert page.locator(".uplot canvas").count() == {"xor": 1, "sweeps": 1}.get(name.partition("/")[0], 0)
        shown = page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert shown


def test_the_page_of_a_run_says_what_it_was(outputs: Path, opened: Callable[..., Any]) -> None:
    page = opened(outputs / "xor/first/report.html")
    text = page.inner_text("body")
    for words in (
        *("xor on xor", "completed", "2026-01-02 03:04", "1 min 22 s", "1,234 parameters", "python train.py model=xor"),
        *("0123456789abcdef, with changes that were not committed", "0.875 ± 0.062", "best val/loss (min, epoch 3)"),
        *("the same rows as those of training", "torch", "2.10.0", "Learning curves", "Decision", "metrics.csv"),
        *("scripts/evaluate.py", "scripts/predict.py", "scripts/export.py", "trainer.max_epochs=8"),
        "lr: 0.25   (default: 0.004)",
    ):
        assert words in text, words
    assert "hydra.run.dir" not in text  # the folder of this run is no part of how to repeat it
    assert page.locator(".config mark").count() > 0
    assert not page.is_visible("text=max_epochs: 4 >> nth=1")  # the rest of the config is folded away


def test_curves_are_read_off_zoomed_and_hidden(outputs: Path, opened: Callable[..., Any]) -> None:
    page = opened(outputs / "xor/first/report.html")
    assert page.inner_text(".chart button") == "log"
    assert page.get_attribute(".chart button", "aria-pressed") == "true"  # the loss spans two decades
    over = page.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    assert [value.strip() for value in page.locator(".u-value").all_inner_texts()] == ["0", "0.5", "0.7"]
    page.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20, steps=4)
    page.mouse.up()
    (plot,) = page.evaluate("[...drawn].map(plot => [plot.scales.x.min, plot.scales.x.max])")
    assert plot == pytest.approx([2, 3], abs=0.05)
    over.dblclick()
    assert page.evaluate("[...drawn].map(plot => plot.scales.x.min)") == [0]
    page.locator(".u-legend .u-series").nth(1).locator(".u-label").click()
    assert page.evaluate("[...drawn].map(plot => plot.series[1].show)") == [False]
    page.click(".chart button")
    assert page.evaluate("[...drawn].map(plot => plot.scales.y.distr)") == [1]


def test_the_index_sorts_filters_and_compares(outputs: Path, opened: Callable[..., Any]) -> None:
    page = opened(outputs / "index.html", 390)

    def names() -> list[str]:
        return page.locator("#runs tbody tr:visible td:nth-child(2)").all_inner_texts()

    assert len(names()) == 6
    assert names()[:2] == ["xor/second", "xor/first"]  # the latest first
    assert page.locator("#runs svg.spark").count() == 5
    page.click("#runs th:text-is('test/acc')")
    assert [name for name in names() if name.startswith("xor")] == ["xor/second", "xor/first"]
    page.click("#runs th:text-is('test/acc')")
    assert [name for name in names() if name.startswith("xor")] == ["xor/first", "xor/second"]
    assert names()[-1] == "mlp/third"  # what has no score stays last
    page.uncheck("#jobs")
    assert page.inner_text("#count") == "3 of 6 shown"
    page.fill("#filter", "FAILED mlp")
    assert names() == ["mlp/third"]
    page.fill("#filter", "")
    page.check("[data-run='0']")
    assert page.inner_text("#comparison") == ""
    page.check("[data-run='1']")
    told = page.inner_text("#comparison")
    assert re.search(r"optimizer\.lr\s+0\.5\s+0\.25", told)
    assert re.search(r"test/acc\s+0\.5\s+0\.875", told)
    assert "monitor" not in told  # in which they do not differ
    assert "run_dir" not in told
    assert page.locator("#comparison .uplot").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.uncheck("[data-run='1']")
    assert page.inner_text("#comparison") == ""


def test_links_lead_to_the_pages(outputs: Path, opened: Callable[..., Any]) -> None:
    report.write_run(outputs / "sweeps/demo/2")
    report.write(outputs / "sweeps/demo")
    page = opened(outputs / "sweeps/demo/report.html")
    found = page.evaluate("[...document.querySelectorAll('a')].map(link => link.getAttribute('href'))")
    assert found == ["2/report.html", "2/report.html", "1/", "0/"]
    index = (outputs / "index.html").read_text()
    for name in ("xor/first/report.html", "xor/second/", "sweeps/demo/report.html"):
        assert f'href="{name}"' in index
        assert (outputs / name).exists()


@pytest.mark.parametrize("name", [EVIL, "=cmd|' /C $title </style> ${y}", 'a"b,\x1b[31m\u202egnp'])
def test_no_name_does_harm(tmp_path: Path, opened: Callable[..., Any], name: str) -> None:
    as_file = re.sub("[/\x1b]", "_", name)
    folder = tmp_path / "outputs" / f"it's {as_file} #1%41?"
    make_run(folder, name=name, model=name, device=name, error={"type": name, "message": name, "traceback": [name]})
    (folder / "figures/captions.json").write_text(json.dumps({"decision": name}))
    (folder / "figures" / f"{as_file}.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(3)</script></svg>'
    )
    report.write_run(folder)
    report.write_index(tmp_path / "outputs")
    for path in (folder / "report.html", tmp_path / "outputs/index.html"):
        page = opened(path)
        assert page.locator("img[src='x']").count() == 0
        assert "\x1b" not in path.read_text()
        assert "\u202e" not in path.read_text()
    page.check("[data-run='0']")
    with page.expect_navigation():
        page.click("#runs a")
    assert page.url == (folder / "report.html").resolve().as_uri()
    assert page.locator("h1").inner_text().startswith(printable(name)[:8].strip())


def test_a_folder_says_what_there_is(tmp_path: Path, opened: Callable[..., Any]) -> None:
    """Of a run that failed, is running, was pruned, or has lost files, or of which some are damaged."""
    root = tmp_path / "outputs"
    for name, damage in {
        "empty": lambda run: [shutil.rmtree(run / "figures"), (run / "metrics.csv").unlink()],
        "damaged": lambda run: [(run / file).write_bytes(b"\xff{") for file in ("summary.json", "config.yaml")],
        "course": lambda run: (run / "metrics.csv").write_text("epoch,step,val/loss\n0,1,nan\n1,2,inf\n2,3,0.5\n3,"),
        "odd": lambda run: (run / "summary.json").write_text(
            json.dumps(
                {"status": "pruned", "monitor": [], "metrics": {"a": "b"}, "parameters": {}, "data": 3, "seed": []}
            )
        ),
        "running": lambda run: (run / "summary.json").write_text('{"status": "running"}'),
        "pictures": lambda run: (run / "figures/learning_curves.png").write_bytes(b"no picture"),
    }.items():
        damage(make_run(root / name))
        report.write_run(root / name)
    report.write_index(root)
    told = {run.name: opened(run / "report.html").inner_text("body") for run in root.iterdir() if run.is_dir()}
    assert "There is no metrics.csv." in told["empty"]
    assert "summary.json is missing or damaged" in told["damaged"]
    assert "config.yaml is missing or damaged" in told["damaged"]
    assert "The sweep gave the run up" in told["odd"]
    assert "was at work when this page was written" in told["running"]
    assert "Learning curves" not in told["pictures"]
    assert "6 runs, 0 sweeps" in opened(root / "index.html").inner_text("body")


def test_a_run_leaves_its_page_and_none_where_it_is_told_so(run: Callable[..., Finished], tmp_path: Path) -> None:
    few = ("model=xor", "trainer.max_epochs=2", "callbacks.figures.report=false")
    assert not (run(*few).folder / "report.html").exists()
    done = run(*few[:2])
    page = (done.folder / "report.html").read_text()
    assert page.count("<figure") == len(list((done.folder / "figures").glob("*.png"))) > 0
    assert "_target_: torch.optim.SGD   (default: torch.optim.AdamW)" in page
    assert "run_dir: " in page
    assert f"dirpath: {done.folder}/checkpoints   (default" not in page
    with pytest.raises(UserError, match="became"):
        run("model=linear_regression", "optimizer=sgd", "optimizer.lr=1e30", folder=tmp_path / "failed")
    assert "the training loss became" in (tmp_path / "failed/report.html").read_text()
    before = (done.folder / "report.html").stat().st_mtime_ns
    with pytest.raises(UserError, match="already holds a run"):
        run(*few[:2], folder=done.folder)
    assert (done.folder / "report.html").stat().st_mtime_ns == before


def test_the_defaults_are_known_where_hydra_runs_the_app(start: Callable[..., Process], tmp_path: Path) -> None:
    command = start("model=xor", "trainer=cpu", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'run'}")
    assert command.wait().code == 0
    assert "_target_: torch.optim.SGD   (default: torch.optim.AdamW)" in (tmp_path / "run/report.html").read_text()


def test_a_page_that_cannot_be_written_costs_a_warning(
    run: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kindling.report.run_page.run_page", lambda run: 1 / 0)
    assert run("model=xor", "trainer.max_epochs=1").summary["status"] == "completed"
    assert "WARNING: there is no report.html: ZeroDivisionError" in caplog.text


def test_the_script_knows_what_lies_in_a_folder(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.main([str(outputs / "xor/second")])
    script.main([str(outputs)])
    assert capsys.readouterr().out.splitlines() == [
        str(outputs / "xor/second/report.html"),
        str(outputs / "index.html"),
    ]
    with pytest.raises(SystemExit, match=r"error: .*is not the folder of a sweep or a run, nor one that holds some"):
        script.main([str(outputs / "xor/first/figures")])


def test_a_long_course_is_thinned_and_its_end_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = "".join(f"{epoch},{epoch},{epoch},\n" for epoch in range(10_001))
    (run / "metrics.csv").write_text(f"epoch,step,val/loss,fid\n{rows}")
    columns = RunFolder(run).columns(2000)
    assert len(columns["epoch"]) == 1668
    assert columns["val/loss"][-1] == 10_000
    assert columns["fid"] == [None] * 1668
    assert panels(columns) == {"loss": {"val/loss": "validation"}}


def test_what_a_page_embeds_ends_no_element_and_has_no_nan() -> None:
    assert "<" not in embedded({"a": "</script><!--", "b": [math.nan, math.inf, 1.5]})
    assert json.loads(embedded({"b": (math.nan, 1.5), EVIL: 1})) == {"b": [None, 1.5], EVIL: 1}
