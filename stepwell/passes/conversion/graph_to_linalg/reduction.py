"""Reductions to ``linalg.generic`` with reduction loops."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from stepwell.dialects.graph.base import integers
from stepwell.dialects.graph.reduction import (
    AllOp,
    AmaxOp,
    AminOp,
    AnyOp,
    MaxDimOp,
    MeanOp,
    MinDimOp,
    ProdOp,
    SumOp,
    VarOp,
    reduced_shape,
)
from stepwell.dialects.graph.types import ONE, TensorMeta
from stepwell.passes.conversion.graph_to_linalg.casts import cast_scalar
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
from stepwell.support.bindings import arith, ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

# (accumulator, element) -> accumulator; the builders of the bindings are such functions, untyped.
Combine = Any


def wide_dtype(dtype: DType) -> DType:
    """Return the dtype that sums of ``dtype`` accumulate in."""
    return DType.FLOAT32 if dtype.is_narrow_float else dtype


def reduction_maps(rank: int, dims: Sequence[int], keepdim: bool) -> tuple[Any, Any, list[str]]:
    """Return (operand map, result map, iterators) of a reduction over ``dims`` of a rank ``rank`` tensor."""
    loops = [ir.AffineDimExpr.get(dim) for dim in range(rank)]
    zero = ir.AffineConstantExpr.get(0)
    kept = [zero if dim in dims else loops[dim] for dim in range(rank) if keepdim or dim not in dims]
    iterators = ["reduction" if dim in dims else "parallel" for dim in range(rank)]
    return ir.AffineMap.get_identity(rank), ir.AffineMap.get(rank, 0, kept), iterators


def reduce_dims(
    build: Builder,
    operand: Tensor,
    dims: Sequence[int],
    start: float | int | bool,
    combine: Combine,
    prepare: Any = None,
) -> Tensor:
    """Reduce over ``dims``, which disappear from the shape; 16-bit floats accumulate in float32 and stay there.

    Args:
        build: the function under construction.
        operand: the tensor to reduce.
        dims: dimensions, counted from the front.
        start: neutral element.
        combine: (accumulator, element) -> accumulator.
        prepare: applied to each element first, such as a test against zero; its result type is the accumulator's.
    """
    meta = operand.meta
    dtype = DType.BOOL if prepare is not None else wide_dtype(meta.dtype)
    shape = reduced_shape(meta.shape, dims, False)
    maps = reduction_maps(meta.rank, dims, False)
    initial = build.filled(shape, compute_type(dtype), start)

    def body(x: Any, total: Any) -> Any:
        value = widen(x)
        return combine(total, prepare(value) if prepare is not None else value)

    (value,) = build.generic([(operand.value, maps[0])], [(initial, maps[1])], maps[2], body)
    return Tensor(value, TensorMeta(shape, dtype))


def restore_dims(build: Builder, item: Tensor, meta: TensorMeta, dims: Sequence[int], finish: Any = None) -> Tensor:
    """Turn a reduced tensor into a result of ``meta``: apply ``finish``, round, and put back kept dimensions."""
    keepdim = meta.rank != item.meta.rank
    if finish is None and not keepdim and item.meta.dtype is meta.dtype:
        return item
    loops = [ir.AffineDimExpr.get(dim) for dim in range(meta.rank) if not (keepdim and dim in dims)]
    source = ir.AffineMap.get(meta.rank, 0, loops)
    output = build.empty(meta.shape, build.type_of(meta).element_type)

    def body(x: Any, _: Any) -> Any:
        return narrow(finish(x) if finish is not None else x, meta.dtype)

    identity = ir.AffineMap.get_identity(meta.rank)
    (value,) = build.generic([(item.value, source)], [(output, identity)], ["parallel"] * meta.rank, body)
    return Tensor(value, meta)


def position_dtype(extents: Sequence[Expr]) -> DType:
    """Return the dtype to compute places among so many elements in: half of INT64's bits where they are known to do."""
    count = math.prod(extents, start=ONE)
    return DType.INT32 if count.is_constant and count.constant < 2**31 else DType.INT64


