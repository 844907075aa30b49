"""Gradients of resizes: products with the transposed matrices of weights, one per dimension."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.resampling import cubic, lanczos, linear, resampling_matrix
from stepwell.frontends.torch.composed.spreading import transposed, working_dtype
from stepwell.frontends.torch.compositions import composes

Factors = Sequence[float | None]


def _nearest_matrix(size: int, wanted: int, factor: float | None, offset: float, like: Tensor) -> Tensor:
    """One where a result takes an element; torch computes positions in float32 whatever the tensor's dtype."""
    places = torch.arange(wanted, dtype=torch.float32, device=like.device) + offset
    ratio = torch.full((), 1 / factor if factor else size / wanted, dtype=torch.float32, device=like.device)
    taken = (places * ratio).floor().to(torch.int64).clamp(max=size - 1).unsqueeze(1)
    return (taken == torch.arange(size, device=like.device)).to(working_dtype(like))


def _linear_matrix(size: int, wanted: int, factor: float | None, align_corners: bool, like: Tensor) -> Tensor:
    dtype = working_dtype(like)
    places = torch.arange(wanted, dtype=dtype, device=like.device)
    if align_corners:
        position = places * ((size - 1) / (wanted - 1) if wanted > 1 else 0.0)
    else:
        position = ((places + 0.5) * (1 / factor if factor else size / wanted) - 0.5).clamp(min=0)
    low = position.to(torch.int64).clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    share = (position - low).unsqueeze(1)
    columns = torch.arange(size, device=like.device)
    at_low, at_high = (where.unsqueeze(1) == columns for where in (low, high))
    return torch.where(at_low, 1 - share, 0.0) + torch.where(at_high, share, 0.0)


def _cubic_matrix(size: int, wanted: int, factor: float | None, align_corners: bool, like: Tensor) -> Tensor:
    """Four neighbours by the cubic filter with a = -0.75; those outside are the ones at the edge."""
    dtype = working_dtype(like)
    places = torch.arange(wanted, dtype=dtype, device=like.device)
    if align_corners:
        position = places * ((size - 1) / (wanted - 1) if wanted > 1 else 0.0)
    else:
        position = (places + 0.5) * (1 / factor if factor else size / wanted) - 0.5
    first = position.floor()
    columns = torch.arange(size, device=like.device)
    matrix = None
    for tap in range(-1, 3):
        share = cubic((position - first - tap).abs(), -0.75).unsqueeze(1)
        place = (first.to(torch.int64) + tap).clamp(0, size - 1).unsqueeze(1)
        part = torch.where(place == columns, share, 0.0)
        matrix = part if matrix is None else matrix + part
    assert matrix is not None
    return matrix


def _whole_factors(sizes: Sequence[int], wanted: Sequence[int], factors: Factors) -> bool:
    """Return whether each element becomes a block of equal ones."""
    return all(
        isinstance(size, int) and isinstance(want, int) and want % size == 0 and factor in (None, want / size)
        for size, want, factor in zip(sizes, wanted, factors, strict=True)
    )


def _nearest_backward(
    grad: Tensor, wanted: Sequence[int], sizes: Sequence[int], factors: Factors, offset: float
) -> Tensor:
    spatial = sizes[2:]
    if _whole_factors(spatial, wanted, factors):
        shape, dims = list(grad.shape[:2]), []
        for size, want in zip(spatial, wanted, strict=True):
            shape += [size, want // size]
            dims.append(len(shape) - 1)
        return grad.reshape(shape).sum(dims)
    matrices = [
        _nearest_matrix(size, want, factor, offset, grad)
        for size, want, factor in zip(spatial, wanted, factors, strict=True)
    ]
    return transposed(grad, matrices)


def _register_nearest(target: str, offset: float) -> None:
    @composes(target)
    def backward(grad: Tensor, wanted: Sequence[int], sizes: Sequence[int], *factors: float | None) -> Tensor:
        given = [*factors, *[None] * (len(wanted) - len(factors))]
        return _nearest_backward(grad, wanted, sizes, given, offset)


def _register_matrices(target: str, matrix: Callable[..., Tensor]) -> None:
    @composes(target)
    def backward(
        grad: Tensor, wanted: Sequence[int], sizes: Sequence[int], align_corners: bool, *factors: float | None
    ) -> Tensor:
        given = [*factors, *[None] * (len(wanted) - len(factors))]
        return transposed(
            grad,
            [
                matrix(size, want, factor, align_corners, grad)
                for size, want, factor in zip(sizes[2:], wanted, given, strict=True)
            ],
        )


def _without_aliases(filter: Callable[[Tensor], Tensor], radius: int) -> Callable[..., Tensor]:
    def matrix(size: int, wanted: int, factor: float | None, align_corners: bool, like: Tensor) -> Tensor:
        return resampling_matrix(size, wanted, align_corners, factor, filter, radius)

    return matrix


for _dims in (1, 2, 3):
    _register_nearest(f"aten.upsample_nearest{_dims}d_backward.default", 0.0)
    _register_nearest(f"aten._upsample_nearest_exact{_dims}d_backward.default", 0.5)
for _name in ("linear1d", "bilinear2d", "trilinear3d"):
    _register_matrices(f"aten.upsample_{_name}_backward.default", _linear_matrix)
_register_matrices("aten.upsample_bicubic2d_backward.default", _cubic_matrix)
_register_matrices("aten._upsample_bilinear2d_aa_backward.default", _without_aliases(linear, 1))
_register_matrices("aten._upsample_bicubic2d_aa_backward.default", _without_aliases(cubic, 2))
_register_matrices("aten._upsample_lanczos2d_aa_backward.default", _without_aliases(lanczos, 3))
