"""Changes to a batch of images on its device, drawn anew for each image, from torch's generator of that device.

Images are (N, C, H, W), from 0, black, to 1, white. What comes in from outside them is black. kornia (0.9) has such
transforms too: on a CPU a batch of 128 images of 28x28 took it two to seven times as long, and its import a second. Its
modules, like any from images to images, can be named in a config.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from kindling.data.tasks import Binary, Multiclass, Multilabel, Task
from kindling.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A number for each image of x, (N,)."""
    return torch.rand(len(x), device=x.device, dtype=x.dtype) * (high - low) + low


def chosen(x: Tensor, p: float) -> Tensor:
    """Whether it is an image's turn, for a share p of them: (N, 1, 1, 1)."""
    return uniform(x, 0, 1).view(-1, 1, 1, 1) < p


class Flip(nn.Module):
    """Left and right change places; with `vertical`, top and bottom."""

    def __init__(self, p: Share = 0.5, vertical: bool = False) -> None:
        super().__init__()
        self.p = p
        self.dim = -2 if vertical else -1

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(chosen(x, self.p), x.flip(self.dim), x)


class Crop(nn.Module):
    """A part of the image's own size, out of the image with `padding` pixels around it."""

    def __init__(self, padding: PositiveInt = 4) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        for dim in (-2, -1):
            size = x.shape[dim]
            shift = torch.randint(-self.padding, self.padding + 1, (len(x), 1), device=x.device)
            place = torch.arange(size, device=x.device) + shift  # that each row or column comes from, (N, size)
            shape = (-1, 1, size, 1) if dim == -2 else (-1, 1, 1, size)
            inside = ((place >= 0) & (place < size)).view(shape)
            x = x.gather(dim, place.clamp(0, size - 1).view(shape).expand_as(x)) * inside
        return x


