"""Every mode of an image file gives the grey that a viewer shows, or is refused in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kindling.data.pictures import read_images
from kindling.errors import UserError

STROKE = np.zeros((28, 28), np.uint8)  # light on dark, and another one in each direction
STROKE[4:24, 9:13], STROKE[4:8, 9:20], STROKE[12:16, 9:16] = 255, 170, 85
GREY = Image.fromarray(STROKE)
WIDE = STROKE.astype(np.uint16) * 257
CLEAR = Image.merge("LA", (Image.new("L", GREY.size, 255), GREY))  # white, and transparent where there is no stroke
DARK = Image.merge("LA", (Image.new("L", GREY.size, 0), GREY))
TURNS = dict(enumerate(Image.Transpose.__members__.values()))
# By what an orientation of EXIF says, the turn that undoes the one that a viewer makes.
ORIENTATIONS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
assert [TURNS[turn].name for turn in (0, 2, 5)] == ["FLIP_LEFT_RIGHT", "ROTATE_90", "TRANSPOSE"]


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def wide(dtype: str, mode: str) -> Image.Image:
    return Image.frombytes(mode, GREY.size, WIDE.astype(dtype).tobytes())


def read(folder: Path, image: Image.Image, light_ground: bool = False, **options: Any) -> np.ndarray:
    image.save(folder / "x.png", **options)
    return read_images(folder, [1, 28, 28], 255, light_ground)[0, 0].numpy()


SHOWN: dict[str, Callable[[Path], np.ndarray]] = {
    "L": lambda folder: read(folder, GREY),
    "RGB": lambda folder: read(folder, GREY.convert("RGB")),
    "P": lambda folder: read(folder, GREY.convert("P")),
    "P of chosen colours": lambda folder: read(folder, GREY.convert("RGB").quantize(8)),
    "P with a transparent colour": lambda folder: read(folder, GREY.convert("P"), transparency=0),
    "P with transparencies": lambda folder: read(folder, CLEAR.convert("RGBA").quantize(method=2)),
    "LA": lambda folder: read(folder, CLEAR),
    "LA, all opaque": lambda folder: read(folder, GREY.convert("LA")),
    "LA, dark": lambda folder: 255 - read(folder, DARK, light_ground=True),
    "RGBA": lambda folder: read(folder, CLEAR.convert("RGBA")),
    "RGBA, all opaque": lambda folder: read(folder, GREY.convert("RGBA")),
    "L with a transparent value": lambda folder: read(folder, GREY, transparency=0),
    "RGB with a transparent colour": lambda folder: read(folder, GREY.convert("RGB"), transparency=(0, 0, 0)),
    "I;16": lambda folder: read(folder, Image.fromarray(WIDE)),
    "I;16 with a transparent value": lambda folder: read(folder, Image.fromarray(WIDE), transparency=0),
    "I;16 in TIFF": lambda folder: read(folder, wide("<u2", "I;16"), format="TIFF"),
    "I;16B": lambda folder: read(folder, wide(">u2", "I;16B"), format="TIFF"),
    "CMYK": lambda folder: read(folder, GREY.convert("CMYK"), format="JPEG", quality=100),
    "YCbCr": lambda folder: read(folder, GREY.convert("YCbCr"), format="JPEG", quality=100),
    "GIF": lambda folder: read(folder, GREY, format="GIF"),
    "WebP": lambda folder: read(folder, CLEAR.convert("RGBA"), format="WEBP", lossless=True, exact=True),
    **{
        f"orientation {number}": lambda folder, number=number, turn=turn: read(
            folder, GREY.transpose(TURNS[turn]), exif=exif(number)
        )
        for number, turn in ORIENTATIONS.items()
    },
}


@pytest.mark.parametrize("mode", SHOWN)
def test_an_image_is_read_as_it_is_shown(mode: str, tmp_path: Path) -> None:
    assert SHOWN[mode](tmp_path) == pytest.approx(STROKE, abs=2.5)


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    assert read(tmp_path, GREY.point(lambda value: 255 * (value > 99)).convert("1")) == pytest.approx(
        255 * (STROKE > 99)
    )


def test_a_large_picture_of_16_bits_is_scaled_as_one_of_8(tmp_path: Path) -> None:
    large = GREY.resize((112, 112), Image.Resampling.NEAREST)
    expected = read(tmp_path, large)
    assert read(tmp_path, Image.fromarray(np.asarray(large).astype(np.uint16) * 257)) == pytest.approx(expected, abs=4)


REFUSED: dict[str, tuple[Callable[[Path], np.ndarray], str]] = {
    "dark strokes": (lambda folder: read(folder, DARK), "its strokes are dark like the black .*; try with --invert"),
    "light strokes": (
        lambda folder: read(folder, CLEAR, light_ground=True),
        "its strokes are light like the white .*; try without --invert",
    ),
    "I;16 of 8": (lambda folder: read(folder, Image.fromarray(WIDE // 257)), "values that take up 8 of them"),
    "I": (lambda folder: read(folder, GREY.convert("I"), format="TIFF"), "has the mode I, .*; save it in grey or RGB"),
    "F": (lambda folder: read(folder, GREY.convert("F"), format="TIFF"), "has the mode F, "),
    "LAB": (
        lambda folder: read(folder, Image.frombytes("LAB", (28, 28), bytes(28 * 28 * 3)), format="TIFF"),
        "has the mode LAB, ",
    ),
    "animated": (lambda folder: read(folder, GREY, save_all=True, append_images=[DARK.convert("L")]), "is animated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_can_tell_is_refused(name: str, tmp_path: Path) -> None:
    read_it, sentence = REFUSED[name]
    with pytest.raises(UserError, match=rf"^{tmp_path / 'x.png'}: .*{sentence}"):
        read_it(tmp_path)
