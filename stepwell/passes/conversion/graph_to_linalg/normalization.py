"""Softmax and normalisations to row reductions and pointwise ops, which fusion keeps in one kernel."""

import math
from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.normalization import (
    BatchNormOp,
    GroupNormOp,
    LayerNormOp,
    LogSoftmaxOp,
    RmsNormOp,
    SoftmaxOp,
)
from stepwell.dialects.graph.types import TensorMeta
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    compute_type,
    constant,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.reduction import (
    centred_square_sum,
    count_scalar,
    element_count,
    mean_of,
    reduce_dims,
    reduction_maps,
    restore_dims,
    spread,
    wide_dtype,
)
from stepwell.support.bindings import arith, ir
from stepwell.support.bindings import math as math_dialect


def over_rows(
    build: Builder, meta: TensorMeta, full: Sequence[Tensor], rows: Sequence[Tensor], dims: Sequence[int], body: Any
) -> Tensor:
    """Compute each element of ``meta`` from full tensors and from tensors reduced over ``dims``."""
    rank = meta.rank
    identity = ir.AffineMap.get_identity(rank)
    inputs = [(item.value, identity) for item in full] + [spread(build, item, meta.shape, dims) for item in rows]
    output = build.empty(meta.shape, build.type_of(meta).element_type)

    def wrapped(*scalars: Any) -> Any:
        return narrow(body(*[widen(scalar) for scalar in scalars[:-1]]), meta.dtype)

    (value,) = build.generic(inputs, [(output, identity)], ["parallel"] * rank, wrapped)
    return Tensor(value, meta)


