"""What went wrong, in words for the person who can mend it."""

import difflib
import errno
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from kindling.text import printable

OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS)  # no bugs


class UserError(Exception):
    """A mistake in the input, the configuration or the machine. The message is all that the user sees of it."""

    def __str__(self) -> str:
        """A DataLoader hands on what its worker raised with the worker's traceback before the sentence."""
        text = super().__str__()
        return text.rpartition(f"\n{__name__}.UserError: ")[2].rstrip() if text.startswith("Caught ") else text


class Refused(UserError):  # noqa: N818  # the word of the docs
    """A run that was to go on does not, before its next step: its folder stays as it was."""


class Pruned(Exception):  # noqa: N818  # the word of the field, and no error
    """The sweep has given the run up, since others do better."""


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """End a script with `error: ...` and code 1 where the user can mend what is wrong; with 130 after Ctrl-C, and with
    141, as shells count it, where nobody reads on what it prints.
    """
    try:
        try:
            yield
        finally:
            flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(128 + signal.SIGPIPE)
    except UserError as error:
        sys.exit(f"error: {printable(str(error), keep=chr(10))}")
    except OSError as error:
        if error.filename is None and error.errno not in OF_THE_MACHINE:
            raise
        sys.exit(f"error: {told(error)}")


def told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def flush() -> None:
    """What was printed: here what goes wrong can be told, and not when the interpreter ends."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """'; did you mean lr?' for the valid name nearest to `name`, or nothing where none is near."""
    keys = list(valid)
    swapped = [key for key in keys if sorted(key) == sorted(name)]  # modle is nearer to model than to mode
    if swapped:
        return f"; did you mean {swapped[0]}?"
    # Of dotted keys the last parts are compared: lr is near optimizer.lr, and model.dropout is not near model.init.
    leaves = difflib.get_close_matches(name.rpartition(".")[2], {key.rpartition(".")[2] for key in keys}, cutoff=0.6)
    candidates = [key for key in keys if leaves and key.rpartition(".")[2] == leaves[0]]
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0)
    return f"; did you mean {near[0]}?" if near else ""


def listed(problems: Iterable[str]) -> str:
    """One problem as it is; several as a list, each once."""
    unique = list(dict.fromkeys(problems))
    if len(unique) == 1:
        return unique[0]
    return f"{len(unique)} mistakes in the configuration\n  {some(unique, separator=f'{chr(10)}  ', length=5_000)}"


def some(names: Iterable[object], separator: str = ", ", length: int = 500) -> str:
    """Those that fit, and how many more there are: a file may have ten thousand columns."""
    texts = [str(name)[:length] for name in names]
    count = max(1, sum(end <= length for end in accumulate(len(text) + len(separator) for text in texts)))
    rest = [f"and {len(texts) - count:,} more"] if len(texts) > count else []
    return separator.join([*texts[:count], *rest])


def shown(text: str, length: int = 80) -> str:
    """Text from a file that nobody vouches for, for a sentence: on one line, printable, and not endless."""
    escaped = printable(text[: length + 1])
    return escaped if len(escaped) <= length else f"{escaped[:length]}..."
