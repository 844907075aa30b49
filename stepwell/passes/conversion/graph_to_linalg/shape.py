"""Views, as values: reshapes, slices, and generics that read through an affine map or at a computed position."""

from typing import Any

from stepwell.dialects.graph.base import integers, sizes_of
from stepwell.dialects.graph.shape import (
    AsStridedOp,
    DiagonalOp,
    ExpandOp,
    FlipOp,
    PermuteOp,
    ReshapeOp,
    SliceOp,
    UnfoldOp,
)
from stepwell.dialects.graph.sizes import integer_of, number_of_elements, size_of
from stepwell.dialects.graph.types import ONE
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.rearrange import (
    computed,
    empty,
    has_no_elements,
    mapped,
    reshape,
    slice_along,
    slice_of,
)
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.symbolic import Expr


@lowers(ReshapeOp)
def lower_reshape(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return reshape(build, operand, result_meta(op).shape)


@lowers(PermuteOp)
def lower_permute(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dims = integers(op.dims)
    shape = result_meta(op).shape
    moved = [dim for dim in dims if operand.meta.shape[dim] != ONE]
    if moved == sorted(moved):
        # Only units move: the elements keep their row-major order.
        return reshape(build, operand, shape)
    return mapped(build, operand, shape, [ir.AffineDimExpr.get(dims.index(dim)) for dim in range(len(dims))])


@lowers(ExpandOp)
def lower_expand(build: Builder, op: Any, operand: Tensor) -> Tensor:
    shape = result_meta(op).shape
    if shape == operand.meta.shape:
        return operand
    return mapped(build, operand, shape, build.broadcast_map(operand.meta.shape, shape).results)


@lowers(SliceOp)
def lower_slice(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dim = integer_of(op.dim)
    return slice_along(build, operand, dim, size_of(op.start), result_meta(op).shape[dim], integer_of(op.step))


@lowers(FlipOp)
def lower_flip(build: Builder, op: Any, operand: Tensor) -> Tensor:
    dims = integers(op.dims)
    lasts = {dim: operand.meta.shape[dim] - 1 for dim in dims}

    def body(position: list[Any], _: list[Any]) -> Any:
        source = [
            arith.subi(build.size(lasts[dim]), index) if dim in lasts else index for dim, index in enumerate(position)
        ]
        return tensor.extract(operand.value, source)

    return computed(build, operand.meta, [], body)


@lowers(DiagonalOp)
def lower_diagonal(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta = result_meta(op)
    if has_no_elements(meta.shape):
        return empty(build, meta)
    dims, offset = (integer_of(op.dim1), integer_of(op.dim2)), integer_of(op.offset)
    offsets, sizes = [Expr.const(0)] * operand.meta.rank, list(operand.meta.shape)
    offsets[dims[0]], offsets[dims[1]] = Expr.const(max(-offset, 0)), Expr.const(max(offset, 0))
    sizes[dims[0]] = sizes[dims[1]] = meta.shape[-1]
    square = slice_of(build, operand, offsets, tuple(sizes), [1] * operand.meta.rank)
    kept = iter(range(meta.rank))
    exprs = [ir.AffineDimExpr.get(meta.rank - 1 if dim in dims else next(kept)) for dim in range(operand.meta.rank)]
    return mapped(build, square, meta.shape, exprs)


@lowers(UnfoldOp)
def lower_unfold(build: Builder, op: Any, operand: Tensor) -> Tensor:
    shape, dim = result_meta(op).shape, integer_of(op.dim)
    exprs: list[Any] = [ir.AffineDimExpr.get(position) for position in range(operand.meta.rank)]
    inner = ir.AffineDimExpr.get(len(shape) - 1)
    exprs[dim] = exprs[dim] * integer_of(op.step) + inner * integer_of(op.dilation)
    # The loops must cover the operand, so what no window reaches is cut off first.
    reach = (shape[dim] - 1) * integer_of(op.step) + (integer_of(op.size) - 1) * integer_of(op.dilation) + 1
    return mapped(build, slice_along(build, operand, dim, Expr.const(0), reach), shape, exprs)


@lowers(AsStridedOp)
def lower_as_strided(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta = result_meta(op)
    if has_no_elements(meta.shape):
        return empty(build, meta)
    flat = reshape(build, operand, (number_of_elements(operand.meta.shape),))
    strides, offset = sizes_of(op.strides), size_of(op.offset)

    def body(position: list[Any], _: list[Any]) -> Any:
        place = build.size(offset)
        for index, stride in zip(position, strides, strict=True):
            place = arith.addi(place, arith.muli(index, build.size(stride)))
        return tensor.extract(flat.value, [place])

    return computed(build, meta, [], body)
