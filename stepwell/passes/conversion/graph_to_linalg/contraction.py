"""Matrix products to contractions: mul of two inputs, add to the accumulator, over reduction loops."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.contraction import LinearOp, MatmulOp
from stepwell.dialects.graph.types import ONE, Shape
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    compute_type,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.support.bindings import arith, ir
from stepwell.support.dtypes import DType


def contract(
    build: Builder,
    lhs: Tensor,
    rhs: Tensor,
    shape: Shape,
    maps: Sequence[Any],
    iterators: Sequence[str],
) -> Tensor:
    """Return the contraction of two tensors; a 16-bit float result is accumulated in float32 and not yet rounded.

    Args:
        build: the function under construction.
        lhs: first factor.
        rhs: second factor, of the same dtype.
        shape: shape of the result.
        maps: affine maps of lhs, rhs and result.
        iterators: "parallel" or "reduction" per loop.

    Returns:
        The result in the accumulator's dtype (float32 for the 16-bit floats).
    """
    dtype = lhs.meta.dtype
    accumulator = compute_type(dtype)
    start = build.filled(shape, accumulator, 0)

    def body(x: Any, y: Any, total: Any) -> Any:
        if dtype is DType.BOOL:
            return arith.ori(total, arith.andi(x, y))
        if dtype.is_float:
            return arith.addf(total, arith.mulf(widen(x), widen(y)))
        return arith.addi(total, arith.muli(x, y))

    (value,) = build.generic([(lhs.value, maps[0]), (rhs.value, maps[1])], [(start, maps[2])], iterators, body)
    wide = DType.FLOAT32 if dtype.is_narrow_float else dtype
    return Tensor(value, lhs.meta.with_shape(shape).with_dtype(wide))


@lowers(LinearOp)
def lower_linear(build: Builder, op: Any, operand: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    meta = result_meta(op)
    batch = meta.rank - 1
    dims = [ir.AffineDimExpr.get(dim) for dim in range(batch + 2)]
    outer, column, inner = dims[:batch], dims[batch], dims[batch + 1]
    maps = [
        ir.AffineMap.get(batch + 2, 0, [*outer, inner]),
        ir.AffineMap.get(batch + 2, 0, [column, inner]),
        ir.AffineMap.get(batch + 2, 0, [*outer, column]),
    ]
    product = contract(build, operand, weight, meta.shape, maps, ["parallel"] * (batch + 1) + ["reduction"])
    if bias is not None:
        return build.pointwise(meta, [product, bias], arith.addf if meta.dtype.is_float else arith.addi)
    return round_to(build, product, meta.dtype)


def round_to(build: Builder, item: Tensor, dtype: DType) -> Tensor:
    """Round an accumulator to ``dtype``, where that differs."""
    if item.meta.dtype is dtype:
        return item
    return build.pointwise(item.meta.with_dtype(dtype), [item], lambda x: narrow(x, dtype))


def batched_maps(lhs: Shape, rhs: Shape, batch: Shape) -> tuple[list[Any], list[str]]:
    """Return maps and iterators of ``lhs [.., M, K] @ rhs [.., K, N]``, either of which may be a vector."""
    count = len(batch)
    rows, columns = len(lhs) > 1, len(rhs) > 1
    loops = [ir.AffineDimExpr.get(dim) for dim in range(count + rows + columns + 1)]
    outer = loops[:count]
    row, column, inner = loops[count : count + rows], loops[count + rows : -1], loops[-1:]

    def batch_exprs(shape: Shape) -> list[Any]:
        leading = shape[:-2]
        zero = ir.AffineConstantExpr.get(0)
        offset = count - len(leading)
        return [
            zero if size == ONE and batch[offset + dim] != ONE else outer[offset + dim]
            for dim, size in enumerate(leading)
        ]

    exprs = [[*batch_exprs(lhs), *row, *inner], [*batch_exprs(rhs), *inner, *column], [*outer, *row, *column]]
    maps = [ir.AffineMap.get(len(loops), 0, part) for part in exprs]
    return maps, ["parallel"] * (len(loops) - 1) + ["reduction"]


@lowers(MatmulOp)
def lower_matmul(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    meta = result_meta(op)
    columns = (lhs.meta.rank > 1) + (rhs.meta.rank > 1)
    batch = meta.shape[: meta.rank - columns]
    maps, iterators = batched_maps(lhs.meta.shape, rhs.meta.shape, batch)
    return round_to(build, contract(build, lhs, rhs, meta.shape, maps, iterators), meta.dtype)
