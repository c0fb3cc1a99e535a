"""Image files in grey, as a viewer shows them, whatever they are made of."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kindling.data.inputs import check_size
from kindling.errors import UserError, shown
from kindling.files import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = {".png", ".jpg", ".jpeg"}
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # whatever the name says; of the others, some start programs
MAX_FILE = 2**26  # bytes
MAX_PIXELS = 100_000_000
OF_8_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}  # Pillow's modes


def image_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGES)
    if not files:
        raise UserError(f"{folder}: there are no images in it; it should hold .png or .jpg files")
    return files


def read_images(folder: Path, row_shape: list[int], white: int, light_ground: bool = False) -> Tensor:
    """The PNG and JPEG files of a folder by name, in grey, scaled to (1, H, W): 0 is black, `white` is white.

    What is transparent is black, or white on a light ground.

    Raises:
        UserError: where there are none, or one cannot be read.
    """
    height, width = row_shape[-2:]
    files = image_files(folder)
    check_size(folder, [len(files), height, width])
    images = [read_image(file, (width, height), 255 if light_ground else 0) for file in files]
    return torch.from_numpy(np.stack(images)).unsqueeze(1) * (white / 255)


def read_image(file: Path, size: tuple[int, int], ground: int) -> np.ndarray:
    """float32 (H, W), from 0 to 255; `size` is (W, H)."""
    from PIL import Image, ImageOps

    check_file(file, MAX_FILE)
    Image.init()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{file}: has {image.width} x {image.height} pixels, and {MAX_PIXELS:,} are the most")
            if getattr(image, "is_animated", False) and image.format != "MPO":  # of a camera: a picture and its preview
                raise UserError(f"{file}: is animated; save one of its pictures")
            grey = in_grey(file, ImageOps.exif_transpose(image), ground)
            return np.asarray(grey.resize(size), np.float32).clip(0, 255)  # of sharp edges, scaling makes sharper ones
    except UserError:
        raise
    except Exception as error:  # whatever a decoder makes of bytes that nobody meant for it
        raise UserError(f"{file}: not a readable image ({shown(str(error))})") from None


def in_grey(file: Path, image: "Image", ground: int) -> "Image":
    """On a ground from 0, black, to 255; in mode L, or F where there were 16 bits."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32)
        if 0 < values.max() < 256:
            raise UserError(f"{file}: has 16 bits, and values that take up 8 of them; save it with 8 bits")
        grey = np.where(values == image.info.get("transparency"), ground, values / 257)
        return Image.fromarray(grey.astype(np.float32))
    if image.mode not in OF_8_BITS:
        raise UserError(f"{file}: has the mode {image.mode}, in which white has no one value; save it in grey or RGB")
    return on_ground(file, image.convert("RGBA"), ground) if image.has_transparency_data else image.convert("L")


def on_ground(file: Path, image: "Image", ground: int) -> "Image":
    """Raises:
    UserError: where the image is lost on it, since its strokes are meant for the other one.
    """
    from PIL import Image

    grey = Image.alpha_composite(Image.new("RGBA", image.size, (ground, ground, ground, 255)), image).convert("L")
    alpha, colour = np.asarray(image.getchannel("A")), np.asarray(image.convert("RGB").convert("L"))
    if alpha.any() and alpha.mean() < 128 and abs(np.average(colour, weights=alpha) - ground) < 128:
        like, other = ("light like the white", "without") if ground else ("dark like the black", "with")
        raise UserError(f"{file}: its strokes are {like} that stands for what is transparent; try {other} --invert")
    return grey
