"""The page of scripts/play.py in a real Chromium: drawn on, filled in, uploaded to; and what its server refuses."""

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

import play
from conftest import ROOT
from kindling import Run, compose, train
from kindling.config.quoting import quoted
from kindling.errors import UserError
from strokes import DIGITS

for package in ("fastapi", "uvicorn", "playwright"):
    pytest.importorskip(package, reason=f"{package} is missing; pip install -e '.[dev]'")
CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
QUIET = ["no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update"]
TABLE = "size,town,price\n" + "\n".join(
    f"{i % 17},{'north' if i % 2 else 'south'},{i % 17 + 9 * (i % 2)}" for i in range(60)
)
KINDS = {
    "mnist": ["model=mlp", "data.source=subset", "augmentation=affine", "trainer.max_epochs=12"],
    "xor": ["model=xor", "trainer.max_epochs=30"],
    "table": ["model=linear_regression", "data=csv", "data.path=TABLE", "data.target=price", "trainer.max_epochs=40"],
    "classes": [
        "model=mlp",
        "data=csv",
        "data.path=TABLE",
        "data.target=town",
        "data.task=multiclass",
        "trainer.max_epochs=2",
    ],
}
PICTURE = ROOT / "docs" / "figures" / "play.png"
NAMES = {"corner": (0.35, 0.62, 0.6, 14), "thin": (0.7, 0.15, 0.15, 4), "large": (0.95, 0.025, 0.025, 24)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The best checkpoint of a kind, alone: its folder and its table are gone."""
    root = tmp_path_factory.mktemp("play")
    made: dict[str, Path] = {}

    def checkpoint(kind: str) -> Path:
        if kind not in made:
            table = root / "table.csv"
            table.write_text(TABLE)
            overrides = [text.replace("TABLE", quoted(table)) for text in KINDS[kind]]
            train(compose([*overrides, "trainer=cpu", f"run_dir={quoted(root / kind)}"]))
            made[kind] = Path(shutil.copy(root / kind / "checkpoints" / "best.ckpt", root / f"{kind}.ckpt"))
            shutil.rmtree(root / kind)
            table.unlink()
        return made[kind]

    return checkpoint


@pytest.fixture(scope="module")
def served(checkpoint: Callable[[str], Path]) -> Iterator[Callable[[Any], str]]:
    """The address of the page of one of the KINDS, or of a run."""
    from kindling.play.server import bound, server_of
    from kindling.play.toy import Toy

    servers: dict[Any, tuple[Any, Thread, str]] = {}

    def served(what: Any) -> str:
        key = what if isinstance(what, str) else id(what)
        if key not in servers:
            listener = bound(0)
            server = server_of(Toy(Run(checkpoint(what)) if isinstance(what, str) else what))
            thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.01)
            servers[key] = (server, thread, f"http://127.0.0.1:{listener.getsockname()[1]}")
        return servers[key][2]

    yield served
    for server, thread, _ in servers.values():
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[f"--{name}" for name in [*QUIET, "disable-sync", "no-first-run"]]
        )
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, served: Callable[[Any], str]) -> Iterator[Callable[..., Any]]:
    """A page, in which nothing goes wrong and which asks no other server."""
    pages, wrong = [], []

    def opened(what: Any, width: int = 1000, scheme: str = "light") -> Any:
        address = served(what)
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: None if request.url.startswith((address, "data:")) else wrong.append(request.url)
        )
        page.goto(address)
        page.locator("#title", has_text=" on ").wait_for()
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert [text for text in wrong if "400 (Bad Request)" not in text] == []


def draw(page: Any, digit: int, size: float, left: float, top: float, pen: int) -> None:
    page.locator("#clear").click()
    page.locator("#pen").fill(str(pen))
    box = page.locator("#pad").bounding_box()

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = left + size * point[0], top + size * point[1]
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    for first, *others in DIGITS[digit]:
        page.mouse.move(*place(first))
        page.mouse.down()
        for point in others:
            page.mouse.move(*place(point), steps=2)
        page.mouse.up()


def read(page: Any) -> str:
    """The answer, once nothing is asked any more."""
    page.locator("body[aria-busy=false]").wait_for()
    return str(page.locator(".bar.first > span").inner_text())


@needs_chromium
def test_drawings_are_read(opened: Callable[..., Any]) -> None:
    """Ten digits, each in a corner, thin and large."""
    page = opened("mnist")
    wrong = []
    for name, (size, left, top, pen) in NAMES.items():
        for digit in DIGITS:
            draw(page, digit, size, left, top, pen)
            if (answer := read(page)) != str(digit):
                wrong.append(f"{digit}, {name}: {answer}")
    assert len(wrong) <= 3, wrong


@needs_chromium
def test_it_answers_while_the_pen_moves(opened: Callable[..., Any]) -> None:
    page = opened("mnist", width=390, scheme="dark")
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.48 * box["width"], box["y"] + 0.8 * box["height"], steps=9)
    assert read(page) == "1"  # the pen is down
    assert page.locator(".bar").count() == 10
    assert (
        page.locator("#hidden")
        .inner_text()
        .endswith("fire; the strongest gives " + page.locator("#hidden p").inner_text().split()[-1])
    )
    assert page.locator("#seen").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    page.mouse.up()
    page.locator("#clear").click()
    page.locator("#answer").wait_for(state="hidden")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def photo(digit: int) -> bytes:
    """Dark strokes on light paper, with a shadow."""
    rows, columns = np.indices((400, 500))
    paper = Image.fromarray((230 - 0.2 * columns + rows * 0.02).astype(np.uint8))
    for stroke in DIGITS[digit]:
        ImageDraw.Draw(paper).line([(330 + 90 * x, 20 + 120 * y) for x, y in stroke], fill=40, width=8, joint="curve")
    buffer = BytesIO()
    paper.save(buffer, "JPEG")
    return buffer.getvalue()


@needs_chromium
def test_a_photo_is_read_and_other_files_are_refused(opened: Callable[..., Any]) -> None:
    page = opened("mnist")
    for digit in (3, 7):
        page.locator("#file").set_input_files({"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo(digit)})
        page.locator("#seen").wait_for()
        assert read(page) == str(digit)
    blank = BytesIO()
    Image.new("L", (50, 50), 255).save(blank, "PNG")
    for name, content, sentence in (
        ("photo.png", b"no picture", "photo.png: not a readable image"),
        ("rows.csv", b"a,b\n1,2\n", "rows.csv: is no image; give a photo (PNG, JPEG, ...)"),
        ("blank.png", blank.getvalue(), "blank.png: has no strokes that stand out from their ground"),
    ):
        page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        page.locator("#error", has_text=name).wait_for()
        assert page.locator("#error").inner_text().startswith(sentence)


@needs_chromium
@pytest.mark.parametrize("width", [1000, 390])
def test_xor_has_sliders_on_its_surface(width: int, opened: Callable[..., Any]) -> None:
    page = opened("xor", width)
    for x1, x2 in ((0, 0), (0, 1), (1, 0), (1, 1)):
        page.locator("#feature0").fill(str(x1))
        page.locator("#feature1").fill(str(x2))
        assert read(page) == str(x1 ^ x2)
    page.locator("#form input[type=range]").first.fill("0")
    assert read(page) == "1"
    box = page.locator("#plane").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 6, box["y"] + box["height"] * 5 / 6)
    assert read(page) == "0"
    assert [float(page.locator(f"#feature{place}").input_value()) for place in (0, 1)] == pytest.approx(
        [0, 0], abs=0.02
    )
    assert page.evaluate("document.documentElement.scrollWidth") == width


@needs_chromium
def test_a_table_has_a_form_with_the_effect_of_each_feature(
    opened: Callable[..., Any], checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    page = opened("table", 390)
    run = Run(checkpoint("table"))
    for size, town in ((3, "north"), (10, "south"), (100, "")):
        page.locator("#feature0").fill(str(size))
        if town:
            page.locator("#feature1").select_option(town)
        page.locator("body[aria-busy=false]").wait_for()
        told = float(page.locator(".number").inner_text())
        table = pd.DataFrame({"size": [size], "town": [town or "south"]})
        assert told == pytest.approx(run.predict(table)["prediction"].item(), rel=1e-3)
    mean, std = run.described.encoder.mean[0], run.described.encoder.std[0]
    note = page.locator(".feature .quiet").inner_text()
    assert [float(word) for word in re.findall(r"-?[\d.]+", note)[:2]] == pytest.approx(
        [mean - 2 * std, mean + 2 * std], rel=1e-3
    )
    assert page.locator(".feature rect").count() == 2
    assert page.locator("#formtitle").inner_text() == "Features, and the effect of each on price"
    page.locator("#feature0").fill("")
    page.locator("#error", has_text="size: should be a finite number, and is None").wait_for()
    page.locator("#file").set_input_files(
        {"name": "new.csv", "mimeType": "text/csv", "buffer": b"town,size\nnorth,3\nsouth,4\n"}
    )
    page.locator("#count", has_text="2 rows").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@needs_chromium
def test_any_model_with_an_example_takes_an_array(opened: Callable[..., Any]) -> None:
    """A plain LightningModule of a user's."""
    page = opened(plain_run())
    buffer = BytesIO()
    np.save(buffer, np.ones((25, 3, 4), np.float32))
    page.locator("#file").set_input_files(
        {"name": "x.npy", "mimeType": "application/octet-stream", "buffer": buffer.getvalue()}
    )
    page.locator("#count", has_text="The first 20 of 25 rows").wait_for()
    assert page.locator("tbody tr").count() == 20
    assert page.locator("thead").inner_text().split() == ["prediction_0", "prediction_1"]
    buffer = BytesIO()
    np.save(buffer, np.ones((25, 3, 5)))
    page.locator("#file").set_input_files(
        {"name": "y.npy", "mimeType": "application/octet-stream", "buffer": buffer.getvalue()}
    )
    page.locator("#error", has_text="y.npy: has rows of shape [3, 5], and the model takes [3, 4]").wait_for()


@needs_chromium
def test_its_picture(opened: Callable[..., Any], tmp_path: Path) -> None:
    """With PICTURES=1 in the environment, that of the README is made anew."""
    page = opened("mnist", 900)
    draw(page, 2, 0.8, 0.1, 0.1, 18)
    assert read(page) == "2"
    path = PICTURE if os.environ.get("PICTURES") else tmp_path / "play.png"
    page.screenshot(path=path)
    assert PICTURE.stat().st_size < 150_000


def test_the_server_answers_this_machine_alone(served: Callable[[Any], str]) -> None:
    address = served("xor")
    row = {"content": b"[0, 1]", "headers": {"Content-Type": "application/octet-stream"}}
    found = httpx.post(f"{address}/row", **row).json()
    assert (found["names"], found["of"]) == (["0", "1"], "1")
    assert httpx.get(address, headers={"Host": "example.org"}).status_code == 400
    assert httpx.get(address, headers={"Host": "127.0.0.1.example.org"}).status_code == 400
    assert httpx.get(address, headers={"Host": "localhost:1234"}).status_code == 200
    assert "connect-src 'self'" in httpx.get(address).headers["Content-Security-Policy"]
    assert httpx.get(f"{address}/docs").status_code == 404
    port = int(address.rpartition(":")[2])
    assert [
        family for family in ("127.0.0.2", socket.gethostbyname(socket.gethostname())) if answers(family, port)
    ] == []


def answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return host != "127.0.0.1" and probe.connect_ex((host, port)) == 0


@pytest.mark.parametrize(
    ("path", "content", "sentence"),
    [
        ("row", b"[0]", "a row should be a list of 2 values"),
        ("row", b"[0, NaN]", "x2: should be a finite number, and is nan"),
        ("row", b"[0, 1e39]", "x2: should be a finite number"),
        ("row", b"[true, 1]", "x1: should be a finite number, and is True"),
        ("row", b'[0, "1"]', "x2: should be a finite number"),
        ("row", b"[" * 50_000, "a row should be a list of values in JSON"),
        ("row", b" " * 2**17, "more than 64 KiB were sent, which are the most"),
        ("drawing", bytes(100), "a drawing should be a square of 3 to 512 pixels a side, a byte each"),
        ("drawing", bytes(600**2), "more than 256 KiB were sent, which are the most"),
        ("file?name=../x.csv", b"a,b\n1\n", "../x.csv: "),
        ("file?name=x.npy", b"\x93NUMPY", "x.npy: not a readable .npy file"),
        ("file?name=x.exe", b"MZ", "x.exe: is no input of this model; give a .npy or .csv file with rows of shape [2]"),
        ("file?name=x.npy", bytes(2**26 + 1), "more than 64 MiB were sent, which are the most"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    path: str, content: bytes, sentence: str, served: Callable[[Any], str]
) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    answer = httpx.post(f"{served('xor')}/{path}", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert httpx.post(f"{served('xor')}/{path}", content=content).status_code == 400  # as a form of another site could


def test_classes_of_a_table_have_probabilities(checkpoint: Callable[[str], Path]) -> None:
    from kindling.play.toy import Toy

    toy = Toy(Run(checkpoint("classes")))
    assert [feature["name"] for feature in toy.about()["features"]] == ["size", "price"]
    found = toy.row([3.0, 4.0])
    assert found["names"] == ["north", "south"]
    assert sum(found["values"]) == pytest.approx(1)
    assert [len(effect["predictions"]) for effect in found["effects"]] == [25, 25]
    json.dumps(found)


def test_a_model_that_nobody_can_ask_is_told() -> None:
    from kindling.play.toy import Toy

    run = plain_run()
    run.model.example_input_array = None
    with pytest.raises(
        UserError, match="has no example_input_array that is a tensor, and its data have no read_inputs"
    ):
        Toy(run)


class Plain(L.LightningModule):
    """Not of Kindling's own: it has an example, and its data do not read."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 4)
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).sum(dim=1)


def plain_run() -> Any:
    return SimpleNamespace(path=Path("RUN"), model=Plain().eval(), described=L.LightningDataModule())


def test_a_missing_package_or_a_taken_port_is_told(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(checkpoint("xor"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            SystemExit, match=f"^error: --port {port}: Address already in use; --port 0 takes a free one$"
        ):
            play.main([run, "--port", str(port)])
    with pytest.raises(SystemExit, match=r"^error: --port 99999: a port is a number from 0 to 65535; --port 0 takes"):
        play.main([run, "--port", "99999"])
    monkeypatch.setattr(play, "find_spec", lambda name: None)
    with pytest.raises(
        SystemExit, match=r"^error: fastapi, uvicorn missing; pip install -e '\.\[play\]' installs what"
    ):
        play.main([run])
