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
    from dotenv.parser import parse_stream

    logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # which does not say of which file it speaks
    try:
        with file.open(encoding="utf-8") as stream:
            wrong = [binding.original.line for binding in parse_stream(stream) if binding.error]
        load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("WARNING: %s was not read: %s", file, error)
    else:
        for line in wrong:
            log.warning("WARNING: %s: line %d is left out, since it is no NAME=VALUE", file, line)
