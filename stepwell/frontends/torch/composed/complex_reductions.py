"""Reductions and scans of complex tensors that do not treat both parts alike."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.complex_compositions import Parts, composes_complex, parts_of
from stepwell.frontends.torch.composed.complex_arithmetic import product
from stepwell.frontends.torch.composed.loops import repeat


def _in_dtype(operand: Tensor, dtype: torch.dtype | None) -> Tensor:
    return operand if dtype is None else operand.to(dtype)


def _halved(operand: Parts, dim: int) -> Parts:
    """Return the products of the elements of the two halves of a dimension, and the middle one."""
    half = operand[0].shape[dim] // 2
    low, high, rest = (
        tuple(part.narrow(dim, start, count) for part in operand)
        for start, count in ((0, half), (half, half), (2 * half, operand[0].shape[dim] % 2))
    )
    pairs = product((low[0], low[1]), (high[0], high[1]))
    return torch.cat([pairs[0], rest[0]], dim), torch.cat([pairs[1], rest[1]], dim)


@composes_complex("aten.prod.dim_int")
def prod(operand: Tensor, dim: int, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    """The product along a dimension of known size, by halves."""
    operand = _in_dtype(operand, dtype)
    if not operand.dtype.is_complex:
        return torch.prod(operand, dim, keepdim)
    if not operand.dim():
        return operand.clone()
    if not isinstance(operand.shape[dim], int):
        return NotImplemented
    parts = parts_of(operand)
    if operand.shape[dim] == 0:
        shape = [1 if place == dim % operand.dim() else size for place, size in enumerate(operand.shape)]
        parts = parts[0].new_ones(shape), parts[0].new_zeros(shape)
    while parts[0].shape[dim] > 1:
        parts = _halved(parts, dim)
    found = torch.complex(*parts)
    return found if keepdim else found.squeeze(dim)


@composes_complex("aten.prod.default")
def prod_of_all(operand: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """The product of all elements."""
    return torch.prod(_in_dtype(operand, dtype).flatten(), 0)


@composes_complex("aten.cumprod.default")
def cumprod(operand: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """Products of all elements up to each: by steps that double in length (Hillis and Steele, 1986)."""
    operand = _in_dtype(operand, dtype)
    if not operand.dtype.is_complex:
        return torch.cumprod(operand, dim)
    if not operand.dim():
        return operand.clone()
    size = operand.shape[dim]
    if not isinstance(size, int):
        return NotImplemented
    (re, im), step = parts_of(operand), 1
    while step < size:
        low = tuple(part.narrow(dim, 0, size - step) for part in (re, im))
        high = tuple(part.narrow(dim, step, size - step) for part in (re, im))
        pairs = product((low[0], low[1]), (high[0], high[1]))
        re, im = (torch.cat([part.narrow(dim, 0, step), pair], dim) for part, pair in zip((re, im), pairs, strict=True))
        step *= 2
    return torch.complex(re, im)


def _variance(operand: Tensor, dim: Any, correction: Any, keepdim: bool) -> Tensor:
    re, im = parts_of(operand)
    one, other = (torch.var(part, dim, correction=correction, keepdim=keepdim) for part in (re, im))
    return one + other


@composes_complex("aten.var.correction")
def var(operand: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """The variance of both parts, added."""
    return _variance(operand, dim, 1 if correction is None else correction, keepdim)


@composes_complex("aten.std.correction")
def std(operand: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """The root of the variance."""
    return _variance(operand, dim, 1 if correction is None else correction, keepdim).sqrt()


@composes_complex("aten.var_mean.correction")
def var_mean(
    operand: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Variance and mean."""
    dims = list(range(operand.dim())) if dim is None or (isinstance(dim, list | tuple) and not dim) else dim
    return var(operand, dim, correction=correction, keepdim=keepdim), torch.mean(operand, dims, keepdim)


@composes_complex("aten.var.dim", "aten.var.default")
def var_of_dims(operand: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """The variance, by a flag in place of a correction."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _variance(operand, dim, int(unbiased), keepdim)


@composes_complex("aten.std.dim", "aten.std.default")
def std_of_dims(operand: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """The root of the variance, by a flag in place of a correction."""
    return var_of_dims(operand, dim, unbiased, keepdim).sqrt()


@composes_complex("aten.linalg_vector_norm.default")
def vector_norm(
    operand: Tensor,
    ord: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The norm of the lengths."""
    operand = _in_dtype(operand, dtype)
    return torch.linalg.vector_norm(operand.abs() if operand.dtype.is_complex else operand, ord, dim, keepdim)


@composes_complex("aten.logsumexp.default")
def logsumexp(operand: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of a sum of exponentials, which are scaled by the largest."""
    largest = torch.amax(torch.real(operand), dim, keepdim=True)
    largest = torch.where(largest.isinf(), 0.0, largest)
    total = torch.sum(torch.exp(operand - largest), dim, keepdim=keepdim)
    return torch.log(total) + (largest if keepdim else largest.squeeze(dim))


@composes_complex("aten.logaddexp.default")
def logaddexp(lhs: Tensor, rhs: Tensor) -> Tensor:
    """The logarithm of a sum of two exponentials, which are scaled by the larger; its phase goes on from there."""
    first = torch.real(lhs) >= torch.real(rhs)
    large, small = torch.where(first, lhs, rhs), torch.where(first, rhs, lhs)
    level, gap = torch.real(large), small - large
    # The difference of two infinities is no number.
    both_infinite = torch.where(level < 0, small, torch.log(torch.exp(large) + torch.exp(small)))
    found = torch.where(torch.real(gap) == -torch.inf, large, large + torch.log1p(torch.exp(gap)))
    found = torch.where(level.isinf() & (level == torch.real(small)), both_infinite, found)
    return torch.where(lhs.isnan() | rhs.isnan(), complex(torch.nan, torch.nan), found)


@composes_complex("aten.logcumsumexp.default")
def logcumsumexp(operand: Tensor, dim: int) -> Tensor:
    """One sum after another: what was added before decides by how many turns a phase is beyond the first one."""
    if not operand.dim() or (isinstance(operand.shape[dim], int) and operand.shape[dim] == 0):
        return operand.clone()
    rows = operand.movedim(dim, 0)

    def add(k: Tensor, total: Tensor, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        total = torch.logaddexp(rows.index_select(0, k.unsqueeze(0)).squeeze(0), total)
        return [total], [total]

    nothing = torch.full(rows.shape[1:], -torch.inf, dtype=operand.dtype, device=operand.device)
    _, (found,) = repeat(rows.shape[0], add, [nothing], rows)
    return found.movedim(0, dim)
