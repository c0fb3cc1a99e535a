"""Files of torch.save, read without trusting them: plain data comes out, or a sentence that says why not.

`torch.load(weights_only=True)` alone is not enough. It checks no checksum, so a flipped bit becomes a wrong weight. Its
old formats allocate what a number in the file asks for. Before torch 2.10 it reads memory that is not its own where a
storage claims to be longer than its record (GHSA-63cw-57p8-fm3p). What else there is, `pickles.py` says.
"""

import math
import stat
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from kindling.checkpoints.pickles import MAX_DEPTH, check_pickle
from kindling.errors import UserError, shown
from kindling.files import in_bytes

MIN_LIMIT = 2**26  # bytes that a tensor may stand for, however small its file: an expanded one takes up few in it
MAX_DIRECTORY = 2**22  # bytes of the archive's list of its parts: some ten thousand
MAX_PICKLE = 2**28  # bytes of what is beside the tensors
MAX_VALUES = 2**21  # in containers, each as often as it is in one
MAX_BITS = 1024  # of a whole number; those of random generators have 128
OLD_FORMAT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
CONTAINERS = (dict, OrderedDict, Counter, list, tuple, set)
SCALARS = (type(None), bool, int, float, complex, str, torch.dtype, torch.device, torch.Size)


def read(path: Path) -> Any:
    """What torch.save wrote to `path`, on the CPU: containers, numbers, texts and tensors.

    Takes up no more memory than the file is long, executes nothing that is in it, and has verified its checksums.

    Raises:
        UserError: where the file is anything else, damaged or cannot be read.
    """
    size = file_size(path)
    try:
        check_end(path, size)
        with zipfile.ZipFile(path) as archive:
            check_archive(path, size, archive)
            pickled = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickled) != 1:
                raise UserError(f"{path} is not a checkpoint but another kind of zip archive")
            if archive.getinfo(pickled[0]).file_size > MAX_PICKLE:
                raise UserError(f"{path} was not loaded: beside its tensors it holds more than {in_bytes(MAX_PICKLE)}")
            check_pickle(path, archive.read(pickled[0]))
    except zipfile.BadZipFile as error:
        damaged(path, shown(str(error)))
    except UserError:
        raise
    except Exception:  # whatever a parser makes of bytes that nobody meant for it
        damaged(path, "its parts do not fit together")
    try:
        value = load(path, size)
    except Exception:
        damaged(path, "its content does not fit together")
    tensors: dict[int, Tensor] = {}
    check_plain(path, value, {}, tensors)
    check_sizes(path, max(size, MIN_LIMIT), list(tensors.values()))
    return value


def damaged(path: Path, reason: str) -> NoReturn:
    raise UserError(f"{path} is damaged ({reason}); use another checkpoint") from None


