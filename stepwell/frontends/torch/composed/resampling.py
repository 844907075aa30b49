"""Resizes without aliases: matrix products, as the weights depend on sizes alone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def linear(distance: Tensor) -> Tensor:
    """The weight of an element at a distance, which is not negative."""
    return (1 - distance).clamp(min=0)


def cubic(distance: Tensor, a: float = -0.5) -> Tensor:
    """The cubic convolution filter."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))


def lanczos(distance: Tensor) -> Tensor:
    """The sinc function in a window of three of its lobes."""
    return torch.where(distance < 3, torch.sinc(distance) * torch.sinc(distance / 3), 0.0)


def resampling_matrix(
    size: int, wanted: int, align_corners: bool, factor: float | None, filter: Callable[[Tensor], Tensor], radius: int
) -> Tensor:
    """Return the weights of ``size`` elements in each of ``wanted``: a filter that is widened where sizes shrink."""
    if align_corners:
        scale = (size - 1) / (wanted - 1) if wanted > 1 else 0.0
    else:
        scale = 1 / factor if factor else size / wanted
    width = max(scale, 1.0)
    centers = scale * (torch.arange(wanted, dtype=torch.float64) + 0.5)
    first = (centers - radius * width + 0.5).to(torch.int64).clamp(min=0).unsqueeze(1)
    end = (centers + radius * width + 0.5).to(torch.int64).clamp(max=size).unsqueeze(1)
    places = torch.arange(size)
    weights = filter(((places + 0.5 - centers.unsqueeze(1)) / width).abs())
    weights = torch.where((places >= first) & (places < end), weights, 0.0)
    return weights / weights.sum(1, keepdim=True)


def _resample(
    operand: Tensor,
    sizes: Sequence[int],
    align_corners: bool,
    factors: Sequence[float | None],
    filter: Callable[[Tensor], Tensor],
    radius: int,
) -> Tensor:
    if not all(isinstance(size, int) for size in (*sizes, *operand.shape[2:])):
        return NotImplemented
    rows, columns = (
        resampling_matrix(size, wanted, align_corners, factor, filter, radius).to(operand.dtype)
        for size, wanted, factor in zip(operand.shape[2:], sizes, factors, strict=True)
    )
    return rows @ (operand @ columns.t())


@composes("aten._upsample_bilinear2d_aa.default")
def bilinear_without_aliases(
    operand: Tensor, size: Sequence[int], align_corners: bool, rows: float | None = None, columns: float | None = None
) -> Tensor:
    """Two matrix products: the weights depend on sizes alone."""
    return _resample(operand, size, align_corners, (rows, columns), linear, 1)


@composes("aten._upsample_bicubic2d_aa.default")
def bicubic_without_aliases(
    operand: Tensor, size: Sequence[int], align_corners: bool, rows: float | None = None, columns: float | None = None
) -> Tensor:
    """Two matrix products: the weights depend on sizes alone."""
    return _resample(operand, size, align_corners, (rows, columns), cubic, 2)


@composes("aten._upsample_lanczos2d_aa.default")
def lanczos_without_aliases(
    operand: Tensor, size: Sequence[int], align_corners: bool, rows: float | None = None, columns: float | None = None
) -> Tensor:
    """Two matrix products: the weights depend on sizes alone."""
    return _resample(operand, size, align_corners, (rows, columns), lanczos, 3)
