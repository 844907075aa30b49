"""Pooling over windows of one to three spatial dimensions."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, integers
from stepwell.dialects.graph.types import Shape, TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def pooled_size(size: Expr, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> Expr:
    """Return the number of windows along one dimension.

    With ``ceil_mode`` a last partial window counts if it starts inside the operand or its left padding.
    """
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return span // stride + 1
    rounded = (span + stride - 1) // stride + 1
    # The last window starts at (rounded - 1) * stride, which must be below size + padding.
    return Expr.min(rounded, (size + padding - 1) // stride + 1)


def searched_windows(array: Any, dims: int, counts: tuple[int, ...], windows: Any) -> tuple[Any, Any]:
    """Return the largest element of each window and its position in the flattened last ``dims`` dimensions."""
    sizes, lead = array.shape[-dims:], array.shape[:-dims]
    flat: Any = np.broadcast_to(np.arange(int(np.prod(sizes))).reshape(sizes), array.shape)
    values: Any = np.zeros((*lead, *counts), dtype=array.dtype)
    indices: Any = np.zeros((*lead, *counts), dtype=np.int64)
    for position, window in windows:
        part = array[(..., *window)]
        rows = part.reshape(*lead, int(np.prod(part.shape[-dims:])))
        places = flat[(..., *window)].reshape(rows.shape)
        # numpy's argmax stops at the first NaN, which torch lets win too.
        first = np.argmax(rows, axis=-1)[..., None]
        values[(..., *position)] = np.take_along_axis(rows, first, -1)[..., 0]
        indices[(..., *position)] = np.take_along_axis(places, first, -1)[..., 0]
    return values, indices


class WindowPool(GraphOperation):
    """Base of the pools over ``[N, C, *spatial]`` (or without N) with one kernel for all windows."""

    operand: Operand[Tensor]
    kernel: ir.DenseI64ArrayAttr
    stride: ir.DenseI64ArrayAttr
    padding: ir.DenseI64ArrayAttr
    dilation: ir.DenseI64ArrayAttr
    ceil_mode: ir.BoolAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Leading dimensions kept; each spatial one gives its number of windows."""
        operand, dims = meta_of(op.operand), len(integers(op.kernel))
        if operand.rank not in (dims + 1, dims + 2):
            raise ValueError(f"pools {dims} dimensions of a rank {operand.rank} tensor")
        return (operand.with_shape((*operand.shape[:-dims], *cls._spatial(op, operand.shape[-dims:]))),)

    @staticmethod
    def _spatial(op: Any, sizes: Shape) -> list[Expr]:
        ceil_mode = ir.BoolAttr(op.ceil_mode).value
        parameters = zip(
            integers(op.kernel), integers(op.stride), integers(op.padding), integers(op.dilation), strict=True
        )
        return [pooled_size(size, *values, ceil_mode) for size, values in zip(sizes, parameters, strict=True)]

    @classmethod
    def _windows(cls, op: Any, array: Any) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield (output position, slices of the unpadded operand) for each window."""
        kernel, stride = integers(op.kernel), integers(op.stride)
        padding, dilation = integers(op.padding), integers(op.dilation)
        sizes = array.shape[-len(kernel) :]
        counts = [size.constant for size in cls._spatial(op, tuple(map(Expr.const, sizes)))]
        for position in itertools.product(*map(range, counts)):
            slices = []
            for dim, index in enumerate(position):
                taps = [
                    tap
                    for tap in range(
                        index * stride[dim] - padding[dim],
                        index * stride[dim] - padding[dim] + dilation[dim] * kernel[dim],
                        dilation[dim],
                    )
                    if 0 <= tap < sizes[dim]
                ]
                slices.append(slice(taps[0], taps[-1] + 1, dilation[dim]) if taps else slice(0, 0))
            yield position, tuple(slices)

    @classmethod
    def _map_windows(cls, op: Any, array: Any, reduce: Any) -> Any:
        dims = len(integers(op.kernel))
        counts = [s.constant for s in cls._spatial(op, tuple(map(Expr.const, array.shape[-dims:])))]
        result: Any = np.zeros((*array.shape[:-dims], *counts), dtype=array.dtype)
        for position, window in cls._windows(op, array):
            result[(..., *position)] = reduce(array[(..., *window)], position)
        return result


class MaxPoolOp(WindowPool, name="max_pool", traits=[Pure]):
    """Largest element of each window; NaN wins, padding never does."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        axes = tuple(range(-len(integers(op.kernel)), 0))
        return cls._map_windows(op, arrays[0], lambda window, _: np.max(window, axis=axes))


