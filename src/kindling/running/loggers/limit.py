"""A limit on how long a server may take."""

import threading
from collections.abc import Callable


def within(seconds: float, call: Callable[[], object], what: str) -> None:
    """Raises:
    TimeoutError: where the call has not returned by then; it goes on in the background, and is no longer waited for.
    Exception: what the call raised.
    """
    failed: list[Exception] = []

    def guarded() -> None:
        try:
            call()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"{what} has not answered in {seconds:g} s")
    if failed:
        raise failed[0]
