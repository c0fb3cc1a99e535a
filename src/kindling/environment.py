"""Variables of the environment out of the file .env beside train.py, for what belongs to one machine."""

import logging

from kindling.folders import PROJECT

log = logging.getLogger(__name__)


def read_env() -> None:
    """What the environment has already stays."""
    file = PROJECT / ".env"
    if not file.is_file():
        return
    from dotenv import load_dotenv  # not above: most machines have no such file

    try:
        load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("WARNING: %s was not read: %s", file, error)