class Affine(nn.Module):
    """Turned, moved, scaled and sheared about the middle, with linear interpolation.

    Args:
        degrees: turned by -degrees to degrees.
        translate: moved by at most these shares of width and height.
        scale: smallest and largest factor of size.
        shear: slanted sideways by -shear to shear degrees.
    """

    def __init__(
        self,
        degrees: NonNegativeFloat = 10.0,
        translate: tuple[Share, Share] = (0.1, 0.1),
        scale: tuple[PositiveFloat, PositiveFloat] = (0.9, 1.1),
        shear: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__()
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear

    def forward(self, x: Tensor) -> Tensor:
        angle, slant = (uniform(x, -math.radians(d), math.radians(d)) for d in (self.degrees, self.shear))
        scale = uniform(x, *self.scale)
        right, down = (2 * uniform(x, -share, share) for share in self.translate)
        # From a place in the result to where it comes from, both from -1 to 1: angles are those of square pixels.
        sine, cosine, aspect = angle.sin() / scale, angle.cos() / scale, x.shape[-2] / x.shape[-1]
        slope = slant.tan()
        across = torch.stack([cosine + slope * sine, (slope * cosine - sine) * aspect, right], dim=1)
        along = torch.stack([sine / aspect, cosine, down], dim=1)
        grid = F.affine_grid(torch.stack([across, along], dim=1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


class Elastic(nn.Module):
    """Each pixel moved a little, its neighbours with it (Simard et al., 2003).

    Args:
        alpha: how far, as a share of width and height: the standard deviation.
        sigma: the width of the Gaussian by which neighbours move alike, as a share of width and height.
    """

    def __init__(self, alpha: NonNegativeFloat = 0.04, sigma: PositiveFloat = 0.15) -> None:
        super().__init__()
        self.alpha, self.sigma = alpha, sigma

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        moves = torch.randn(len(x), 2, height, width, device=x.device, dtype=x.dtype)
        for size in (width, height):  # each dimension is the last in its turn
            moves = (moves @ self.smoothing(size, x)).transpose(-1, -2)
        here = torch.eye(2, 3, device=x.device, dtype=x.dtype).expand(len(x), 2, 3)
        grid = F.affine_grid(here, list(x.shape), align_corners=False) + 2 * self.alpha * moves.permute(0, 2, 3, 1)
        return F.grid_sample(x, grid, align_corners=False)

    def smoothing(self, size: int, x: Tensor) -> Tensor:
        """(size, size), whose columns are the weights of the places around each: a variance of 1 remains 1."""
        place = torch.arange(size, device=x.device, dtype=x.dtype) / size
        weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * self.sigma**2))
        return weights / weights.norm(dim=0)


def boxes(height: Tensor, width: Tensor, x: Tensor) -> Tensor:
    """What lies in a box of that size in pixels, (N,) each, somewhere in each image: (N, 1, H, W)."""
    inside = []
    for size, length in zip(x.shape[-2:], (height, width), strict=True):
        length = length.round().clamp(0, size)
        start = (uniform(x, 0, 1) * (size - length + 1)).floor().clamp(max=size - length)
        place = torch.arange(size, device=x.device)
        inside.append((place >= start[:, None]) & (place < (start + length)[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)


class Erasing(nn.Module):
    """A box made black, in a share p of the images (Zhong et al., 2020).

    Args:
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest height over width.
    """

    def __init__(
        self,
        p: Share = 0.5,
        scale: tuple[Share, Share] = (0.02, 0.33),
        ratio: tuple[PositiveFloat, PositiveFloat] = (0.3, 3.3),
    ) -> None:
        super().__init__()
        self.p, self.scale, self.ratio = p, scale, ratio

    def forward(self, x: Tensor) -> Tensor:
        area = uniform(x, *self.scale) * x.shape[-2] * x.shape[-1]
        ratio = uniform(x, *map(math.log, self.ratio)).exp()
        box = boxes((area * ratio).sqrt(), (area / ratio).sqrt(), x)
        return x.masked_fill(box & chosen(x, self.p), 0)


class Relabelling(nn.Module):
    """A transform that changes y too: images x and y, as probabilities of classes, to what takes their place. `task` is
    that of the data, where they have one."""

    def forward(self, x: Tensor, y: Tensor, task: Task | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Mixing(Relabelling):
    """A share p of the images mixed with others of the batch, y by the same shares, drawn from Beta(alpha, alpha)."""

    def __init__(self, alpha: PositiveFloat = 1.0, p: Share = 1.0) -> None:
        super().__init__()
        self.alpha, self.p = alpha, p

    def forward(self, x: Tensor, y: Tensor, task: Task | None = None) -> tuple[Tensor, Tensor]:
        other = torch.randperm(len(x), device=x.device)
        alpha = torch.full((len(x), 1, 1, 1), self.alpha, device=x.device)
        own = torch.distributions.Beta(alpha, alpha).sample().to(x.dtype)
        x, own = self.mix(x, x[other], torch.where(chosen(x, self.p), own, 1.0))
        return x, torch.lerp(y[other], y, own.view(-1, *[1] * (y.ndim - 1)))

    def mix(self, x: Tensor, other: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture, and the share that x has in it, (N, 1, 1, 1) as `own`."""
        raise NotImplementedError


class MixUp(Mixing):
    """Laid over each other (Zhang et al., 2018)."""

    def mix(self, x: Tensor, other: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        return torch.lerp(other, x, own), own


class CutMix(Mixing):
    """A box of the other image pasted in; the shares are those of the area (Yun et al., 2019)."""

    def mix(self, x: Tensor, other: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        side = (1 - own.flatten()).sqrt()
        box = boxes(side * x.shape[-2], side * x.shape[-1], x)
        return torch.where(box, other, x), 1 - box.to(x.dtype).mean(dim=(1, 2, 3), keepdim=True)


class Augmentation:
    """The transforms of a config, one after the other: those above, or any module from images to images.

    One of torchvision draws once for all that it is given, so that it gets the images one by one.
    """

    def __init__(self, transforms: Mapping[str, nn.Module]) -> None:
        self.transforms = dict(transforms)

    @property
    def relabels(self) -> list[str]:
        """The names of those that change y too."""
        return [name for name, transform in self.transforms.items() if isinstance(transform, Relabelling)]

    @property
    def mixes(self) -> list[str]:
        """The names of those that make one row of two."""
        return [name for name in self.relabels if isinstance(self.transforms[name], Mixing)]

    def without_relabelling(self) -> "Augmentation":
        return Augmentation({name: self.transforms[name] for name in self.transforms if name not in self.relabels})

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, task: Task | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W), from 0, black, to 1, white, and y, which relabelling makes the probabilities of classes:
        (N, num_classes), or of a binary task (N,).
        """
        for transform in self.transforms.values():
            if isinstance(transform, Relabelling):
                x, y = transform(x, soft(y, task, x.dtype), task)
            elif type(transform).__module__.startswith("torchvision."):
                x = torch.stack([transform(image) for image in x])
            else:
                x = transform(x)
        return x, y


def soft(y: Tensor, task: Task | None, dtype: torch.dtype) -> Tensor:
    """y as floating-point numbers, of which means can be taken; those of class indices would be other classes.

    Raises:
        UserError: where nothing says whether they are classes.
    """
    if y.is_floating_point():
        return y
    if isinstance(task, Multiclass):
        return F.one_hot(y, task.out_features).to(dtype)
    if isinstance(task, Binary | Multilabel):
        return y.to(dtype)
    raise UserError(
        "augmentation: changes y too, and the data do not say how many classes there are; give them a `task`"
    )
