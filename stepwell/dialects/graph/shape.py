"""Ops that rename, reorder or select elements without computing: torch's views, as values."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, integers, sizes_of
from stepwell.dialects.graph.sizes import (
    check_dim,
    check_distinct_dims,
    check_permutation,
    concrete,
    integer_of,
    number_of_elements,
    provably_differ,
    size_of,
)
from stepwell.dialects.graph.types import ONE, TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class ReshapeOp(GraphOperation, name="reshape", traits=[Pure]):
    """The elements of ``operand`` in row-major order, as a tensor of ``sizes``.

    Serves ``view``, ``reshape``, ``flatten``, ``unflatten``, ``squeeze`` and ``unsqueeze``.
    """

    operand: Operand[Tensor]
    sizes: ir.ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The given sizes; the number of elements must agree where both are known."""
        operand = meta_of(op.operand)
        sizes = sizes_of(op.sizes)
        if provably_differ(number_of_elements(operand.shape), number_of_elements(sizes)):
            raise ValueError(f"cannot reshape {operand} to [{', '.join(map(str, sizes))}]")
        return (operand.with_shape(sizes),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0].reshape(concrete(op, [op.operand], arrays, sizes_of(op.sizes)))


class PermuteOp(GraphOperation, name="permute", traits=[Pure]):
    """Dimension ``i`` of the result is dimension ``dims[i]`` of ``operand``."""

    operand: Operand[Tensor]
    dims: ir.DenseI64ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The sizes reordered."""
        operand, dims = meta_of(op.operand), integers(op.dims)
        check_permutation(dims, operand.rank)
        return (operand.with_shape(tuple(operand.shape[dim] for dim in dims)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.transpose(arrays[0], integers(op.dims))


class ExpandOp(GraphOperation, name="expand", traits=[Pure]):
    """``operand`` repeated along its dimensions of size 1, and along new leading dimensions, to ``sizes``."""

    operand: Operand[Tensor]
    sizes: ir.ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The given sizes."""
        operand, sizes = meta_of(op.operand), sizes_of(op.sizes)
        offset = len(sizes) - operand.rank
        if offset < 0:
            raise ValueError(f"cannot expand rank {operand.rank} to rank {len(sizes)}")
        for dim, size in enumerate(operand.shape):
            if size != ONE and provably_differ(size, sizes[offset + dim]):
                raise ValueError(f"cannot expand dimension {dim} of size {size} to {sizes[offset + dim]}")
        return (operand.with_shape(sizes),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.broadcast_to(arrays[0], concrete(op, [op.operand], arrays, sizes_of(op.sizes)))


class SliceOp(GraphOperation, name="slice", traits=[Pure]):
    """Elements ``start``, ``start + step``, ... below ``end`` of dimension ``dim``.

    ``start`` and ``end`` are size expressions, clamped already: ``0 <= start <= end <= size``.
    """

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    start: ir.StringAttr
    end: ir.StringAttr
    step: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """``ceil((end - start) / step)`` in place of the size."""
        operand, dim, step = meta_of(op.operand), integer_of(op.dim), integer_of(op.step)
        check_dim(dim, operand.rank)
        if step < 1:
            raise ValueError(f"step must be positive, got {step}")
        size = slice_size(op, operand.shape[dim])
        return (operand.with_shape((*operand.shape[:dim], size, *operand.shape[dim + 1 :])),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return arrays[0][slice_index(op, [op.operand], arrays)]


def slice_size(op: Any, size: Expr) -> Expr:
    """Return the number of elements that ``op.start``, ``op.end`` and ``op.step`` take of a dimension of ``size``."""
    start, end, step = size_of(op.start), size_of(op.end), integer_of(op.step)
    for low, high in ((Expr.const(0), start), (start, end), (end, size)):
        gap = high - low
        if gap.is_constant and gap.constant < 0:
            raise ValueError(f"slice {start} to {end} does not lie in a dimension of size {size}")
    return (end - start + (step - 1)) // step


def slice_index(op: Any, values: Any, arrays: Any) -> tuple[slice, ...]:
    """Return the numpy index of the slice that ``op`` names."""
    start, end = concrete(op, values, arrays, [size_of(op.start), size_of(op.end)])
    return (*[slice(None)] * integer_of(op.dim), slice(start, end, integer_of(op.step)))


class FlipOp(GraphOperation, name="flip", traits=[Pure]):
    """``operand`` with the order of the elements reversed along ``dims``."""

    operand: Operand[Tensor]
    dims: ir.DenseI64ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape."""
        operand = meta_of(op.operand)
        check_distinct_dims(integers(op.dims), operand.rank)
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.flip(arrays[0], tuple(integers(op.dims)))


def diagonal_size(rows: Expr, columns: Expr, offset: int) -> Expr:
    """Return the length of the diagonal ``offset`` above the main one."""
    length = Expr.min(rows, columns - offset) if offset >= 0 else Expr.min(rows + offset, columns)
    return Expr.max(length, 0) if length.is_constant else length


class DiagonalOp(GraphOperation, name="diagonal", traits=[Pure]):
    """The diagonal of dimensions ``dim1`` and ``dim2``, ``offset`` above the main one, as the last dimension."""

    operand: Operand[Tensor]
    offset: ir.IntegerAttr
    dim1: ir.IntegerAttr
    dim2: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The other dimensions, then the length of the diagonal."""
        operand, dims = meta_of(op.operand), (integer_of(op.dim1), integer_of(op.dim2))
        check_distinct_dims(dims, operand.rank)
        kept = [size for dim, size in enumerate(operand.shape) if dim not in dims]
        length = diagonal_size(operand.shape[dims[0]], operand.shape[dims[1]], integer_of(op.offset))
        return (operand.with_shape((*kept, length)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.diagonal(arrays[0], integer_of(op.offset), integer_of(op.dim1), integer_of(op.dim2))


class UnfoldOp(GraphOperation, name="unfold", traits=[Pure]):
    """Windows of ``size`` elements, each ``step`` after the other, along ``dim``; the new last dimension runs in them.

    Element ``[..., i, ..., j]`` is ``operand[..., i * step + j * dilation, ...]``.
    """

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    size: ir.IntegerAttr
    step: ir.IntegerAttr
    dilation: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The number of windows in place of the size, and the window's size at the end."""
        operand, dim = meta_of(op.operand), integer_of(op.dim)
        check_dim(dim, operand.rank)
        size, step, dilation = integer_of(op.size), integer_of(op.step), integer_of(op.dilation)
        span = operand.shape[dim] - dilation * (size - 1) - 1
        if size < 1 or step < 1 or dilation < 1 or (span.is_constant and span.constant < 0):
            raise ValueError(f"no window of {size} elements fits dimension {dim} of {operand}")
        windows = span // step + 1
        return (operand.with_shape((*operand.shape[:dim], windows, *operand.shape[dim + 1 :], Expr.const(size))),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dim, step, dilation = integer_of(op.dim), integer_of(op.step), integer_of(op.dilation)
        width = dilation * (integer_of(op.size) - 1) + 1
        windows = np.lib.stride_tricks.sliding_window_view(arrays[0], width, axis=dim)
        return windows[(*[slice(None)] * dim, slice(None, None, step))][..., ::dilation]


class AsStridedOp(GraphOperation, name="as_strided", traits=[Pure]):
    """Element ``[i, j, ...]`` is element ``offset + i * strides[0] + ...`` of ``operand`` in row-major order."""

    operand: Operand[Tensor]
    sizes: ir.ArrayAttr
    strides: ir.ArrayAttr
    offset: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The given sizes, where the last element lies within the operand."""
        operand, sizes, strides = meta_of(op.operand), sizes_of(op.sizes), sizes_of(op.strides)
        if len(sizes) != len(strides):
            raise ValueError(f"needs one stride per size, got {len(sizes)} sizes and {len(strides)} strides")
        last = size_of(op.offset)
        for size, stride in zip(sizes, strides, strict=True):
            last = last + (size - 1) * stride
        room = number_of_elements(operand.shape) - 1 - last
        empty = any(size == Expr.const(0) for size in sizes)
        if room.is_constant and room.constant < 0 and not empty:
            raise ValueError(f"the last element, {last}, lies outside {operand}")
        return (operand.with_shape(sizes),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        flat = arrays[0].reshape(-1)
        numbers = concrete(op, [op.operand], arrays, [*sizes_of(op.sizes), *sizes_of(op.strides), size_of(op.offset)])
        rank = len(numbers) // 2
        position = np.full(numbers[:rank], numbers[-1], dtype=np.int64)
        for dim in range(rank):
            steps = np.arange(numbers[dim]) * numbers[rank + dim]
            position = position + steps.reshape([-1] + [1] * (rank - dim - 1))
        return flat[position]
