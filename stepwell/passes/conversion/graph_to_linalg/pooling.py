"""Pools to reductions over windows."""

import math
from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.base import integers
from stepwell.dialects.graph.pooling import (
    AdaptiveAvgPoolOp,
    AdaptiveMaxPoolOp,
    AvgPoolOp,
    MaxPoolOp,
    MaxPoolWithIndicesOp,
)
from stepwell.dialects.graph.types import TensorMeta
from stepwell.passes.conversion.graph_to_linalg.convolution import pad_spatial
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    compute_type,
    constant,
    element_type,
    loop_index,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.reduction import (
    better,
    count_scalar,
    element_count,
    lowest,
    maximum,
    position_dtype,
    reduce_dims,
    restore_dims,
    restore_positions,
    wide_dtype,
)
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.symbolic import Expr


def _window_maps(
    rank: int, dims: int, stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Any, Any, Any, list[str]]:
    """Return maps of operand, window and result, and iterators, of a pool over the last ``dims`` dimensions."""
    loops = [ir.AffineDimExpr.get(i) for i in range(rank + dims)]
    lead, positions, taps = loops[: rank - dims], loops[rank - dims : rank], loops[rank:]
    slide = [p * s + t * d for p, s, t, d in zip(positions, stride, taps, dilation, strict=True)]
    maps = [ir.AffineMap.get(rank + dims, 0, part) for part in ([*lead, *slide], taps, [*lead, *positions])]
    return maps[0], maps[1], maps[2], ["parallel"] * rank + ["reduction"] * dims


