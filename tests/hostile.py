"""Hostile files, and a run of a script on one of them under limits of time and memory."""

import contextlib
import importlib
import json
import os
import resource
import struct
import sys
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from torture import train_py

SECONDS, MEMORY = 20, 4 * 2**30


@dataclass
class Ended:
    code: int
    seconds: float
    memory: int  # bytes, at its peak
    text: str


def limited(argv: list[str], output: Path) -> Ended:
    """A script of this project in a process of its own, which is killed where it takes too long."""
    start, pid = time.monotonic(), os.fork()
    if pid == 0:
        with contextlib.suppress(ValueError, OSError):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        os._exit(train_py(argv[1:], output) if argv[0] == "train" else script(argv, output))
    while not (done := os.wait4(pid, os.WNOHANG))[0]:
        if time.monotonic() - start > SECONDS:
            os.kill(pid, 9)
        time.sleep(0.01)
    return Ended(
        os.waitstatus_to_exitcode(done[1]), time.monotonic() - start, 1024 * done[2].ru_maxrss, output.read_text()
    )


def script(argv: list[str], output: Path) -> int:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    warnings.resetwarnings()
    warnings.simplefilter("default")
    torch.set_num_threads(1)
    try:
        importlib.import_module(argv[0]).main(argv[1:])
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def files_in(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in folder.rglob("*") if path.name != ".lock"}


# What makes the file in a folder, from the checkpoint of a run, and the arguments of the script that is to refuse it.
Case = Callable[[Path, dict[str, Path]], list[str]]
CASES: dict[str, Case] = {}


def saved(folder: Path, content: Any) -> str:
    torch.save(content, folder / "x.ckpt")
    return str(folder / "x.ckpt")


def changed(run: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = torch.load(run, weights_only=True)
    change(content)
    return content


def checkpoint(name: str, change: Callable[[dict[str, Any]], object], of: str = "digits") -> None:
    CASES[f"checkpoint: {name}"] = lambda folder, runs: ["evaluate", saved(folder, changed(runs[of], change))]


def config(name: str, section: str, of: str = "digits", **settings: Any) -> None:
    checkpoint(name, lambda content: content["config"][section].update(settings), of)


def layer(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"torch.nn.{name}", **arguments}


def laughs(count: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(count):
        value = [value, value]
    return value


def loss(name: str, node: dict[str, Any]) -> None:
    checkpoint(f"loss, {name}", lambda content: content["config"].update(loss=node))


loss("4 TB", layer("Linear", in_features=10**6, out_features=10**6))
loss("beyond 64 bits", layer("Linear", in_features=2**62, out_features=10**6))
loss("beyond any", layer("Linear", in_features=10**400, out_features=1))
loss("below nothing", layer("Linear", in_features=-1, out_features=2))
loss("in a list", layer("Sequential", _args_=[layer("Linear", in_features=10**6, out_features=10**6)]))
loss("a billion layers", layer("Transformer", num_encoder_layers=10**9))
loss("layers in square time", layer("LSTM", input_size=1, hidden_size=1, num_layers=10**9))
loss("thresholds", {"_target_": "torchmetrics.classification.BinaryROC", "thresholds": 2 * 10**9})
loss("a matrix of classes", {"_target_": "torchmetrics.classification.MulticlassConfusionMatrix", "num_classes": 10**6})
for size in (10**9, 2**62, 10**400, 0, -1):
    config(
        f"a layer of {size:.0e}" if size < 10**9 else f"a layer of {len(str(size))} digits",
        "model",
        hidden_features=[size],
    )
config("as many layers as it may name", "model", hidden_features=[1] * 90_000)
config("a module for a name", "model", activation=layer("ReLU"))
config("a huge module for a name", "model", activation=layer("Linear", in_features=10**6, out_features=10**6))
config("a huge module in the model", "model", loss=layer("Linear", in_features=10**6, out_features=10**6))
config("a huge module in the data", "data", seed=layer("Linear", in_features=10**6, out_features=10**6))
config("an argument without a name", "data", _args_=["/etc"])
config("a batch beyond 64 bits", "data", batch_size=10**30)
config("a batch of 400 digits", "data", batch_size=10**400)
config("a trillion samples", "data", "linear", num_samples=10**12)
config("a trillion features", "data", "linear", in_features=10**12)
config("a table that is a device", "data", "csv", path="/dev/zero")
config("a table that is a folder", "data", "csv", path="/")
checkpoint("a config that repeats itself", lambda content: content["config"].update(x=laughs(18)))
checkpoint("callbacks that repeat themselves", lambda content: content.update(callbacks=laughs(50)))
checkpoint("a format of 5,000 digits", lambda content: content["kindling"].update(format=10**5000))
checkpoint("shapes below nothing", lambda content: content["Digits"].update(row_shape=[1, -8, -8]))
checkpoint("shapes beyond everything", lambda content: content["Digits"].update(row_shape=[10**9, 10**9, 10**9]))
checkpoint("a shape that is a text", lambda content: content["Digits"].update(row_shape="888"))
checkpoint("a mean of nothing", lambda content: content["Digits"].update(mean=[]))
checkpoint("classes of no number", lambda content: content["Digits"]["task"].update(classes=3))
checkpoint(
    "tensors that stand for a terabyte",
    lambda content: content.update(x=[torch.ones(1).expand(2**24) for _ in range(2**11)]),
)
checkpoint("three million values", lambda content: content.update(x=[None] * 3_000_000))


def case(name: str) -> Callable[[Case], Case]:
    def keep(make: Case) -> Case:
        CASES[name] = make
        return make

    return keep


@case("checkpoint: a pipe")
def _(folder: Path, runs: dict[str, Path]) -> list[str]:
    os.mkfifo(folder / "x.ckpt")
    return ["evaluate", str(folder / "x.ckpt")]


@case("checkpoint: a terabyte of nothing")
def _(folder: Path, runs: dict[str, Path]) -> list[str]:
    with (folder / "x.ckpt").open("wb") as file:
        file.write(b"PK\3\4")
        file.truncate(2**40)
    return ["evaluate", str(folder / "x.ckpt")]


@case("checkpoint: a hundred thousand parts")
def _(folder: Path, runs: dict[str, Path]) -> list[str]:
    with zipfile.ZipFile(folder / "x.ckpt", "w") as archive:
        for number in range(100_000):
            archive.writestr(f"x/{number}", b"")
    return ["evaluate", str(folder / "x.ckpt")]


# New inputs.


def predict(run: Path, source: Path, *more: str) -> list[str]:
    return ["predict", str(run), "--input", str(source), "--output", str(source.parent / "out.csv"), *more]


def given(name: str, file: str, content: Callable[[], bytes], of: str = "digits", size: int | None = None) -> None:
    """A file with that content; a picture in a folder; `size`: made so long without writing to it."""

    def make(folder: Path, runs: dict[str, Path]) -> list[str]:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content())
        if size:
            os.truncate(path, size)
        return predict(runs[of], path.parent if "/" in file else path)

    CASES[f"input: {name}"] = make


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


given("a huge shape", "x.npy", lambda: header("(1000000000000, 64)"))
given("a shape beyond 64 bits", "x.npy", lambda: header("(4611686018427387904, 4611686018427387904)"))
given("a shape of 400 digits", "x.npy", lambda: header(f"({10**400}, 64)"))
given("a shape below nothing", "x.npy", lambda: header("(-1, 64)"))
given("a header of 4 GB", "x.npy", lambda: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), size=2**33)
given("a long array of nothing", "x.npy", lambda: header("(30000000, 64)"), size=128 + 30_000_000 * 256)
given("objects", "x.npy", lambda: npy(np.array([[{}] * 64], dtype=object)))
for value in ("1e300", "nan", "inf"):
    given(value, "x.npy", lambda value=value: npy(np.full((2, 64), float(value))))
