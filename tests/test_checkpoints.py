"""Checkpoints: no file harms who opens it, no damage goes unnoticed, no failure costs the checkpoint before."""

import io
import os
import pickle
import random
import resource
import signal
import struct
import tarfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import AsyncCheckpointIO
from torch import nn

from conftest import Finished, compose_config
from kindling.checkpoints.format import FORMAT, load
from kindling.checkpoints.write import AtomicCheckpointIO, Sink
from kindling.errors import UserError
from kindling.running.build import build
from kindling.running.train import train

Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a run leaves behind."""
    folder = tmp_path_factory.mktemp("good")
    train(compose_config("model=xor", "trainer.max_epochs=1", "~callbacks.figures", f"run_dir={folder}"))
    return (folder / "checkpoints" / "best.ckpt").read_bytes()


def refused(path: Path) -> str:
    """Why the file was not loaded: one printable sentence of moderate length that names it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as info:
        load(path)
    text = str(info.value)
    assert text.startswith(f"{path} ")
    assert text.isprintable()
    assert len(text) < len(str(path)) + 250
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB, or bytes on macOS
    return text.removeprefix(f"{path} ")


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


def test_a_checkpoint_holds_its_weights_config_and_format(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(good)
    checkpoint = load(tmp_path / "x.ckpt")
    assert same(checkpoint, torch.load(tmp_path / "x.ckpt", weights_only=True))
    assert checkpoint["kindling"]["format"] == FORMAT == 1
    assert checkpoint["config"]["model"]["_target_"] == "kindling.models.xor.XOR"
    assert sum(weight.numel() for weight in checkpoint["state_dict"].values()) == 17


def test_what_users_put_into_checkpoints_loads(good: bytes, tmp_path: Path) -> None:
    own = {
        "generator": torch.get_rng_state(),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "byte": torch.ones(3).to(torch.float8_e4m3fn),
        "empty": torch.zeros(0, 5),
        "parameter": nn.Parameter(torch.ones(2)),
        "view": torch.arange(10)[2:5],
        "transposed": torch.arange(6).reshape(2, 3).T,
        "expanded": torch.ones(1).expand(100_000),  # more than there is of the file, but not too much
        "rest": (None, True, 2**70, -1, 0.5, 1j, "ü\n", {1, 2}, {(1, "a"): []}, torch.Size([2]), torch.float16),
    }
    torch.save({**checkpoint_of(good), "own": own}, tmp_path / "x.ckpt")
    assert same(load(tmp_path / "x.ckpt")["own"], own)


def test_a_loaded_checkpoint_does_not_depend_on_its_file(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(good)
    checkpoint = load(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes(b"")
    assert same(checkpoint["state_dict"], checkpoint_of(good)["state_dict"])


# Files that somebody else made. Each maker gets the checkpoint that it starts from, and a command to run.


class Payload:
    """Runs `function(*arguments)` where an unpickler trusts it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class Storage:
    """The claim that the record `key` holds so many floats."""

    def __init__(self, key: str, num_floats: int) -> None:
        self.claim = ("storage", torch.FloatStorage, key, "cpu", num_floats)


def checkpoint_of(content: bytes) -> dict[str, Any]:
    return torch.load(io.BytesIO(content), weights_only=True)


def tensor(storage: Storage, size: tuple[int, ...], stride: tuple[int, ...], hooks: object = None) -> Payload:
    return Payload(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, hooks or OrderedDict())


def pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle._Pickler(buffer, 2)
    pickler.persistent_id = lambda item: getattr(item, "claim", None)
    pickler.dump(content)
    return buffer.getvalue()


def archive(data: bytes, compression: int = zipfile.ZIP_STORED, **records: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("x/data.pkl", data)
        file.writestr("x/byteorder", b"little")
        file.writestr("x/version", b"3\n")
        for name, record in records.items():
            file.writestr(f"x/data/{name.lstrip('_')}", record)
    return buffer.getvalue()


def claiming(weight: Payload) -> bytes:
    return pickled({"state_dict": {"net.0.weight": weight}, "config": {}})


def saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def with_(good: bytes, **changes: Any) -> dict[str, Any]:
    return {**checkpoint_of(good), **changes}


def configured(good: bytes, **changes: Any) -> bytes:
    checkpoint = checkpoint_of(good)
    return saved({**checkpoint, "config": {**checkpoint["config"], **changes}})


def weights(good: bytes, value: Any) -> Any:
    return {**checkpoint_of(good), "state_dict": {"net.0.weight": value}}


def tar_file(good: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    return buffer.getvalue()


def nested(depth: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(depth):
        value = kind([value])
    return value


def nested_key(depth: int) -> bytes:
    return b"\x80\x02})" + b"\x85" * depth + b"Ns."


def holding_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def laughs(count: int) -> list[Any]:
    """2^count leaves, in count lists."""
    value: list[Any] = ["ha"]
    for _ in range(count):
        value = [value, value]
    return value


def grown(content: bytes) -> bytes:
    """The list of contents claims that a part is 10 GB long."""
    entry = content.index(b"PK\1\2")
    return content[: entry + 20] + struct.pack("<II", 2**32 - 2, 2**32 - 2) + content[entry + 28 :]


def two_ends(good: bytes) -> bytes:
    """Some readers follow the pointer to the end of the archive, some look where it usually is."""
    locator = good.rindex(b"PK\6\7")
    return good[: locator + 8] + struct.pack("<Q", 0) + good[locator + 16 :]


def twice_named(good: bytes) -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return archive(pickled({}), _0=b"0", __0=b"1")


def torchscript() -> bytes:
    buffer = io.BytesIO(archive(pickled({})))
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("x/constants.pkl", pickled(()))
    return buffer.getvalue()


def other_zip(good: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    return buffer.getvalue()


def state_of(value: object) -> bytes:
    """BUILD on something that is no OrderedDict."""
    return pickled([value])[:-1] + b"}b."


SIZE = 2_500_000_000  # floats: 10 GB
RUNS = "was not loaded: it names posix.system, where a checkpoint has plain data alone"
HOSTILE: dict[str, tuple[Callable[[bytes, str], bytes], str]] = {
    "a command": (lambda good, run: saved(Payload(os.system, run)), RUNS),
    "a command among the weights": (lambda good, run: saved(weights(good, Payload(os.system, run))), RUNS),
    "a command in the config": (lambda good, run: configured(good, model={"a": [Payload(os.system, run)]}), RUNS),
    "a command in a key": (lambda good, run: saved(with_(good, **{"x": {Payload(os.system, run): 1}})), RUNS),
    "code": (lambda good, run: saved(Payload(eval, f"__import__('os').system({run!r})")), "it names __builtin__.eval"),
    "a process": (lambda good, run: saved(Payload(__import__("subprocess").Popen, run, -1)), "it names commands.Popen"),
    "a command by protocol 4": (
        lambda good, run: saved(Payload(os.system, run), pickle_protocol=4),
        "it makes objects",
    ),
    "a module": (lambda good, run: saved(nn.Linear(2, 2)), "it names torch.nn.modules.linear.Linear"),
    "a function of torch": (lambda good, run: saved(Payload(torch.load, "x")), "it names torch.serialization.load"),
    "a numpy number": (lambda good, run: saved(with_(good, x=np.float64(1))), "it names numpy"),
    "terminal codes": (lambda good, run: archive(b"\x80\x02c\x1b[31mos\nsystem\n."), "it names \\x1b[31mos.system"),
    "a plain pickle": (lambda good, run: pickle.dumps(Payload(os.system, run)), "is not a checkpoint: torch.save"),
    "torch's old format": (
        lambda good, run: saved({}, _use_new_zipfile_serialization=False),
        "is in the format of torch before 1.6",
    ),
    "a command in torch's old format": (
        lambda good, run: saved(Payload(os.system, run), _use_new_zipfile_serialization=False),
        "is in the format of torch before 1.6",
    ),
    "a tar file": (lambda good, run: tar_file(good), "is not a checkpoint: torch.save writes a zip archive"),
    "100 GB of bytes": (lambda good, run: saved(Payload(bytearray, 10**11)), "it names __builtin__.bytearray"),
    "a tensor made of a number": (lambda good, run: saved(Payload(torch.Tensor, SIZE)), "it names torch.Tensor"),
    "a storage of 10 GB": (
        lambda good, run: archive(claiming(tensor(Storage("0", SIZE), (SIZE,), (1,))), _0=bytes(16)),
        "is damaged (its content does not fit together)",
    ),
    "a view larger than its storage": (
        lambda good, run: archive(claiming(tensor(Storage("0", 4), (SIZE,), (1,))), _0=bytes(16)),
        "is damaged (its content does not fit together)",
    ),
    "a stride beyond the storage": (
        lambda good, run: archive(claiming(tensor(Storage("0", 4), (2,), (2**40,))), _0=bytes(16)),
        "is damaged (its content does not fit together)",
    ),
    "a number seen 10^12 times": (
        lambda good, run: archive(claiming(tensor(Storage("0", 4), (10**12,), (0,))), _0=bytes(16)),
        "it has a tensor of shape [1000000000000], which is more than the file holds",
    ),
    "a number seen more often than 64 bits count": (
        lambda good, run: archive(pickled(tensor(Storage("0", 4), (2**32, 2**32, 4), (0, 0, 0))), _0=bytes(16)),
        "",
    ),
    "many storages of the same bytes": (
        lambda good, run: archive(
            pickled([tensor(Storage(str(i), 25_000), (25_000,), (1,)) for i in range(100)]),
            **{f"_{i}": b"" for i in range(100)},
            _last=bytes(100_000),
        ),
        "is damaged (its content does not fit together)",
    ),
    "hooks": (
        lambda good, run: archive(pickled(tensor(Storage("0", 4), (4,), (1,), {0: torch.Size})), _0=bytes(16)),
        "it holds a Tensor, which is not plain data",
    ),
    "an item set in a tensor": (
        lambda good, run: archive(pickled([tensor(Storage("0", 4), (4,), (1,))])[:-2] + b"K\0K\0sa.", _0=bytes(16)),
        "is damaged (its parts do not fit together)",
    ),
    "attributes of a tensor": (lambda good, run: archive(state_of(Payload(torch.Size, ()))), "do not fit together"),
    "a sparse tensor": (
        lambda good, run: saved(torch.eye(3).to_sparse()),
        "it names torch._utils._rebuild_sparse_tensor",
    ),
    "a compressed archive": (
        lambda good, run: archive(pickled({}), zipfile.ZIP_DEFLATED, _0=bytes(20_000_000)),
        "is not a checkpoint: it is compressed, which torch.save never does",
    ),
    "a part of 4 GB that is not there": (lambda good, run: grown(good), "is damaged (it claims to hold more"),
    "an archive with two ends": (lambda good, run: two_ends(good), "is damaged ("),
    "an archive behind another": (lambda good, run: archive(pickled({})) + good, "is damaged (it has two ends)"),
    "an archive behind something": (
        lambda good, run: archive(pickled({})) + archive(pickled({})),
        "is damaged (its end is not where it should be)",
    ),
    "an archive with a comment": (lambda good, run: good[:-2] + b"\5\0" + b"hello", "is damaged (its end is not where"),
    "two parts of one name": (lambda good, run: twice_named(good), "is damaged (it has two parts of one name)"),
    "TorchScript": (lambda good, run: torchscript(), "is damaged (its content does not fit together)"),
    "another zip archive": (lambda good, run: other_zip(good), "is not a checkpoint but another kind of zip archive"),
    "a million tuples in a key": (lambda good, run: archive(nested_key(1_000_000)), "it nests more than 64 tuples"),
    "a thousand lists in each other": (lambda good, run: saved(nested(300, list)), "nests more than 64 containers"),
    "a list that holds itself": (lambda good, run: saved(holding_itself()), "nests more than 64 containers"),
    "2^50 parts in the config": (
        lambda good, run: configured(good, x=laughs(50)),
        "was not loaded: it repeats its parts more than 2,097,152 times",
    ),
    "2^18 parts in the config": (
        lambda good, run: configured(good, x=laughs(18)),
        "the config is too large, nested too deeply, or holds itself",
    ),
    "2^50 parts beside the config": (
        lambda good, run: saved({**checkpoint_of(good), "callbacks": laughs(50)}),
        "was not loaded: it repeats its parts more than 2,097,152 times",
    ),
    "more values than a run has": (
        lambda good, run: saved({**checkpoint_of(good), "x": [None] * 2**20}),
        "was not loaded: it holds more than 1,048,576 values beside its tensors",
    ),
    "a number of 5,000 digits": (
        lambda good, run: saved({**checkpoint_of(good), "kindling": {"format": 10**5000}}),
        "is damaged (its content does not fit together)",
    ),
    "a number of 400 digits in the config": (
        lambda good, run: configured(good, seed=10**300),
        "in its config, seed: is a whole number of 997 bits, more than any setting",
    ),
    "tensors that stand for a terabyte": (
        lambda good, run: saved({**checkpoint_of(good), "x": [torch.ones(1).expand(2**24) for _ in range(2**10)]}),
        "was not loaded: its tensors stand for 64 GiB, more than the file holds",
    ),
    "a variable of the environment": (
        lambda good, run: configured(good, seed="${oc.env:HOME}"),
        "in its config, seed=${oc.env:HOME}: a finished config has values, not interpolations",
    ),
    "a resolver": (lambda good, run: configured(good, x={"y": ["a ${oc.create:b}"]}), "in its config, x.y.0=a ${"),
    "a huge text": (lambda good, run: configured(good, monitor="x" * 10**6), "config, monitor: is a text of 1,000,000"),
    "a huge key": (lambda good, run: configured(good, **{"x" * 10**6: 1}), "has a key that is no name"),
    "a tensor in the config": (lambda good, run: configured(good, seed=torch.ones(1)), "seed: is a Tensor, which no"),
    "a config that is a list": (lambda good, run: saved(with_(good, config=[])), "it has no config"),
    "texts for weights": (
        lambda good, run: saved(weights(good, "x")),
        "its state_dict holds other things than tensors",
    ),
    "no weights": (lambda good, run: saved({"config": {}}), "it has no state_dict"),
    "a list": (lambda good, run: saved([1, 2]), "it holds a list, not a dict"),
    "one tensor": (lambda good, run: saved(torch.ones(2)), "it holds a Tensor, not a dict"),
    "a text file": (lambda good, run: b"epoch,loss\n0,0.5\n", "is not a checkpoint: torch.save writes a zip archive"),
    "a picture": (lambda good, run: b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a checkpoint: torch.save"),
    "nothing": (lambda good, run: b"", "is empty; use another checkpoint"),
    "zeros": (lambda good, run: bytes(10_000), "is not a checkpoint: torch.save writes a zip archive"),
    "the start of an archive": (lambda good, run: b"PK\3\4", "is damaged (its parts do not fit together)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence_and_runs_nothing(name: str, good: bytes, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    make, reason = HOSTILE[name]
    path = tmp_path / "x.ckpt"
    path.write_bytes(make(good, f"touch {canary}"))
    start = time.perf_counter()
    assert reason in refused(path)
    assert time.perf_counter() - start < 5
    assert not canary.exists()


def test_the_canary_sings_where_a_file_is_trusted(tmp_path: Path) -> None:
    torch.load(io.BytesIO(saved(Payload(os.system, f"touch {tmp_path / 'canary'}"))), weights_only=False)
    assert (tmp_path / "canary").exists()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert refused(tmp_path).startswith("is a folder, not a checkpoint")
    assert refused(tmp_path / "pipe") == refused(tmp_path / "zero")
    assert refused(tmp_path / "nowhere") == "cannot be read: No such file or directory"
    assert refused(tmp_path / "circle").startswith("cannot be read: Too many levels of symbolic links")


def test_a_link_to_a_checkpoint_is_one(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(good)
    (tmp_path / "last.ckpt").symlink_to("x.ckpt")
    assert load(tmp_path / "last.ckpt")["epoch"] == 0


# Files that something happened to.


@pytest.mark.parametrize("seed", range(25))
def test_a_truncated_file_is_refused(seed: int, good: bytes, tmp_path: Path) -> None:
    length = random.Random(seed).randrange(1, len(good))
    (tmp_path / "x.ckpt").write_bytes(good[:length])
    assert refused(tmp_path / "x.ckpt").startswith(("is damaged (", "is not a checkpoint: "))


@pytest.mark.parametrize("seed", range(50))
def test_flipped_bits_are_noticed_or_change_nothing(seed: int, good: bytes, tmp_path: Path) -> None:
    rng, content = random.Random(seed), bytearray(good)
    for _ in range(rng.choice([1, 1, 1, 2, 10])):
        content[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
    (tmp_path / "x.ckpt").write_bytes(content)
    try:
        checkpoint = load(tmp_path / "x.ckpt")
    except UserError:
        refused(tmp_path / "x.ckpt")
    else:  # what lies between the records, or what no reader looks at
        assert same(checkpoint, checkpoint_of(good))


def test_a_flipped_bit_in_a_weight_is_noticed(good: bytes, tmp_path: Path) -> None:
    """torch.load alone takes it for another weight."""
    weight = checkpoint_of(good)["state_dict"]["net.0.weight"]
    start = good.index(weight.numpy().tobytes())
    content = bytearray(good)
    content[start] ^= 1
    assert not same(checkpoint_of(bytes(content))["state_dict"]["net.0.weight"], weight)
    (tmp_path / "x.ckpt").write_bytes(content)
    assert refused(tmp_path / "x.ckpt").startswith("is damaged (Bad CRC-32 for file 'archive/data/")


# Formats.


def test_a_newer_format_asks_for_an_update(good: bytes, tmp_path: Path) -> None:
    torch.save(with_(good, kindling={"format": 2, "version": "0.9.0"}), tmp_path / "x.ckpt")
    assert refused(tmp_path / "x.ckpt") == "has format 2, and this Kindling knows up to 1; update it to 0.9.0 or later"


def test_a_checkpoint_from_before_there_were_formats_loads(good: bytes, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(good)
    del checkpoint["kindling"]
    torch.save(checkpoint, tmp_path / "x.ckpt")
    assert same(load(tmp_path / "x.ckpt"), checkpoint)


@pytest.mark.parametrize("about", [3, {}, {"format": "1"}, {"format": 0}, {"format": None}])
def test_a_format_that_is_no_number_is_refused(about: object, good: bytes, tmp_path: Path) -> None:
    torch.save(with_(good, kindling=about), tmp_path / "x.ckpt")
    assert refused(tmp_path / "x.ckpt") == "is not a checkpoint of Kindling: its format is no number from 1"


# Saving.


@contextmanager
def no_room(length: int = 100_000) -> Iterator[None]:
    """The kernel lets no file grow longer than `length` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, limits[1]))  # Python ignores the signal: writing fails
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


BIG = {"x": torch.zeros(100_000)}  # 400 KB


def test_a_failed_save_leaves_the_checkpoint_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    io_plugin = AtomicCheckpointIO()
    io_plugin.save_checkpoint({"epoch": 0}, path)
    with no_room(), pytest.raises(UserError) as info:
        io_plugin.save_checkpoint(BIG, path)
    assert str(info.value) == (
        f"{path} cannot be saved: File too large; on_save_error=continue would train on without it"
    )
    assert torch.load(path) == {"epoch": 0}
    assert list(tmp_path.iterdir()) == [path]
    io_plugin.save_checkpoint({"epoch": 1}, path)
    assert torch.load(path) == {"epoch": 1}


def test_a_failed_save_may_be_a_warning_and_nothing_is_removed_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new, last = (tmp_path / f"epoch={epoch}.ckpt" for epoch in range(3))
    io_plugin = AtomicCheckpointIO("continue")
    io_plugin.save_checkpoint({"epoch": 0}, old)
    with no_room():
        io_plugin.save_checkpoint(BIG, new)
    io_plugin.remove_checkpoint(old)  # as ModelCheckpoint does after a save
    assert [record.message for record in caplog.records] == [
        f"WARNING: {new} cannot be saved: File too large; training goes on, and what was saved before stays"
    ]
    assert io_plugin.unsaved == {new}
    assert list(tmp_path.iterdir()) == [old]
    io_plugin.save_checkpoint(BIG, last)
    io_plugin.remove_checkpoint(old)
    assert list(tmp_path.iterdir()) == [last]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"x\.ckpt cannot be saved: (File exists|Not a directory); "):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "file" / "x.ckpt")


