"""What a run reports, on the screen and in train.log, where Hydra has not seen to it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from kindling.process import rank
from kindling.text import Formatter, Screen


@contextmanager
def log_to(run_dir: Path) -> Iterator[None]:
    """In a notebook or a script. Hydra's app has set up both itself (conf/train.yaml)."""
    if HydraConfig.initialized() or rank() != 0:
        yield
        return
    logger = logging.getLogger("kindling")
    screen = logging.StreamHandler(sys.stdout) if sys.stdout is not None else logging.NullHandler()
    file = logging.FileHandler(run_dir / "train.log", encoding="utf-8", errors="backslashreplace", delay=True)
    screen.setFormatter(Screen())
    file.setFormatter(Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    level, loud = logger.level, logging.raiseExceptions
    logger.setLevel(logging.INFO)
    logging.raiseExceptions = False  # where nothing can be printed or written any more
    for handler in (screen, file):
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        logging.raiseExceptions = loud
        for handler in (screen, file):
            logger.removeHandler(handler)
            handler.close()
