"""How the scripts of the course save their figures: PNG of few colours, which is small."""

import io
from pathlib import Path

from PIL import Image

FOLDER = Path("docs/course/figures")


def save(name: str, png: bytes, colours: int = 200) -> None:
    """As docs/course/figures/`name`.png."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(colours).save(FOLDER / f"{name}.png", optimize=True)
