"""Variables of the environment out of the file .env beside train.py, for what belongs to one machine."""

from kindling.folders import PROJECT


def read_env() -> None:
    """What the environment has already stays. Without the file, nothing happens.

    Raises:
        OSError: where the file cannot be read.
    """
    file = PROJECT / ".env"
    if file.is_file():
        from dotenv import load_dotenv

        load_dotenv(file)