def _padded(build: Builder, op: Any, operand: Tensor, meta: TensorMeta, value: float | int) -> Tensor:
    """Pad so that every window, the partial last one of ceil mode included, lies inside."""
    kernel, stride = integers(op.kernel), integers(op.stride)
    padding, dilation = integers(op.padding), integers(op.dilation)
    dims = len(kernel)
    high = [
        Expr.max((meta.shape[i - dims] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - padding[i] - size, 0)
        for i, size in enumerate(operand.meta.shape[-dims:])
    ]
    return pad_spatial(build, operand, padding, high, value)


@lowers(MaxPoolOp)
def lower_max_pool(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta, kernel = result_meta(op), integers(op.kernel)
    dtype = operand.meta.dtype
    padded = _padded(build, op, operand, meta, lowest(dtype))
    source, window, target, iterators = _window_maps(meta.rank, len(kernel), integers(op.stride), integers(op.dilation))
    wide = meta.with_dtype(wide_dtype(dtype))
    start = build.filled(meta.shape, compute_type(dtype), lowest(dtype))
    # The window's own tensor is never read: its type gives the reduction loops their bounds.
    shape = tensor.empty(kernel, compute_type(dtype))
    combine = maximum(dtype)
    (value,) = build.generic(
        [(padded.value, source), (shape, window)],
        [(start, target)],
        iterators,
        lambda x, _, best: combine(best, widen(x)),
    )
    return restore_dims(build, Tensor(value, wide), meta, [])


@lowers(MaxPoolWithIndicesOp)
def lower_max_pool_with_indices(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    """Reduce value and flat position together; the first of equals wins, and NaN over numbers."""
    meta, kernel = result_meta(op), integers(op.kernel)
    stride, padding, dilation = integers(op.stride), integers(op.padding), integers(op.dilation)
    dtype, dims = operand.meta.dtype, len(kernel)
    padded = _padded(build, op, operand, meta, lowest(dtype))
    source, window, target, iterators = _window_maps(meta.rank, dims, stride, dilation)
    sizes, index = operand.meta.shape[-dims:], ir.IndexType.get()
    where_dtype = position_dtype(sizes)
    where_type = element_type(where_dtype)
    start = build.filled(meta.shape, compute_type(dtype), lowest(dtype))
    where = build.filled(meta.shape, where_type, -1)
    shape = tensor.empty(kernel, compute_type(dtype))

    def body(x: Any, _: Any, best: Any, position: Any) -> Any:
        element = widen(x)
        wins, flat = better(element, best, dtype, True), None
        for i in range(dims):
            out, tap = loop_index(meta.rank - dims + i), loop_index(meta.rank + i)
            place = arith.addi(
                arith.muli(out, constant(stride[i], index)), arith.muli(tap, constant(dilation[i], index))
            )
            place = arith.subi(place, constant(padding[i], index))
            if padded is not operand:
                # As an unsigned number a negative place is large: one comparison tells both borders.
                wins = arith.andi(wins, arith.cmpi(arith.CmpIPredicate.ult, place, build.size(sizes[i])))
            flat = place if flat is None else arith.addi(arith.muli(flat, build.size(sizes[i])), place)
        return arith.select(wins, element, best), arith.select(wins, arith.index_cast(where_type, flat), position)

    def first(kind: Any) -> Any:
        flat = None
        for i in range(dims):
            place = arith.muli(loop_index(meta.rank - dims + i), constant(stride[i], index))
            if padding[i]:
                place = _first_inside(arith.subi(place, constant(padding[i], index)), dilation[i])
            flat = place if flat is None else arith.addi(arith.muli(flat, build.size(sizes[i])), place)
        return arith.index_cast(kind, flat)

    values, positions = build.generic(
        [(padded.value, source), (shape, window)], [(start, target), (where, target)], iterators, body
    )
    wide = meta.with_dtype(wide_dtype(dtype))
    return (
        restore_dims(build, Tensor(values, wide), meta, []),
        restore_positions(build, Tensor(positions, meta.with_dtype(where_dtype)), result_meta(op, 1), [], first),
    )


def _first_inside(place: Any, dilation: int) -> Any:
    """Return the first of ``place``, ``place + dilation`` and so on that is not negative."""
    zero, step = (constant(number, place.type) for number in (0, dilation))
    missing = arith.maxsi(arith.subi(zero, place), zero)
    return arith.addi(place, arith.muli(arith.ceildivsi(missing, step), step))


@lowers(AvgPoolOp)
def lower_avg_pool(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta, kernel = result_meta(op), integers(op.kernel)
    dtype = operand.meta.dtype
    padded = _padded(build, op, operand, meta, 0)
    source, window, target, iterators = _window_maps(meta.rank, len(kernel), integers(op.stride), integers(op.dilation))
    start = build.filled(meta.shape, compute_type(dtype), 0)
    shape = tensor.empty(kernel, compute_type(dtype))
    add = arith.addf if dtype.is_float else arith.addi
    (value,) = build.generic(
        [(padded.value, source), (shape, window)],
        [(start, target)],
        iterators,
        lambda x, _, total: add(total, widen(x)),
    )
    total = Tensor(value, meta.with_dtype(wide_dtype(dtype)))
    sizes, divisor = operand.meta.shape[-len(kernel) :], ir.IntegerAttr(op.divisor).value

    def divide(x: Any) -> Any:
        count = _window_count(build, op, meta, sizes)
        if not dtype.is_float:
            whole = arith.index_cast(x.type, count)
            # A vector has lanes behind the last window too, whose count is nothing to divide by.
            return arith.divsi(x, whole if divisor else arith.maxsi(whole, constant(1, x.type)))
        return arith.divf(x, arith.sitofp(x.type, arith.index_cast(ir.IntegerType.get_signless(64), count)))

    return build.pointwise(meta, [total], divide)


def _window_count(build: Builder, op: Any, meta: TensorMeta, sizes: Sequence[Expr]) -> Any:
    """Return, inside a body, the number that the sum of this window is divided by, as an index."""
    kernel, stride, padding = integers(op.kernel), integers(op.stride), integers(op.padding)
    index = ir.IndexType.get()
    divisor = ir.IntegerAttr(op.divisor).value
    if divisor:
        return constant(divisor, index)
    include = ir.BoolAttr(op.count_include_pad).value
    if not any(padding) and not ir.BoolAttr(op.ceil_mode).value:
        return constant(math.prod(kernel), index)
    count = constant(1, index)
    for i, size in enumerate(sizes):
        begin = arith.muli(loop_index(meta.rank - len(kernel) + i), constant(stride[i], index))
        begin = arith.subi(begin, constant(padding[i], index))
        end = arith.addi(begin, constant(kernel[i], index))
        end = arith.minsi(end, build.size(size + padding[i] if include else size))
        if not include:
            begin = arith.maxsi(begin, constant(0, index))
        count = arith.muli(count, arith.subi(end, begin))
    return count


@lowers(AdaptiveAvgPoolOp)
def lower_adaptive_avg_pool(build: Builder, op: Any, operand: Tensor) -> Tensor:
    """One window for all positions where the sizes divide; else a masked window as large as the largest."""
    meta, sizes = result_meta(op), integers(op.sizes)
    dims = len(sizes)
    if all(size == 1 for size in sizes):
        axes = list(range(meta.rank - dims, meta.rank))
        total = reduce_dims(build, operand, axes, 0, arith.addf)
        count = element_count(operand.meta.shape, axes)
        return restore_dims(build, total, meta, axes, lambda x: arith.divf(x, count_scalar(build, count, x.type)))
    return _variable_means(build, operand, meta, sizes)


class _AdaptiveWindows:
    """The loop nest over windows whose place and size vary with the result's position.

    All windows are looped over as if they were as large as the largest; what lies behind a window's end is masked.
    """

    def __init__(self, build: Builder, operand: Tensor, meta: TensorMeta, sizes: Sequence[int]) -> None:
        self.build, self.operand, self.meta, self.sizes = build, operand, meta, sizes
        self.dims = len(sizes)
        self.spatial = operand.meta.shape[-self.dims :]
        # ceil(in / out) + 1 bounds ceil((i + 1) * in / out) - floor(i * in / out).
        kernel = [
            (full + size - 1) // size + (0 if full % size == Expr.const(0) else 1)
            for full, size in zip(self.spatial, sizes, strict=True)
        ]
        loops = [ir.AffineDimExpr.get(i) for i in range(meta.rank + self.dims)]
        # Never read: its type gives the reduction loops their bounds.
        self.window = (
            build.empty(tuple(kernel), compute_type(meta.dtype)),
            ir.AffineMap.get(meta.rank + self.dims, 0, loops[meta.rank :]),
        )
        self.target = ir.AffineMap.get(meta.rank + self.dims, 0, loops[: meta.rank])
        self.iterators = ["parallel"] * meta.rank + ["reduction"] * self.dims

    def bounds(self, dim: int) -> tuple[Any, Any]:
        """Return first and one past last position of this window along ``dim``, inside a body."""
        index = ir.IndexType.get()
        place, full = loop_index(self.meta.rank - self.dims + dim), self.build.size(self.spatial[dim])
        size = constant(self.sizes[dim], index)
        after = arith.muli(arith.addi(place, constant(1, index)), full)
        return arith.divui(arith.muli(place, full), size), arith.ceildivui(after, size)

    def element(self) -> tuple[Any, Any, list[Any]]:
        """Return, inside a body, the widened element, whether it lies in the window, and its spatial positions."""
        inside, places = None, []
        for dim in range(self.dims):
            begin, end = self.bounds(dim)
            place = arith.addi(begin, loop_index(self.meta.rank + dim))
            within = arith.cmpi(arith.CmpIPredicate.ult, place, end)
            inside = within if inside is None else arith.andi(inside, within)
            last = arith.subi(self.build.size(self.spatial[dim]), constant(1, ir.IndexType.get()))
            places.append(arith.minui(place, last))
        lead = [loop_index(i) for i in range(self.meta.rank - self.dims)]
        return widen(tensor.extract(self.operand.value, [*lead, *places])), inside, places


def _variable_means(build: Builder, operand: Tensor, meta: TensorMeta, sizes: Sequence[int]) -> Tensor:
    windows = _AdaptiveWindows(build, operand, meta, sizes)
    start = build.filled(meta.shape, compute_type(meta.dtype), 0)

    def body(_: Any, total: Any) -> Any:
        value, inside, _places = windows.element()
        return arith.addf(total, arith.select(inside, value, constant(0, value.type)))

    (value,) = build.generic([windows.window], [(start, windows.target)], windows.iterators, body)
    identity = ir.AffineMap.get_identity(meta.rank)
    output = build.empty(meta.shape, element_type(meta.dtype))

    def divide(x: Any, _: Any) -> Any:
        count = constant(1, ir.IndexType.get())
        for dim in range(windows.dims):
            begin, end = windows.bounds(dim)
            count = arith.muli(count, arith.subi(end, begin))
        number = arith.sitofp(x.type, arith.index_cast(ir.IntegerType.get_signless(64), count))
        return narrow(arith.divf(x, number), meta.dtype)

    (result,) = build.generic([(value, identity)], [(output, identity)], ["parallel"] * meta.rank, divide)
    return Tensor(result, meta)


@lowers(AdaptiveMaxPoolOp)
def lower_adaptive_max_pool(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    meta, dtype = result_meta(op), operand.meta.dtype
    windows = _AdaptiveWindows(build, operand, meta, integers(op.sizes))
    where_dtype = position_dtype(windows.spatial)
    where_type = element_type(where_dtype)
    start = build.filled(meta.shape, compute_type(dtype), lowest(dtype))
    where = build.filled(meta.shape, where_type, -1)

    def body(_: Any, best: Any, position: Any) -> Any:
        element, inside, places = windows.element()
        flat = places[0]
        for dim in range(1, windows.dims):
            flat = arith.addi(arith.muli(flat, build.size(windows.spatial[dim])), places[dim])
        wins = arith.andi(inside, better(element, best, dtype, True))
        return arith.select(wins, element, best), arith.select(wins, arith.index_cast(where_type, flat), position)

    def first(kind: Any) -> Any:
        flat = None
        for dim in range(windows.dims):
            begin, _end = windows.bounds(dim)
            flat = begin if flat is None else arith.addi(arith.muli(flat, build.size(windows.spatial[dim])), begin)
        return arith.index_cast(kind, flat)

    outputs = [(start, windows.target), (where, windows.target)]
    values, positions = build.generic([windows.window], outputs, windows.iterators, body)
    wide = meta.with_dtype(wide_dtype(dtype))
    return (
        restore_dims(build, Tensor(values, wide), meta, []),
        restore_positions(build, Tensor(positions, meta.with_dtype(where_dtype)), result_meta(op, 1), [], first),
    )
