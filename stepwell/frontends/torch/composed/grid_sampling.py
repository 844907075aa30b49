"""Sampling at the places of a grid, of images of two and three dimensions, and its gradients.

Per dimension a sample takes a few elements, its taps.  A tap is a position, a weight and the weight's derivative; a
sample is the sum over all products of one tap per dimension.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.spreading import working_dtype
from stepwell.frontends.torch.compositions import composes

_LINEAR, _NEAREST, _CUBIC = 0, 1, 2
_ZEROS, _BORDER = 0, 1
# Of the cubic filter, as torch has it.
_A = -0.75


@dataclass(frozen=True)
class _Taps:
    """Positions, weights and slopes, each ``[N, 1, taps, points]``."""

    place: Tensor
    weight: Tensor
    slope: Tensor


def _on_pixels(x: Tensor, size: int, align_corners: bool) -> tuple[Tensor, float]:
    """Return the position of coordinates from -1 to 1, and its derivative."""
    if align_corners:
        return (x + 1) / 2 * (size - 1), (size - 1) / 2
    return ((x + 1) * size - 1) / 2, size / 2


def _inside(x: Tensor, size: int, padding: int, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Return positions brought into the image as ``padding`` says, and the derivative of that."""
    slope = torch.ones_like(x)
    if padding == _ZEROS:
        return x, slope
    if padding != _BORDER:
        low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
        if span == 0:
            return torch.zeros_like(x), torch.zeros_like(x)
        distance = (x - low).abs()
        extra = torch.fmod(distance, span)
        even = torch.fmod((distance / span).floor(), 2) == 0
        slope = torch.where(even, 1.0, -1.0).to(x.dtype) * torch.where(x < low, -1.0, 1.0).to(x.dtype)
        x = torch.where(even, extra + low, span - extra + low)
    return x.clamp(0, size - 1), torch.where((x > 0) & (x < size - 1), slope, 0.0)


def _cubic_weights(share: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the weights of the elements at -1, 0, 1 and 2, and their derivatives, for a share from 0 to 1."""

    def near(x: Tensor) -> tuple[Tensor, Tensor]:
        return ((_A + 2) * x - (_A + 3)) * x * x + 1, (3 * (_A + 2) * x - 2 * (_A + 3)) * x

    def far(x: Tensor) -> tuple[Tensor, Tensor]:
        return ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A, (3 * _A * x - 10 * _A) * x + 8 * _A

    found = [far(share + 1), near(share)]
    return found + [(weight, -slope) for weight, slope in (near(1 - share), far(2 - share))]


def _taps(x: Tensor, size: int, mode: int, padding: int, align_corners: bool) -> _Taps:
    """Return the taps along a dimension of ``size`` for coordinates from -1 to 1."""
    position, scale = _on_pixels(x, size, align_corners)
    if mode == _CUBIC:
        first = position.floor()
        weights, slopes = zip(*_cubic_weights(position - first), strict=True)
        places = torch.stack([first - 1, first, first + 1, first + 2], 2)
        inside, _ = _inside(places, size, padding, align_corners)
        return _Taps(inside.round(), torch.stack(weights, 2), torch.stack(slopes, 2) * scale)
    position, slope = _inside(position, size, padding, align_corners)
    if mode == _NEAREST:
        place = position.round().unsqueeze(2)
        return _Taps(place, torch.ones_like(place), torch.zeros_like(place))
    first, slope = position.floor(), slope * scale
    share = position - first
    return _Taps(*(torch.stack(pair, 2) for pair in ((first, first + 1), (1 - share, share), (-slope, slope))))


@dataclass(frozen=True)
class _Samples:
    """Elements of the flattened image, ``[N, 1, samples, points]``, zero outside, and the taps they come from."""

    place: Tensor
    known: Tensor
    taps: list[_Taps]

    def weight(self, without: int | None = None) -> Tensor:
        """The products of the taps' weights; with the slopes of the dimension ``without`` instead of its weights."""
        factors = [taps.slope if dim == without else taps.weight for dim, taps in enumerate(self.taps)]
        return torch.where(self.known, _outer(factors, torch.mul), 0.0)

    def read(self, image: Tensor) -> Tensor:
        """Return the elements of an image ``[N, C, elements]`` as ``[N, C, samples, points]``."""
        channels = image.shape[1]
        found = image.gather(2, self.place.flatten(2).expand(-1, channels, -1))
        return torch.where(self.known, found.unflatten(2, self.place.shape[2:]), 0.0)


def _outer(factors: Sequence[Tensor], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine ``[N, 1, taps, points]`` of every dimension, each tap with each of the others."""
    result = factors[0]
    for factor in factors[1:]:
        result = combine(result.unsqueeze(3), factor.unsqueeze(2)).flatten(2, 3)
    return result


def _samples(grid: Tensor, sizes: Sequence[int], mode: int, padding: int, align_corners: bool) -> _Samples:
    """Return the elements that samples are made of; the grid's last dimension counts from the image's last."""
    points = grid.flatten(1, -2).unsqueeze(1)
    taps = [_taps(points[..., -1 - dim], size, mode, padding, align_corners) for dim, size in enumerate(sizes)]
    inside = [(item.place >= 0) & (item.place <= size - 1) for item, size in zip(taps, sizes, strict=True)]
    numbers = []
    for item, known, rest in zip(taps, inside, range(1, len(sizes) + 1), strict=True):
        number = torch.where(known, item.place, 0.0).to(torch.int64)
        for size in sizes[rest:]:
            number = number * size
        numbers.append(number)
    known = _outer(inside, torch.logical_and)
    return _Samples(torch.where(known, _outer(numbers, torch.add), 0), known, taps)


@composes("aten.grid_sampler_3d.default")
def grid_sampler(operand: Tensor, grid: Tensor, mode: int, padding: int, align_corners: bool) -> Tensor:
    """The weighted sum of the elements around each point of ``grid``, ``[N, *points, dims]``."""
    wide = working_dtype(operand)
    samples = _samples(grid.to(wide), operand.shape[2:], mode, padding, align_corners)
    result = (samples.read(operand.flatten(2).to(wide)) * samples.weight()).sum(2)
    return result.to(operand.dtype).view(*operand.shape[:2], *grid.shape[1:-1])


@composes("aten.grid_sampler_2d_backward.default")
@composes("aten.grid_sampler_3d_backward.default")
def grid_sampler_backward(
    grad: Tensor,
    operand: Tensor,
    grid: Tensor,
    mode: int,
    padding: int,
    align_corners: bool,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of image and grid: the one is added where elements were read, the other follows the weights."""
    wide = working_dtype(operand)
    sizes, points = operand.shape[2:], grad.flatten(2).to(wide)
    samples = _samples(grid.to(wide), sizes, mode, padding, align_corners)
    for_image = for_grid = None
    if output_mask[0]:
        places = samples.place.flatten(2).expand(-1, operand.shape[1], -1)
        parts = (points.unsqueeze(2) * samples.weight()).flatten(2)
        empty = torch.zeros(operand.shape, dtype=wide, device=operand.device).flatten(2)
        for_image = empty.scatter_add(2, places, parts).view(operand.shape).to(operand.dtype)
    if output_mask[1] and mode == _NEAREST:
        for_grid = torch.zeros_like(grid)
    elif output_mask[1]:
        match = (samples.read(operand.flatten(2).to(wide)) * points.unsqueeze(2)).sum(1, keepdim=True)
        along = [(match * samples.weight(dim)).sum((1, 2)) for dim in range(len(sizes))]
        for_grid = torch.stack(along[::-1], -1).view(grid.shape).to(grid.dtype)
    return for_image, for_grid
