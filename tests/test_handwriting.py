"""Drawings and photos are prepared as the images were that the model has learned from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy import ndimage

from kindling.data.handwriting import as_digits, as_mnist, find_ink, is_dark, prepared
from kindling.data.images import Digits
from kindling.data.mnist import MNIST
from kindling.errors import UserError


@pytest.fixture(scope="module")
def mnist() -> MNIST:
    data = MNIST(source="subset")
    data.setup()
    return data


@pytest.fixture(scope="module")
def bare(mnist: MNIST) -> np.ndarray:
    """40 digits, four of each, (28, 28)."""
    split = mnist.splits["test"]
    rows = [row for digit in range(10) for row in torch.nonzero(split.y == digit)[:4, 0].tolist()]
    return split.x[rows, 0].numpy().astype(np.float32)


def page(
    digit: np.ndarray, corner: int, size: int = 120, side: int = 300, pen: int = 0, hard: bool = False
) -> np.ndarray:
    """A dark digit in a corner of a light page, with a shadow over a part of it, and noise; `pen`: wider by so much."""
    ink = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)).clip(0, 255) / 255
    ink = ndimage.grey_dilation(ink, (pen, pen)) if pen > 0 else ndimage.grey_erosion(ink, (-pen, -pen)) if pen else ink
    place = [(4, 4), (4, side - size - 4), (side - size - 4, 4), (side - size - 4,) * 2][corner]
    whole = np.zeros((side, side))
    whole[place[0] : place[0] + size, place[1] : place[1] + size] = ink
    rows, columns = np.indices((side, side)) / side
    across = rows * 0.4 + columns - 0.8
    shadow = 0.5 * (across > 0) if hard else 0.5 / (1 + np.exp(-8 * across))
    noise = np.random.default_rng(0).normal(0, 6, (side, side))
    return (235 * (1 - shadow) * (1 - 0.8 * whole) + noise).clip(0, 255).astype(np.float32)


PAGES = {
    "small": {"size": 50},
    "large": {"size": 280},
    "thin": {"pen": -4},
    "thick": {"pen": 8},
    "hard shadow": {"hard": True},
    "small page": {"side": 90, "size": 45},
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_digit_on_a_page_comes_out_as_in_mnist(kind: str, bare: np.ndarray) -> None:
    """Alike in the sense of a correlation: the nearest of the 40 digits is the one that was pasted, in nine of ten."""
    images = np.stack(
        [prepared(page(digit, row % 4, **PAGES[kind]), as_mnist, (28, 28)) for row, digit in enumerate(bare)]
    )
    alike = np.corrcoef(images.reshape(40, -1), bare.reshape(40, -1))[:40, 40:]
    assert (alike.argmax(axis=1) == np.arange(40)).mean() >= 0.9
    assert {max(np.ptp(np.argwhere(image > 0), axis=0)) + 1 for image in images} <= {19, 20}
    centres = np.array([ndimage.center_of_mass(image) for image in images])
    assert np.abs(centres - 14).max() <= 0.5


def test_images_of_the_size_are_as_they_are_or_turned(mnist: MNIST) -> None:
    for data in (mnist, Digits()):
        data.setup()
        for row in data.splits["test"].x[:, 0].float() * (255 / data.white):
            image = row.numpy()
            assert prepared(image, as_mnist, image.shape) is image
            assert np.array_equal(prepared(255 - image, as_mnist, image.shape), image)


@pytest.mark.parametrize("pen", [-4, 0, 8])
def test_the_ground_is_found(pen: int, bare: np.ndarray) -> None:
    pages = [page(digit, row % 4, pen=pen) for row, digit in enumerate(bare)]
    assert [is_dark(picture) for picture in pages] == [True] * 40
    assert [is_dark(255 - picture) for picture in pages] == [False] * 40


def test_what_was_drawn_for_scikit_learn_fills_its_rows(bare: np.ndarray) -> None:
    images = np.stack([prepared(page(digit, row % 4), as_digits, (8, 8)) for row, digit in enumerate(bare)])
    assert (images.max(axis=2) > 60).all()
    assert ((images.max(axis=1) > 0).sum(axis=1) <= 6).all()


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(2, 2), (1, 50), (60, 60), (700, 30)])
def test_an_empty_page_has_no_ink(value: int, shape: tuple[int, int]) -> None:
    assert find_ink(np.full(shape, value, np.float32)).size == 0


@pytest.mark.parametrize(("side", "pen"), [(84, 1), (300, 1), (1000, 2)])
def test_a_hairline_is_found_and_widened(side: int, pen: int) -> None:
    paper = Image.new("L", (side, side), 255)
    corners = [(place[0] * side / 4, place[1] * side / 4) for place in ((1, 1), (2, 1), (2, 3))]
    ImageDraw.Draw(paper).line(corners, fill=0, width=pen)
    image = prepared(np.asarray(paper, np.float32), as_mnist, (28, 28))
    assert image.max() > 200
    assert 50 < (image > 100).sum() < 90  # 30 pixels long, about two wide


def test_a_page_is_predicted_from_a_file_or_a_folder(mnist: MNIST, bare: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(page(bare[9], 2).astype(np.uint8)).save(tmp_path / "b.png")
    clear = np.zeros((300, 300, 4), np.uint8)  # black ink on nothing
    clear[..., 3] = 235 - page(bare[9], 2).clip(0, 235)
    Image.fromarray(clear).save(tmp_path / "a.webp", lossless=True)
    one, both = mnist.read_inputs(tmp_path / "b.png"), mnist.read_inputs(tmp_path)
    assert (one.shape, both.shape) == ((1, 1, 28, 28), (2, 1, 28, 28))
    assert torch.equal(one[0], both[1])
    assert np.corrcoef(both[:, 0].flatten(1))[0, 1] > 0.9
    Image.new("L", (90, 90), 200).save(tmp_path / "c.png")
    with pytest.raises(UserError, match=rf"^{tmp_path / 'c.png'}: has no strokes that stand out from their ground$"):
        mnist.read_inputs(tmp_path)
