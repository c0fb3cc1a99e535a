"""What went wrong, in words for the person who can mend it."""

import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kindling.text import printable

OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)  # and not bugs


class UserError(Exception):
    """A mistake in the input, the configuration or the machine. The message is all that the user sees of it."""


class Pruned(Exception):  # noqa: N818  # the word of the field, and no error
    """The sweep has given the run up, since others do better."""


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """End a script with `error: ...` and code 1 where the user can mend what is wrong; with 130 after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        sys.exit(f"error: {printable(str(error), keep=chr(10))}")
    except OSError as error:
        if error.filename is None and error.errno not in OF_THE_MACHINE:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error.strerror}")


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """'; did you mean lr?' for the valid name nearest to `name`, or nothing where none is near."""
    keys = list(valid)
    # Of dotted keys the last parts are compared: lr is near optimizer.lr, and model.dropout is not near model.init.
    leaves = difflib.get_close_matches(name.rpartition(".")[2], {key.rpartition(".")[2] for key in keys}, cutoff=0.6)
    candidates = [key for key in keys if leaves and key.rpartition(".")[2] == leaves[0]]
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0)
    return f"; did you mean {near[0]}?" if near else ""


def listed(problems: Iterable[str]) -> str:
    """One problem as it is; several as a list, each once."""
    unique = list(dict.fromkeys(problems))
    return unique[0] if len(unique) == 1 else f"{len(unique)} mistakes in the configuration\n  " + "\n  ".join(unique)


def shown(text: str, length: int = 80) -> str:
    """Text from a file that nobody vouches for, for a sentence: on one line, printable, and not endless."""
    escaped = printable(text[: length + 1])
    return escaped if len(escaped) <= length else f"{escaped[:length]}..."
