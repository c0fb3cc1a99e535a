"""Drawings and photos of handwriting, prepared as the images were that a model has learned from."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

Grey = np.ndarray  # (H, W), float32 from 0 for black to 255
Prepare = Callable[[Grey], Grey]  # light strokes, cropped to them -> an image as the model knows them

MAX_SIDE = 400  # pixels of a picture in which ink is looked for: more would not be seen in 28
STROKE = 0.3  # of the longer side: what is as wide is ground, or a shadow on it
EMPTY = 16  # of 255: what stands out less from the ground is no ink
FAINT = 0.4  # of the strongest ink: what is weaker is noise, or lines of the paper
SMALL = 100  # pixels: of a smaller picture, each is needed
NOISE = 0.8  # pixels that a larger one is blurred by: a median would lose a line of one pixel
SPECK = 0.02  # of all ink: a patch that is smaller is dust
THINNEST = 0.09  # of the longer side of a digit: the width of a thin pen in MNIST, as a tenth of its digits have it

NOTHING = np.zeros((0, 0), np.float32)


def prepared(picture: Grey, prepare: Prepare, size: tuple[int, int], dark: bool | None = None) -> Grey | None:
    """Light strokes on black, of that size (H, W); None where there are no strokes.

    A picture of just this size is taken to be prepared, and only turned where its ground is light.

    Args:
        dark: whether the strokes are darker than their ground; None: it is found.
    """
    if picture.shape == size:
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        return 255 - picture if dark or (dark is None and np.median(border) > 127) else picture
    ink = find_ink(picture, dark)
    return fitted(prepare(ink), size) if ink.size else None


def fitted(image: Grey, size: tuple[int, int]) -> Grey:
    """In the size (H, W) of data that have scaled their images; else as it is."""
    return image if image.shape == size else scaled(image, *size[::-1])


def find_ink(picture: Grey, dark: bool | None = None) -> Grey:
    """The strokes alone, light on black and cropped to them, on whatever ground; (0, 0) where there are none.

    The ground under a stroke is what is left of the picture when all that is narrower than a broad stroke is closed
    (a black-hat; Serra, "Image Analysis and Mathematical Morphology", 1982): it may have shadows.

    Args:
        dark: whether the strokes are darker than their ground; None: as `is_dark` finds.
    """
    if min(picture.shape) < 3:
        return NOTHING
    side = max(picture.shape)
    if side > MAX_SIDE:
        height, width = (max(3, round(length * MAX_SIDE / side)) for length in picture.shape)
        picture = scaled(picture, width, height)
    if max(picture.shape) > SMALL:
        picture = ndimage.gaussian_filter(picture, NOISE, mode="nearest")
    if dark or (dark is None and is_dark(picture)):
        ground = 255 - opened(255 - picture, round(STROKE * max(picture.shape)))
        raised = 255 * (ground - picture) / np.maximum(ground, 32)  # a shadow takes the same share of ink and paper
    else:
        raised = picture - opened(picture, round(STROKE * max(picture.shape)))
    strongest = raised.max()
    return cropped(raised) if strongest >= EMPTY else NOTHING


def is_dark(picture: Grey) -> bool:
    """Whether the strokes are darker than their ground: whether going in from a side, one meets something darker first.

    The border of a shadow is met from both sides, and so says nothing.
    """
    smooth = ndimage.gaussian_filter(picture, 1) if max(picture.shape) > SMALL else picture
    votes = 0.0
    for turned in (smooth, smooth[:, ::-1], smooth.T, smooth.T[:, ::-1]):
        step = np.diff(turned, axis=1, prepend=turned[:, :1])
        strong = np.abs(step) > FAINT * np.abs(step).max()
        first = strong.argmax(axis=1)
        votes += np.sign(step[np.arange(len(step)), first])[strong.any(axis=1)].sum()
    return votes < 0


def cropped(raised: Grey) -> Grey:
    """Of what stands out from the ground, the ink, at full strength."""
    patches, _ = ndimage.label(raised > FAINT * raised.max(), np.ones((3, 3)))
    sizes = np.bincount(patches.ravel())
    sizes[0] = 0
    is_ink = (sizes >= max(2, SPECK * sizes.sum()))[patches]
    if not is_ink.any():
        return NOTHING
    full = np.percentile(raised[is_ink], 75)  # a pen does not press evenly
    near = ndimage.binary_dilation(is_ink, np.ones((3, 3)))
    ink = np.where(near, np.clip(raised / full, 0, 1) * 255, 0).astype(np.float32)
    rows, columns = ndimage.find_objects(is_ink.astype(int))[0]
    return widened(ink[rows, columns])


def opened(picture: Grey, width: int) -> Grey:
    """Without what is light and narrower than `width`."""
    wider = np.pad(picture, width, mode="edge")
    return ndimage.grey_opening(wider, width, mode="nearest")[width:-width, width:-width]


def widened(ink: Grey) -> Grey:
    """As with a pen that MNIST was written with: a thinner line would be lost in 20 pixels."""
    wanted = THINNEST * max(ink.shape)
    solid = ink > 127
    if not solid.any():
        return ink
    width = 4 * ndimage.distance_transform_edt(np.pad(solid, 1)).sum() / solid.sum() - 2  # of a strip of this width
    missing = (wanted - width) / 2
    if missing <= 0:
        return ink
    room = int(np.ceil(missing)) + 1
    away = ndimage.distance_transform_edt(~np.pad(solid, room))
    return (np.clip(missing + 1 - away, 0, 1) * 255).astype(np.float32)


def as_mnist(ink: Grey) -> Grey:
    """(28, 28): scaled so that the longer side is 20 pixels, the aspect kept, and put where its centre of mass is the
    middle.

    LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition" (1998), section III.A,
    and http://yann.lecun.com/exdb/mnist/.
    """
    height, width = ink.shape
    scale = 20 / max(height, width)
    small = scaled(ink, max(1, round(width * scale)), max(1, round(height * scale)))
    centre = ndimage.center_of_mass(small)
    top, left = (min(max(round(14 - place), 0), 28 - length) for place, length in zip(centre, small.shape, strict=True))
    image = np.zeros((28, 28), np.float32)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def as_digits(ink: Grey) -> Grey:
    """(8, 8): made upright, 32 pixels high and 20 wide in 32 x 32, of which blocks of 4 x 4 are averaged.

    The digits of scikit-learn were made with NIST's preprocessing (Alpaydin & Kaynak, 1998; Garris et al., "NIST
    form-based handprint recognition system", 1994): each fills its 8 rows and nearly always 6 of the 8 columns, and not
    one is slanted. A stroke, which is no wider than 0.4 of its height, keeps its aspect.
    """
    ink = upright(ink)
    height, width = ink.shape
    columns = 20 if width > 0.4 * height else max(1, round(32 * width / height))
    image = np.zeros((32, 32), np.float32)
    left = (32 - columns) // 2
    image[:, left : left + columns] = scaled(ink, columns, 32)
    return image.reshape(8, 4, 8, 4).mean(axis=(1, 3))


def upright(ink: Grey) -> Grey:
    """Sheared, so that columns and rows do not go together, by its second moments."""
    rows, columns = np.indices(ink.shape)
    row, column = ndimage.center_of_mass(ink)
    spread = ((rows - row) ** 2 * ink).sum()
    slant = ((rows - row) * (columns - column) * ink).sum() / spread if spread else 0.0
    room = int(abs(slant) * len(ink)) + 1
    wider = np.pad(ink, ((0, 0), (room, room)))
    sheared = ndimage.affine_transform(wider, [[1, 0], [slant, 1]], [0, -slant * row], order=1)
    inked = np.flatnonzero((sheared > 127).any(axis=0))
    return sheared[:, inked[0] : inked[-1] + 1] if len(inked) else ink


def scaled(picture: Grey, width: int, height: int) -> Grey:
    """As the mean of what comes to lie on a pixel."""
    smaller = width < picture.shape[1] and height < picture.shape[0]
    resample = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize((width, height), resample))
