"""Gradients of pools.

Those of means are sums over the windows that hold an element, one dimension after the other.  Those of maxima are
added where the indices say.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.spreading import spread, working_dtype
from stepwell.frontends.torch.compositions import composes


def _per_dimension(values: Sequence[int], dims: int) -> list[int]:
    return list(values) * dims if len(values) == 1 else list(values)


def _avg_pool_backward(
    grad: Tensor,
    operand: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    count_include_pad: bool,
    divisor: int | None,
    dims: int,
) -> Tensor:
    kernels = _per_dimension(kernel, dims)
    windows = zip(kernels, _per_dimension(stride or kernel, dims), _per_dimension(padding, dims), strict=True)
    result = grad.to(working_dtype(grad)) / (divisor or 1)
    dtype = result.dtype
    for dim, (taps, step, pad) in enumerate(windows, -dims):
        size = operand.shape[dim]

        def weight(
            i: Tensor, j: Tensor, taps: int = taps, step: int = step, pad: int = pad, size: int = size
        ) -> Tensor:
            start = j * step - pad
            end = (start + taps).clamp(max=size + pad)
            inside = (i >= start) & (i < end)
            if divisor is not None:
                return inside.to(dtype)
            count = end - start if count_include_pad else end.clamp(max=size) - start.clamp(min=0)
            return torch.where(inside, 1 / count.to(dtype), 0.0)

        def last(i: Tensor, step: int = step, pad: int = pad) -> Tensor:
            return torch.div(i + pad, step, rounding_mode="floor")

        result = spread(result, dim, size, last, -(-taps // step), weight)
    return result.to(grad.dtype)


@composes("aten.avg_pool2d_backward.default")
def avg_pool2d_backward(
    grad: Tensor,
    operand: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """What each window has, divided by its size, for all of its elements."""
    return _avg_pool_backward(grad, operand, kernel, stride, padding, count_include_pad, divisor, 2)


@composes("aten.avg_pool3d_backward.default")
def avg_pool3d_backward(
    grad: Tensor,
    operand: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """What each window has, divided by its size, for all of its elements."""
    return _avg_pool_backward(grad, operand, kernel, stride, padding, count_include_pad, divisor, 3)


def _adaptive_avg_pool_backward(grad: Tensor, operand: Tensor, dims: int) -> Tensor:
    """Window ``j`` of ``n`` holds the elements from ``floor(j * size / n)`` to ``ceil((j + 1) * size / n)``."""
    result = grad.to(working_dtype(grad))
    dtype = result.dtype
    for dim in range(-dims, 0):
        size, count = operand.shape[dim], grad.shape[dim]

        def weight(i: Tensor, j: Tensor, size: int = size, count: int = count) -> Tensor:
            start = torch.div(j * size, count, rounding_mode="floor")
            end = -torch.div(-(j + 1) * size, count, rounding_mode="floor")
            return torch.where((i >= start) & (i < end), 1 / (end - start).to(dtype), 0.0)

        def last(i: Tensor, size: int = size, count: int = count) -> Tensor:
            return -torch.div(-(i + 1) * count, size, rounding_mode="floor") - 1

        known = isinstance(size, int) and isinstance(count, int)
        terms = -(-count // max(size, 1)) + 1 if known else size
        result = spread(result, dim, size, last, terms, weight)
    return result.to(grad.dtype)


@composes("aten._adaptive_avg_pool2d_backward.default")
def adaptive_avg_pool2d_backward(grad: Tensor, operand: Tensor) -> Tensor:
    """What each window has, divided by its size, for all of its elements."""
    return _adaptive_avg_pool_backward(grad, operand, 2)


@composes("aten._adaptive_avg_pool3d_backward.default")
def adaptive_avg_pool3d_backward(grad: Tensor, operand: Tensor) -> Tensor:
    """What each window has, divided by its size, for all of its elements."""
    return _adaptive_avg_pool_backward(grad, operand, 3)


def _add_at_indices(grad: Tensor, operand: Tensor, indices: Tensor, dims: int) -> Tensor:
    """Add each element to the place in the flattened last dimensions that its index names."""
    empty = torch.zeros_like(operand, memory_format=torch.contiguous_format).flatten(-dims)
    return empty.scatter_add(-1, indices.flatten(-dims), grad.flatten(-dims)).view(operand.shape)


@composes("aten.max_pool2d_with_indices_backward.default")
def max_pool2d_backward(
    grad: Tensor,
    operand: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 2)


@composes("aten.max_pool3d_with_indices_backward.default")
def max_pool3d_backward(
    grad: Tensor,
    operand: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 3)


@composes("aten.adaptive_max_pool2d_backward.default")
def adaptive_max_pool2d_backward(grad: Tensor, operand: Tensor, indices: Tensor) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 2)


@composes("aten.adaptive_max_pool3d_backward.default")
def adaptive_max_pool3d_backward(grad: Tensor, operand: Tensor, indices: Tensor) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 3)


@composes("aten.fractional_max_pool2d_backward.default")
def fractional_max_pool2d_backward(grad: Tensor, operand: Tensor, kernel: Any, sizes: Any, indices: Tensor) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 2)


@composes("aten.fractional_max_pool3d_backward.default")
def fractional_max_pool3d_backward(grad: Tensor, operand: Tensor, kernel: Any, sizes: Any, indices: Tensor) -> Tensor:
    """Each window's gradient belongs to its largest element."""
    return _add_at_indices(grad, operand, indices, 3)