def file_size(path: Path) -> int:
    """In bytes, of a file that begins as a zip archive does."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path} is a folder, not a checkpoint; name a file in it, such as checkpoints/best.ckpt")
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait, a device never end
            raise UserError(f"{path} is not a checkpoint but a device or a pipe; name a file")
        with path.open("rb") as file:
            start = file.read(len(OLD_FORMAT))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise UserError(f"{path} is empty; use another checkpoint")
    if start == OLD_FORMAT:
        raise UserError(f"{path} is in the format of torch before 1.6, which cannot be read safely; save it anew")
    if not start.startswith(b"PK\3\4"):
        raise UserError(f"{path} is not a checkpoint: torch.save writes a zip archive, which this is not")
    if status.st_size > 2**30 and 0 < 512 * status.st_blocks < status.st_size // 8:
        size, held = in_bytes(status.st_size), in_bytes(512 * status.st_blocks)
        raise UserError(f"{path} is damaged: of its {size}, no more than {held} have ever been written")
    return status.st_size


def check_end(path: Path, size: int) -> None:
    """That torch's reader, which is another one than Python's, will find the same list of parts; and a short one."""
    with path.open("rb") as file:
        file.seek(-min(size, 98), 2)
        end = file.read()
    begin = size - 22  # of the records that end the archive
    length, offset = struct.unpack("<II", end[-10:-2])
    if end[-42:-38] == b"PK\6\7":  # the 64-bit ones, which the newest torch writes always
        begin = size - 98
        length, offset = struct.unpack("<QQ", end[40:56])
        if struct.unpack("<Q", end[-34:-26]) != (begin,) or end[:4] != b"PK\6\6":
            damaged(path, "it has two ends")
    if end[-22:-18] != b"PK\5\6" or end[-2:] != b"\0\0" or offset + length != begin:
        damaged(path, "its end is not where it should be")
    if length > MAX_DIRECTORY:
        raise UserError(f"{path} is not a checkpoint: the list of its parts alone has {in_bytes(length)}")


def check_archive(path: Path, size: int, archive: zipfile.ZipFile) -> None:
    """Every checksum, and that no part is other than torch.save writes it."""
    members = archive.infolist()
    if len({member.filename for member in members}) != len(members):
        damaged(path, "it has two parts of one name")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UserError(f"{path} is not a checkpoint: it is compressed, which torch.save never does")
    if any(member.file_size != member.compress_size for member in members):
        damaged(path, "a part of it has two lengths")
    if sum(member.file_size for member in members) > size:
        damaged(path, "it claims to hold more than its length")
    for member in members:
        with archive.open(member) as stream:
            while stream.read(2**20):  # at its end the checksum is compared
                pass


def load(path: Path, size: int) -> Any:
    """Through torch's restricted unpickler, and memory that is mapped: no storage can reach beyond the file."""
    left = size

    def own(storage: Any, location: str) -> Any:
        nonlocal left
        left -= storage.nbytes()
        if left < 0:  # many storages that share the same bytes of the file
            raise ValueError
        return storage.clone()[:]  # a copy, since the file may change; sliced, since only slices refuse to grow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(str(path), map_location=own, weights_only=True, mmap=True)


def check_plain(path: Path, value: Any, counts: dict[int, int], tensors: dict[int, Tensor], depth: int = 0) -> int:
    """The number of values that a walk through it comes by, `counts` being those of the containers done; and `tensors`
    are the tensors among them."""
    if depth > MAX_DEPTH:
        raise UserError(f"{path} was not loaded: it nests more than {MAX_DEPTH} containers, or one holds itself")
    if id(value) in counts:
        return counts[id(value)]
    if isinstance(value, SCALARS):
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise UserError(f"{path} was not loaded: it holds a whole number of {value.bit_length():,} bits")
        return 1
    if type(value) in (Tensor, nn.Parameter):
        if value.device.type == "cpu" and value.layout == torch.strided and not value._backward_hooks:
            tensors[id(value)] = value
            return 1
    elif type(value) in CONTAINERS:
        children = [*value, *value.values()] if isinstance(value, dict) else list(value)
        attributes = getattr(value, "__dict__", {})  # torch leaves the versions of modules there, and nothing else
        if attributes.keys() <= {"_metadata"}:
            parts = [*children, *attributes.values()]
            counts[id(value)] = 1 + sum(check_plain(path, part, counts, tensors, depth + 1) for part in parts)
            if counts[id(value)] > MAX_VALUES:  # a few lists that hold each other again and again
                raise UserError(f"{path} was not loaded: it repeats its parts more than {MAX_VALUES:,} times")
            return counts[id(value)]
    raise UserError(f"{path} was not loaded: it holds a {shown(type(value).__name__)}, which is not plain data")


def check_sizes(path: Path, limit: int, tensors: Sequence[Tensor]) -> None:
    """What an expanded tensor stands for may become memory, which is bounded for each, and for all together."""
    sizes = [math.prod(tensor.shape) * tensor.element_size() for tensor in tensors]
    for tensor, size in zip(tensors, sizes, strict=True):
        if size > limit:
            shape = shown(str(list(tensor.shape)))
            raise UserError(
                f"{path} was not loaded: it has a tensor of shape {shape}, which is more than the file holds"
            )
    if sum(sizes) > 8 * limit:
        raise UserError(
            f"{path} was not loaded: its tensors stand for {in_bytes(sum(sizes))}, more than the file holds"
        )