def exponentials(build: Builder, operand: Tensor, dim: int, *, masked: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return (row maxima, exp(x - max), row sums) along ``dim``, in the accumulator's dtype.

    ``masked``: a row of nothing but -inf gives zeros instead of NaN, as attention defines it.
    """
    wide = operand.meta.with_dtype(wide_dtype(operand.meta.dtype))
    largest = reduce_dims(build, operand, [dim], -math.inf, arith.maximumf)

    def shifted(x: Any, top: Any) -> Any:
        if masked:
            empty = arith.cmpf(arith.CmpFPredicate.OEQ, top, constant(-math.inf, top.type))
            top = arith.select(empty, constant(0, top.type), top)
        return math_dialect.exp(arith.subf(x, top))

    exponential = over_rows(build, wide, [operand], [largest], [dim], shifted)
    return largest, exponential, reduce_dims(build, exponential, [dim], 0, arith.addf)


def softmax(build: Builder, operand: Tensor, dim: int, *, masked: bool = False) -> Tensor:
    """Return the softmax along ``dim`` in the operand's dtype."""
    if operand.meta.rank == 0:
        return build.pointwise(operand.meta, [operand], lambda x: math_dialect.exp(arith.subf(x, x)))
    _, exponential, total = exponentials(build, operand, dim, masked=masked)

    def divide(x: Any, row: Any) -> Any:
        quotient = arith.divf(x, row)
        if not masked:
            return quotient
        zero = constant(0, x.type)
        return arith.select(arith.cmpf(arith.CmpFPredicate.OEQ, row, zero), zero, quotient)

    return over_rows(build, operand.meta, [exponential], [total], [dim], divide)


@lowers(SoftmaxOp)
def lower_softmax(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return softmax(build, operand, ir.IntegerAttr(op.dim).value)


@lowers(LogSoftmaxOp)
def lower_log_softmax(build: Builder, op: Any, operand: Tensor) -> Tensor:
    if operand.meta.rank == 0:
        return build.pointwise(operand.meta, [operand], lambda x: arith.subf(x, x))
    dim = ir.IntegerAttr(op.dim).value
    largest, _, total = exponentials(build, operand, dim, masked=False)
    logarithm = build.pointwise(total.meta, [total], math_dialect.log)
    return over_rows(
        build,
        operand.meta,
        [operand],
        [largest, logarithm],
        [dim],
        lambda x, top, log: arith.subf(arith.subf(x, top), log),
    )


def _reciprocal_root(build: Builder, squares: Tensor, count: Any, eps: float) -> Tensor:
    def body(x: Any) -> Any:
        variance = arith.divf(x, count_scalar(build, count, x.type))
        root = math_dialect.sqrt(arith.addf(variance, constant(eps, x.type)))
        return arith.divf(constant(1, x.type), root)

    return build.pointwise(squares.meta, [squares], body)


def _affine(
    build: Builder,
    meta: TensorMeta,
    item: Tensor,
    rows: Sequence[Tensor],
    dims: Sequence[int],
    weight: tuple[Any, Any] | None,
    bias: tuple[Any, Any] | None,
) -> Tensor:
    """Return ``(item - rows[0]) * rows[1] * weight + bias``, or without the mean where there is one row tensor."""
    identity = ir.AffineMap.get_identity(meta.rank)
    optional = [pair for pair in (weight, bias) if pair is not None]
    inputs = [(item.value, identity), *[spread(build, row, meta.shape, dims) for row in rows], *optional]
    output = build.empty(meta.shape, build.type_of(meta).element_type)

    def body(*scalars: Any) -> Any:
        x, *rest = [widen(scalar) for scalar in scalars[:-1]]
        if len(rows) == 2:
            x = arith.subf(x, rest.pop(0))
        x = arith.mulf(x, rest.pop(0))
        if weight is not None:
            x = arith.mulf(x, rest.pop(0))
        if bias is not None:
            x = arith.addf(x, rest.pop(0))
        return narrow(x, meta.dtype)

    (value,) = build.generic(inputs, [(output, identity)], ["parallel"] * meta.rank, body)
    return Tensor(value, meta)


def _trailing(item: Tensor | None, rank: int) -> tuple[Any, Any] | None:
    if item is None:
        return None
    first = rank - item.meta.rank
    loops = [ir.AffineDimExpr.get(dim) for dim in range(first, rank)]
    return item.value, ir.AffineMap.get(rank, 0, loops)


def _channel(item: Tensor, rank: int, dims: Sequence[int] = (1,)) -> tuple[Any, Any]:
    return item.value, ir.AffineMap.get(rank, 0, [ir.AffineDimExpr.get(dim) for dim in dims])


@lowers(LayerNormOp)
def lower_layer_norm(
    build: Builder, op: Any, operand: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    rank = operand.meta.rank
    dims = list(range(rank - ir.IntegerAttr(op.dims).value, rank))
    mean = mean_of(build, operand, dims)
    squares = centred_square_sum(build, operand, mean, dims)
    count = element_count(operand.meta.shape, dims)
    rstd = _reciprocal_root(build, squares, count, ir.FloatAttr(op.eps).value)
    result = _affine(build, operand.meta, operand, [mean, rstd], dims, _trailing(weight, rank), _trailing(bias, rank))
    return (
        result,
        restore_dims(build, mean, result_meta(op, 1), dims),
        restore_dims(build, rstd, result_meta(op, 2), dims),
    )


@lowers(RmsNormOp)
def lower_rms_norm(build: Builder, op: Any, operand: Tensor, weight: Tensor | None) -> Tensor:
    rank = operand.meta.rank
    dims = list(range(rank - ir.IntegerAttr(op.dims).value, rank))
    identity, target, iterators = reduction_maps(rank, dims, False)
    meta = operand.meta.with_shape(operand.meta.shape[: dims[0]]).with_dtype(wide_dtype(operand.meta.dtype))
    start = build.filled(meta.shape, compute_type(meta.dtype), 0)

    def square(x: Any, total: Any) -> Any:
        wide = widen(x)
        return arith.addf(total, arith.mulf(wide, wide))

    (value,) = build.generic([(operand.value, identity)], [(start, target)], iterators, square)
    count = element_count(operand.meta.shape, dims)
    rstd = _reciprocal_root(build, Tensor(value, meta), count, ir.FloatAttr(op.eps).value)
    return _affine(build, operand.meta, operand, [rstd], dims, _trailing(weight, rank), None)


@lowers(GroupNormOp)
def lower_group_norm(
    build: Builder, op: Any, operand: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    groups = ir.IntegerAttr(op.groups).value
    meta = operand.meta
    per_group = meta.shape[1] // groups
    split = meta.with_shape((meta.shape[0], result_meta(op, 1).shape[1], per_group, *meta.shape[2:]))
    rows = build.expand_dim(operand, 1, split)
    dims = list(range(2, split.rank))
    mean = mean_of(build, rows, dims)
    squares = centred_square_sum(build, rows, mean, dims)
    rstd = _reciprocal_root(build, squares, element_count(split.shape, dims), ir.FloatAttr(op.eps).value)
    channels = split.with_shape(split.shape[1:3])
    scale = [
        _channel(build.expand_dim(item, 0, channels.with_dtype(item.meta.dtype)), split.rank, (1, 2)) if item else None
        for item in (weight, bias)
    ]
    result = _affine(build, split, rows, [mean, rstd], dims, scale[0], scale[1])
    return (
        build.collapse_dim(result, 1, meta),
        restore_dims(build, mean, result_meta(op, 1), []),
        restore_dims(build, rstd, result_meta(op, 2), []),
    )


@lowers(BatchNormOp)
def lower_batch_norm(
    build: Builder, op: Any, operand: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor
) -> Tensor:
    """Scale and shift per channel, with the factor computed once per channel (it depends on weights alone)."""
    eps = ir.FloatAttr(op.eps).value
    wide = mean.meta.with_dtype(wide_dtype(operand.meta.dtype))

    def factor(var: Any, *rest: Any) -> Any:
        rstd = arith.divf(constant(1, var.type), math_dialect.sqrt(arith.addf(var, constant(eps, var.type))))
        return arith.mulf(rstd, rest[0]) if rest else rstd

    scale = build.pointwise(wide, [variance, *([weight] if weight is not None else [])], factor)

    def offset(centre: Any, scale_: Any, *rest: Any) -> Any:
        product = arith.mulf(centre, scale_)
        return arith.subf(rest[0] if rest else constant(0, product.type), product)

    shift = build.pointwise(wide, [mean, scale, *([bias] if bias is not None else [])], offset)
    meta = operand.meta
    identity = ir.AffineMap.get_identity(meta.rank)
    inputs = [(operand.value, identity), _channel(scale, meta.rank), _channel(shift, meta.rank)]
    output = build.empty(meta.shape, build.type_of(meta).element_type)

    def body(x: Any, scale_: Any, shift_: Any, _: Any) -> Any:
        return narrow(arith.addf(arith.mulf(widen(x), scale_), shift_), meta.dtype)

    (value,) = build.generic(inputs, [(output, identity)], ["parallel"] * meta.rank, body)
    return Tensor(value, meta)