class MaxPoolWithIndicesOp(WindowPool, name="max_pool_with_indices", traits=[Pure]):
    """Largest element of each window and its position in the flattened spatial dimensions (int64)."""

    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The pooled shape twice: the operand's dtype, and int64."""
        (values,) = super().infer(op)
        return values, values.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dims, array = len(integers(op.kernel)), arrays[0]
        counts = cls._spatial(op, tuple(map(Expr.const, array.shape[-dims:])))
        return searched_windows(array, dims, tuple(count.constant for count in counts), cls._windows(op, array))


class AvgPoolOp(WindowPool, name="avg_pool", traits=[Pure]):
    """Mean of each window; ``divisor`` 0 divides by the window's size, with or without the padding in it."""

    count_include_pad: ir.BoolAttr
    divisor: ir.IntegerAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        kernel, stride, padding = integers(op.kernel), integers(op.stride), integers(op.padding)
        axes = tuple(range(-len(kernel), 0))
        sizes = arrays[0].shape[-len(kernel) :]
        divisor = ir.IntegerAttr(op.divisor).value
        padded = ir.BoolAttr(op.count_include_pad).value

        def mean(window: Any, position: tuple[int, ...]) -> Any:
            count = 1
            for dim, index in enumerate(position):
                start = index * stride[dim] - padding[dim]
                end = min(start + kernel[dim], sizes[dim] + padding[dim])
                count *= end - start if padded else min(end, sizes[dim]) - max(start, 0)
            return np.sum(window.astype(np.float64), axis=axes) / (divisor or count)

        return cls._map_windows(op, arrays[0], mean)


class AdaptivePool(GraphOperation):
    """Base of the pools over ``[floor(i * in / out), ceil((i + 1) * in / out))`` in the last dimensions."""

    operand: Operand[Tensor]
    sizes: ir.DenseI64ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Leading dimensions kept, then ``sizes``."""
        operand, sizes = meta_of(op.operand), integers(op.sizes)
        if operand.rank not in (len(sizes) + 1, len(sizes) + 2):
            raise ValueError(f"pools {len(sizes)} dimensions of a rank {operand.rank} tensor")
        return (operand.with_shape((*operand.shape[: -len(sizes)], *map(Expr.const, sizes))),)

    @classmethod
    def _windows(cls, op: Any, array: Any) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        sizes = integers(op.sizes)
        for position in itertools.product(*map(range, sizes)):
            yield (
                position,
                tuple(
                    slice(index * full // size, -(-(index + 1) * full // size))
                    for index, full, size in zip(position, array.shape[-len(sizes) :], sizes, strict=True)
                ),
            )


class AdaptiveAvgPoolOp(AdaptivePool, name="adaptive_avg_pool", traits=[Pure]):
    """Mean of each window."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        sizes, array = integers(op.sizes), arrays[0]
        axes = tuple(range(-len(sizes), 0))
        result: Any = np.zeros((*array.shape[: -len(sizes)], *sizes), dtype=array.dtype)
        for position, window in cls._windows(op, array):
            result[(..., *position)] = np.mean(array[(..., *window)].astype(np.float64), axis=axes)
        return result


class AdaptiveMaxPoolOp(AdaptivePool, name="adaptive_max_pool", traits=[Pure]):
    """Largest element of each window and its position in the flattened spatial dimensions (int64); NaN wins."""

    indices: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The pooled shape twice: the operand's dtype, and int64."""
        (values,) = super().infer(op)
        return values, values.with_dtype(DType.INT64)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        sizes, array = integers(op.sizes), arrays[0]
        return searched_windows(array, len(sizes), tuple(sizes), cls._windows(op, array))