def restore_positions(
    build: Builder, item: Tensor, meta: TensorMeta, dims: Sequence[int], first: Callable[[Any], Any]
) -> Tensor:
    """Turn reduced places, which may be INT32, into a result of ``meta``, which is INT64.

    A place of -1 says that no element is better than the worst there is: the first one has it, which ``first`` returns
    inside a body, as an integer of the type that it is given.
    """
    wide = element_type(meta.dtype)

    def finish(place: Any) -> Any:
        none = arith.cmpi(arith.CmpIPredicate.slt, place, constant(0, place.type))
        place = arith.select(none, first(place.type), place)
        return place if item.meta.dtype is meta.dtype else arith.extsi(wide, place)

    return restore_dims(build, item, meta, dims, finish)


def element_count(shape: Sequence[Expr], dims: Sequence[int]) -> Expr:
    """Return the number of elements that a reduction over ``dims`` combines."""
    return math.prod((shape[dim] for dim in dims), start=ONE)


def count_scalar(build: Builder, count: Expr, kind: Any) -> Any:
    """Return ``count`` as a float scalar inside a body."""
    if count.is_constant:
        return constant(count.constant, kind)
    return arith.sitofp(kind, arith.index_cast(ir.IntegerType.get_signless(64), build.size(count)))


def lowest(dtype: DType) -> float | int:
    """Return the neutral element of the maximum."""
    if dtype.is_float:
        return -math.inf
    return 0 if dtype in (DType.BOOL, DType.UINT8) else -(1 << (8 * dtype.itemsize - 1))


def highest(dtype: DType) -> float | int:
    """Return the neutral element of the minimum."""
    if dtype.is_float:
        return math.inf
    if dtype in (DType.BOOL, DType.UINT8):
        return -1
    return (1 << (8 * dtype.itemsize - 1)) - 1


def maximum(dtype: DType) -> Combine:
    """Return the scalar maximum of ``dtype``; NaN wins."""
    if dtype.is_float:
        return arith.maximumf
    return arith.maxui if dtype in (DType.BOOL, DType.UINT8) else arith.maxsi


def minimum(dtype: DType) -> Combine:
    """Return the scalar minimum of ``dtype``; NaN wins."""
    if dtype.is_float:
        return arith.minimumf
    return arith.minui if dtype in (DType.BOOL, DType.UINT8) else arith.minsi


def _reduce(build: Builder, op: Any, operand: Tensor, start: Any, combine: Combine, prepare: Any = None) -> Tensor:
    dims = integers(op.dims)
    reduced = reduce_dims(build, operand, dims, start, combine, prepare)
    return restore_dims(build, reduced, result_meta(op), dims)