given("complex numbers", "x.npy", lambda: npy(np.ones((2, 64), complex)))
given("an archive", "x.npy", lambda: b"PK\3\4")
given("a million columns", "x.csv", lambda: b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "csv")
given("a line without an end", "x.csv", lambda: b"size,age,town\n1,2,north\n", "csv", 2**36)
given("zero bytes", "x.csv", lambda: b"size,age,town\n1,2,no\0rth\n", "csv")
given("400 digits", "x.csv", lambda: f"size,age,town\n{10**400},2,north\n".encode(), "csv")
given("1e300 in a table", "x.csv", lambda: b"size,age,town\n1e300,2,north\n", "csv")
given(
    "400 digits for a picture",
    "x.csv",
    lambda: (",".join("abcdefgh" * 8) + "\n" + ",".join([f"{10**400}"] * 64)).encode(),
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 8, height: int = 8) -> bytes:
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(9 * 8)))
    return b"\x89PNG\r\n\x1a\n" + size + b"".join(chunks) + rows + chunk(b"IEND", b"")


def picture(image: Image.Image, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


SQUARE = Image.new("L", (8, 8))
given("200 MB of text", "x/x.png", lambda: png(chunk(b"tEXt", b"a\0" + bytes(200 * 10**6))))
given("packed text", "x/x.png", lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 * 10**6)))))
given("packed colours", "x/x.png", lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**9)))))
given("an empty gamma", "x/x.png", lambda: png(chunk(b"gAMA", b"")))
given("four billion pixels", "x/x.png", lambda: png(width=60_000, height=60_000))
given("150 million pixels", "x/x.png", lambda: png(width=15_000, height=10_000))
given("no rows", "x/x.png", lambda: png()[:44])
given(
    "an animation",
    "x/x.png",
    lambda: picture(SQUARE, format="PNG", save_all=True, append_images=[Image.new("L", (8, 8), 9)]),
)
given("numbers for grey", "x/x.png", lambda: picture(Image.new("F", (8, 8)), format="TIFF"))
given("a script", "x/x.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
given("8 bits of 16", "x/x.png", lambda: picture(Image.fromarray(np.full((8, 8), 200, np.uint16)), format="PNG"))

for file in ("x.npy", "x.csv", "x/x.png", "x/x.jpg"):
    for kind in ("a pipe", "a device", "a folder"):

        @case(f"input: {kind} named {file}")
        def _(folder: Path, runs: dict[str, Path], file: str = file, kind: str = kind) -> list[str]:
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            if kind == "a pipe":
                os.mkfifo(path)
            elif kind == "a device":
                path.symlink_to("/dev/zero")
            else:
                path.mkdir()
            return predict(runs["csv" if file == "x.csv" else "digits"], path.parent if "/" in file else path)


# What is in folders.

LAUGHS = "a: &a [1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


def folder_of(run: Path, folder: Path, name: str, content: str | None) -> Path:
    """A copy of the records of a run, of which one is replaced; None: by a pipe."""
    (folder / "run").mkdir()
    for file in ("config.yaml", "overrides.yaml", "summary.json", "metrics.csv"):
        (folder / "run" / file).write_text((run.parents[1] / file).read_text())
    (folder / "run" / name).unlink()
    if content is None:
        os.mkfifo(folder / "run" / name)
    else:
        (folder / "run" / name).write_text(content)
    return folder / "run"


def resumed(name: str, file: str, content: str | None) -> None:
    CASES[f"resume: {name}"] = lambda folder, runs: [
        "train",
        f"resume={folder_of(runs['digits'], folder, file, content)}",
    ]


for file in ("config.yaml", "overrides.yaml", "summary.json"):
    resumed(f"a pipe named {file}", file, None)
resumed("a pipe for its scores", "metrics.csv", None)
resumed("a config that repeats itself", "config.yaml", LAUGHS)
resumed("overrides that repeat themselves", "overrides.yaml", LAUGHS)
resumed("a number of base 60", "config.yaml", "seed: 1" + ":1" * 400_000)
resumed("a number of 400 digits", "config.yaml", f"seed: {10**400}")
resumed("a config of 100 MB", "config.yaml", "a: " + "b" * 10**8)
resumed("a deep config", "config.yaml", "[" * 100_000)
resumed("a deep summary", "summary.json", "[" * 100_000)
resumed("a long override", "overrides.yaml", f"- data.path={'[' * 50_000}")
resumed("many overrides", "overrides.yaml", "- seed=1\n" * 50_000)
resumed(
    "overrides that hold each other",
    "overrides.yaml",
    json.dumps([f"+x{i}=" + f"${{x{i + 1}}}" * 10 for i in range(10)]),
)
resumed("a range of overrides", "overrides.yaml", json.dumps(["seed=range(0,1000000000000)"]))


@case("compare: a config that repeats itself")
def _(folder: Path, runs: dict[str, Path]) -> list[str]:
    other = folder_of(runs["digits"], folder, "config.yaml", LAUGHS)
    return ["runs", "compare", str(runs["digits"].parents[1]), str(other)]


@case("weights: a pipe")
def _(folder: Path, runs: dict[str, Path]) -> list[str]:
    os.mkfifo(folder / "x.pt")
    return ["train", "data=digits", "trainer=cpu", f"init_from={folder / 'x.pt'}", f"hydra.run.dir={folder / 'run'}"]


for name, content in {
    "a sweep that repeats itself": LAUGHS,
    "a sweep of 100 MB": "a: " + "b" * 10**8,
    "a pipe": None,
}.items():

    @case(f"sweep: {name}")
    def _(folder: Path, runs: dict[str, Path], content: str | None = content) -> list[str]:
        if content is None:
            os.mkfifo(folder / "sweep.yaml")
        else:
            (folder / "sweep.yaml").write_text(content)
        return ["report", str(folder)]


for name, path in {"a device": "/dev/zero", "a pipe": None}.items():

    @case(f"train: {name} for a table")
    def _(folder: Path, runs: dict[str, Path], path: str | None = path) -> list[str]:
        if path is None:
            os.mkfifo(folder / "x.csv")
        table = path or folder / "x.csv"
        return [
            "train",
            "model=linear_regression",
            "data=csv",
            f"data.path={table}",
            "data.target=y",
            f"hydra.run.dir={folder / 'run'}",
        ]


FAST = [
    "checkpoint: loss, 4 TB",
    "checkpoint: loss, thresholds",
    "checkpoint: a layer of 19 digits",
    "checkpoint: a module for a name",
    "checkpoint: an argument without a name",
    "checkpoint: callbacks that repeat themselves",
    "input: a header of 4 GB",
    "input: 1e300",
    "input: a million columns",
    "input: an empty gamma",
    "input: a pipe named x/x.png",
    "resume: a config that repeats itself",
    "sweep: a pipe",
]
