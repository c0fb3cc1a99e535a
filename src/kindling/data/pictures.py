"""Image files in grey or colour, as a viewer shows them, whatever they are made of."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kindling.data import handwriting
from kindling.data.inputs import check_size
from kindling.errors import UserError, shown
from kindling.files import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # whatever the name says; of the others, some start programs
LARGE = 1600  # pixels of a side
MAX_FILE = 2**26  # bytes
MAX_PIXELS = 100_000_000
OF_8_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}  # Pillow's modes


def are_images(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in IMAGES


def image_files(folder: Path) -> list[Path]:
    """Those in the folder, by name; or the one file that it is."""
    if not folder.is_dir():
        return [folder]
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGES and file.name[0] != ".")
    if not files:
        raise UserError(f"{folder}: there are no images in it; it should hold .png or .jpg files")
    return files


def read_images(
    folder: Path, row_shape: list[int], white: int, light_ground: bool = False, draft: bool = False
) -> Tensor:
    """The image files of a folder by name, or one file, scaled to (C, H, W), in grey or, where C is 3, in colour: 0 is
    black and `white` white.

    What is transparent is black, or white on a light ground.

    Raises:
        UserError: where there are none, or one cannot be read.
    """
    channels, height, width = row_shape
    files = image_files(folder)
    check_size(folder, [len(files), *row_shape])
    ground = 255 if light_ground else 0
    images = [read_image(file, (width, height), ground, channels, draft) for file in files]
    return torch.from_numpy(np.stack(images)) * (white / 255)


def read_handwriting(
    folder: Path, row_shape: list[int], white: int, prepare: handwriting.Prepare, dark: bool | None = None
) -> Tensor:
    """Likewise, of strokes, which come out light on black, prepared as the data were; see `handwriting.prepared`.

    Args:
        dark: whether the strokes are darker than their ground, which what is transparent is too; None: it is found.

    Raises:
        UserError: also where there are no strokes.
    """
    _, height, width = row_shape
    files = image_files(folder)
    check_size(folder, [len(files), *row_shape])
    images = []
    for file in files:
        picture = read_image(file, None, None if dark is None else 255 * dark, draft=True)[0]
        image = handwriting.prepared(picture, prepare, (height, width), dark)
        if image is None:
            raise UserError(f"{file}: has no strokes that stand out from their ground")
        images.append(image[None])
    return torch.from_numpy(np.stack(images)) * (white / 255)


def read_image(
    file: Path, size: tuple[int, int] | None, ground: int | None, channels: int = 1, draft: bool = False
) -> np.ndarray:
    """float32 (C, H, W), from 0 to 255.

    Args:
        size: (W, H); None: its own, or what is left of it on a side of LARGE pixels.
        ground: where it is transparent; None: the other one than its strokes, black or white.
        draft: a JPEG file of many more pixels is decoded at a fraction of them, in a fraction of the time.
    """
    from PIL import Image, ImageOps

    check_file(file, MAX_FILE)
    Image.init()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{file}: has {image.width} x {image.height} pixels, and {MAX_PIXELS:,} are the most")
            if getattr(image, "is_animated", False) and image.format != "MPO":  # of a camera: a picture and its preview
                raise UserError(f"{file}: is animated; save one of its pictures")
            if draft:
                side = 2 * max(size) if size else LARGE
                image.draft(None, (side, side))
            shown_image = as_shown(file, ImageOps.exif_transpose(image), ground, channels)
            if size:
                shown_image = shown_image.resize(size)
            else:
                shown_image.thumbnail((LARGE, LARGE))
            pixels = np.asarray(shown_image, np.float32).clip(0, 255)  # of sharp edges, scaling makes sharper ones
            return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.stack([pixels] * channels)
    except UserError:
        raise
    except Exception as error:  # whatever a decoder makes of bytes that nobody meant for it
        raise UserError(f"{file}: not a readable image ({shown(str(error))})") from None


def as_shown(file: Path, image: "Image", ground: int | None, channels: int) -> "Image":
    """On a ground from 0, black, to 255; in mode L or, of three channels, RGB; in mode F where there were 16 bits."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32)
        if 0 < values.max() < 256:
            raise UserError(f"{file}: has 16 bits, and values that take up 8 of them; save it with 8 bits")
        clear = values == image.info.get("transparency")
        ground = opposite(values / 257, ~clear) if ground is None else ground
        grey = np.where(clear, ground, values / 257)
        return Image.fromarray(grey.astype(np.float32))
    if image.mode not in OF_8_BITS:
        raise UserError(f"{file}: has the mode {image.mode}, in which white has no one value; save it in grey or RGB")
    if not image.has_transparency_data:
        return image.convert("L" if channels == 1 else "RGB")
    image = image.convert("RGBA")
    if ground is None:
        ground = opposite(np.asarray(image.convert("RGB").convert("L")), np.asarray(image.getchannel("A")))
    on_it = Image.alpha_composite(Image.new("RGBA", image.size, (ground, ground, ground, 255)), image)
    if channels != 1:
        return on_it.convert("RGB")
    check_seen(file, image, ground)
    return on_it.convert("L")


def opposite(grey: np.ndarray, alpha: np.ndarray) -> int:
    """The ground on which what is not transparent stands out: black or white."""
    return 255 if alpha.any() and np.average(grey, weights=alpha) < 128 else 0


def check_seen(file: Path, image: "Image", ground: int) -> None:
    """Raises:
    UserError: where the image is lost on the ground, since its strokes are meant for the other one.
    """
    alpha, colour = np.asarray(image.getchannel("A")), np.asarray(image.convert("RGB").convert("L"))
    if alpha.any() and alpha.mean() < 128 and abs(np.average(colour, weights=alpha) - ground) < 128:
        like, other = ("light like the white", "without") if ground else ("dark like the black", "with")
        raise UserError(
            f"{file}: its strokes are {like} that stands for what is transparent; try {other} --invert, or save it "
            "without transparency"
        )