def test_a_signal_in_the_middle_of_a_save_is_not_lost(tmp_path: Path) -> None:
    class Stopping(io.BytesIO):
        def write(self, data: Any) -> int:
            raise SystemExit(143)

    sink = Sink(Stopping())
    torch.save(BIG, sink)
    assert isinstance(sink.error, SystemExit)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(good: bytes, tmp_path: Path) -> None:
    path, rng, leftovers = tmp_path / "x.ckpt", random.Random(0), 0
    AtomicCheckpointIO().save_checkpoint(with_(good, own=torch.zeros(500_000)), path)
    for _ in range(12):
        pid = os.fork()
        if pid == 0:
            torch.set_num_threads(1)  # the threads of the parent are not here, and nobody may wait for them
            io_plugin = AtomicCheckpointIO()
            for number in range(1, 10_000):
                io_plugin.save_checkpoint(with_(good, own=torch.full((500_000,), float(number))), path)
            os._exit(0)
        time.sleep(rng.uniform(0.03, 0.1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        own = load(path)["own"]
        assert (own == own[0]).all()
        hidden = [file.name for file in tmp_path.iterdir() if file != path]
        assert len(hidden) <= 1
        assert all(name.startswith(".") and not name.endswith(".ckpt") for name in hidden)
        leftovers += len(hidden)
    assert leftovers > 0  # else no kill hit a save
    AtomicCheckpointIO().save_checkpoint({}, path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    AtomicCheckpointIO().save_checkpoint({}, tmp_path / "new" / "x.ckpt")
    assert (tmp_path / "new" / "x.ckpt").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    (tmp_path / "x.ckpt").symlink_to("precious")
    AtomicCheckpointIO().save_checkpoint({"epoch": 0}, tmp_path / "x.ckpt")
    assert (tmp_path / "precious").read_text() == "data"
    assert not (tmp_path / "x.ckpt").is_symlink()


@pytest.mark.parametrize("place", ["run/checkpoints/../../precious", "memory://precious"])
def test_nothing_outside_of_the_folder_is_removed(place: str, tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "precious").touch()
    io_plugin = AtomicCheckpointIO()
    io_plugin.save_checkpoint({}, tmp_path / "run" / "checkpoints" / "x.ckpt")
    io_plugin.remove_checkpoint(place if "://" in place else tmp_path / place)
    assert (tmp_path / "precious").exists()


def test_a_run_on_a_full_disk_ends_with_a_sentence(run: Run, tmp_path: Path) -> None:
    with no_room(), pytest.raises(UserError) as info:
        run("data=digits", "trainer.max_epochs=1", "~callbacks.figures", folder=tmp_path / "run")
    assert str(info.value).startswith(f"{tmp_path / 'run' / 'checkpoints'}")
    assert "cannot be saved: File too large" in str(info.value)
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_a_run_on_a_full_disk_may_go_on_and_is_tested_as_it_ends(run: Run) -> None:
    with no_room():
        done = run("data=digits", "trainer.max_epochs=2", "~callbacks.figures", "on_save_error=continue")
    assert done.summary["status"] == "completed"
    assert done.score == done.summary["last_epoch"]["val/loss"]
    assert list((done.folder / "checkpoints").iterdir()) == []


def test_the_best_and_the_last_epochs_are_kept_as_lightning_promises(run: Run) -> None:
    options = ["callbacks.best.save_top_k=2", "callbacks.best.filename='{epoch}'", "~callbacks.last", "logger=none"]
    done = run("model=xor", "trainer.max_epochs=4", "~callbacks.figures", "+callbacks.best.save_last=link", *options)
    files = {file.name for file in (done.folder / "checkpoints").iterdir()}
    assert files == {"last.ckpt", "best.ckpt", "epoch=2.ckpt", "epoch=3.ckpt"}
    assert load(done.folder / "checkpoints" / "last.ckpt")["epoch"] == 3


def test_the_users_own_way_of_saving_is_kept() -> None:
    own = "+trainer.plugins=[{_target_:lightning.pytorch.plugins.AsyncCheckpointIO}]"
    parts = build(compose_config("model=xor", own, "run_dir=unused", "callbacks=none", "logger=none"))
    assert type(parts.trainer.strategy.checkpoint_io) is AsyncCheckpointIO