@lowers(SumOp)
def lower_sum(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return _reduce(build, op, operand, 0, arith.addf if operand.meta.dtype.is_float else arith.addi)


@lowers(ProdOp)
def lower_prod(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return _reduce(build, op, operand, 1, arith.mulf if operand.meta.dtype.is_float else arith.muli)


@lowers(AmaxOp)
def lower_amax(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dtype = operand.meta.dtype
    return _reduce(build, op, operand, lowest(dtype), maximum(dtype))


@lowers(AminOp)
def lower_amin(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dtype = operand.meta.dtype
    return _reduce(build, op, operand, highest(dtype), minimum(dtype))


@lowers(AnyOp)
def lower_any(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dtype = operand.meta.dtype
    return _reduce(build, op, operand, False, arith.ori, lambda x: cast_scalar(x, dtype, DType.BOOL))


@lowers(AllOp)
def lower_all(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dtype = operand.meta.dtype
    return _reduce(build, op, operand, True, arith.andi, lambda x: cast_scalar(x, dtype, DType.BOOL))


def mean_of(build: Builder, operand: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the mean over ``dims``, which disappear, in the accumulator's dtype."""
    total = reduce_dims(build, operand, dims, 0, arith.addf)
    count = element_count(operand.meta.shape, dims)
    return build.pointwise(total.meta, [total], lambda x: arith.divf(x, count_scalar(build, count, x.type)))


@lowers(MeanOp)
def lower_mean(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dims = integers(op.dims)
    return restore_dims(build, mean_of(build, operand, dims), result_meta(op), dims)


def spread(build: Builder, item: Tensor, shape: Sequence[Expr], dims: Sequence[int]) -> tuple[Any, Any]:
    """Return (value, map) that reads a tensor reduced over ``dims`` in a loop nest over ``shape``."""
    loops = [ir.AffineDimExpr.get(dim) for dim in range(len(shape)) if dim not in dims]
    return item.value, ir.AffineMap.get(len(shape), 0, loops)


def centred_square_sum(build: Builder, operand: Tensor, mean: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the sum over ``dims`` of ``(operand - mean) ** 2`` in the accumulator's dtype (two-pass variance)."""
    shape = operand.meta.shape
    identity, target, iterators = reduction_maps(len(shape), dims, False)
    start = build.filled(mean.meta.shape, compute_type(mean.meta.dtype), 0)

    def body(x: Any, centre: Any, total: Any) -> Any:
        difference = arith.subf(widen(x), centre)
        return arith.addf(total, arith.mulf(difference, difference))

    inputs = [(operand.value, identity), spread(build, mean, shape, dims)]
    (value,) = build.generic(inputs, [(start, target)], iterators, body)
    return Tensor(value, mean.meta)


@lowers(VarOp)
def lower_var(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dims = integers(op.dims)
    total = centred_square_sum(build, operand, mean_of(build, operand, dims), dims)
    count = element_count(operand.meta.shape, dims)
    correction = ir.FloatAttr(op.correction).value

    def finish(x: Any) -> Any:
        free = arith.subf(count_scalar(build, count, x.type), constant(correction, x.type))
        return arith.divf(x, arith.maximumf(free, constant(0, x.type)))

    return restore_dims(build, total, result_meta(op), dims, finish)


@lowers(MaxDimOp, MinDimOp)
def lower_search(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    """Reduce value and position together; an element wins if it is better, or NaN where the best is not."""
    dtype = operand.meta.dtype
    largest = isinstance(op, MaxDimOp)
    dims = [ir.IntegerAttr(op.dim).value] if operand.meta.rank else []
    where_dtype = position_dtype([operand.meta.shape[dim] for dim in dims])
    where_type = element_type(where_dtype)
    shape = reduced_shape(operand.meta.shape, dims, False)
    identity, target, iterators = reduction_maps(operand.meta.rank, dims, False)
    start = lowest(dtype) if largest else highest(dtype)
    best = build.filled(shape, compute_type(dtype), start)
    where = build.filled(shape, where_type, -1)

    def body(x: Any, value: Any, position: Any) -> Any:
        element = widen(x)
        index = loop_index(dims[0]) if dims else constant(0, ir.IndexType.get())
        wins = better(element, value, dtype, largest)
        return arith.select(wins, element, value), arith.select(wins, arith.index_cast(where_type, index), position)

    values, positions = build.generic([(operand.value, identity)], [(best, target), (where, target)], iterators, body)
    wide = operand.meta.with_shape(shape).with_dtype(wide_dtype(dtype))
    places = Tensor(positions, wide.with_dtype(where_dtype))
    return (
        restore_dims(build, Tensor(values, wide), result_meta(op, 0), dims),
        restore_positions(build, places, result_meta(op, 1), dims, lambda kind: constant(0, kind)),
    )


def better(element: Any, best: Any, dtype: DType, largest: bool) -> Any:
    """Return whether ``element`` replaces ``best``: strictly better, or NaN where the best is a number."""
    if not dtype.is_float:
        signed = "s" if dtype not in (DType.BOOL, DType.UINT8) else "u"
        return arith.cmpi(getattr(arith.CmpIPredicate, f"{signed}{'gt' if largest else 'lt'}"), element, best)
    # Also true where either is NaN.
    above = arith.cmpf(arith.CmpFPredicate.UGT if largest else arith.CmpFPredicate.ULT, element, best)
    return arith.andi(above, arith.cmpf(arith.CmpFPredicate.ORD, best, best))
