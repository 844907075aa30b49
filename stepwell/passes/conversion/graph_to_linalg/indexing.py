"""Reads and writes at positions given by tensors: reads to ``linalg.generic``, writes to loops."""

from typing import Any

from stepwell.dialects.graph.base import integers
from stepwell.dialects.graph.indexing import (
    EmbeddingOp,
    GatherOp,
    IndexOp,
    IndexPutOp,
    IndexSelectOp,
    OneHotOp,
    indexed_shape,
)
from stepwell.dialects.graph.sizes import flag_of, integer_of
from stepwell.dialects.graph.types import ONE, Shape, broadcast_shapes
from stepwell.passes.conversion.graph_to_linalg.loops import loop_nest
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.positions import check_position, read_at, write_at
from stepwell.passes.conversion.graph_to_linalg.rearrange import empty, has_no_elements, index_constant
from stepwell.support.bindings import arith, ir, linalg, tensor
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def _read(build: Builder, op: Any, positions: list[tuple[Tensor, list[Any]]], body: Any) -> Tensor:
    """Build a generic over the result; ``body(place, scalars)`` gets the loop indices and the positions' scalars."""
    meta = result_meta(op)
    inputs = [(item.value, ir.AffineMap.get(meta.rank, 0, exprs)) for item, exprs in positions]
    output = (empty(build, meta).value, ir.AffineMap.get_identity(meta.rank))

    def wrapped(*scalars: Any) -> Any:
        return body([linalg.IndexOp(dim).result for dim in range(meta.rank)], scalars[: len(inputs)])

    (value,) = build.generic(inputs, [output], ["parallel"] * meta.rank, wrapped)
    return Tensor(value, meta)


def _dims(first: int, last: int) -> list[Any]:
    return [ir.AffineDimExpr.get(dim) for dim in range(first, last)]


@lowers(EmbeddingOp)
def lower_embedding(build: Builder, op: Any, weight: Tensor, indices: Tensor) -> Tensor:
    def body(place: list[Any], scalars: Any) -> Any:
        row = check_position(build, scalars[0], weight.meta.shape[0], "embedding")
        return read_at(weight, [row, place[-1]])

    return _read(build, op, [(indices, _dims(0, indices.meta.rank))], body)


@lowers(IndexSelectOp)
def lower_index_select(build: Builder, op: Any, operand: Tensor, index: Tensor) -> Tensor:
    dim = integer_of(op.dim)

    def body(place: list[Any], scalars: Any) -> Any:
        position = check_position(build, scalars[0], operand.meta.shape[dim], "index_select")
        return read_at(operand, [*place[:dim], position, *place[dim + 1 :]])

    return _read(build, op, [(index, _dims(dim, dim + 1))], body)


@lowers(GatherOp)
def lower_gather(build: Builder, op: Any, operand: Tensor, index: Tensor) -> Tensor:
    dim = integer_of(op.dim)

    def body(place: list[Any], scalars: Any) -> Any:
        position = check_position(build, scalars[0], operand.meta.shape[dim], "gather")
        return read_at(operand, [*place[:dim], position, *place[dim + 1 :]])

    return _read(build, op, [(index, _dims(0, index.meta.rank))], body)


@lowers(OneHotOp)
def lower_one_hot(build: Builder, op: Any, operand: Tensor) -> Tensor:
    classes = Expr.const(integer_of(op.classes))

    def body(place: list[Any], scalars: Any) -> Any:
        hot = check_position(build, scalars[0], classes, "one_hot")
        same = arith.cmpi(arith.CmpIPredicate.eq, hot.value, place[-1])
        return arith.extui(ir.IntegerType.get_signless(64), same)

    return _read(build, op, [(operand, _dims(0, operand.meta.rank))], body)


# -- index and index_put -------------------------------------------------------------------------------------------


def _aligned(shape: Shape, common: Shape, start: int) -> list[int | None]:
    """Say which loop each dimension of an index reads, where the broadcast index dimensions start at ``start``."""
    offset = start + len(common) - len(shape)
    return [
        None if size == ONE and common[len(common) - len(shape) + dim] != ONE else offset + dim
        for dim, size in enumerate(shape)
    ]


def _spread(place: list[Any], start: int, width: int, dims: list[int], positions: list[Any], rank: int) -> list[Any]:
    """Return the places in the operand: ``positions`` at ``dims``, the other loop indices at the other dimensions."""
    rest = iter([*place[:start], *place[start + width :]])
    found = dict(zip(dims, positions, strict=True))
    return [found[dim] if dim in found else next(rest) for dim in range(rank)]


@lowers(IndexOp)
def lower_index(build: Builder, op: Any, operand: Tensor, indices: list[Tensor]) -> Tensor:
    dims, shape = integers(op.dims), operand.meta.shape
    shapes = [index.meta.shape for index in indices]
    _, start, width = indexed_shape(shape, dims, shapes)
    common = broadcast_shapes(*shapes)
    inputs = []
    for index in indices:
        loops = _aligned(index.meta.shape, common, start)
        zero = ir.AffineConstantExpr.get(0)
        inputs.append((index, [zero if dim is None else ir.AffineDimExpr.get(dim) for dim in loops]))

    def body(place: list[Any], scalars: Any) -> Any:
        positions = [
            check_position(build, scalar, shape[dim], "index", wrap=True)
            for scalar, dim in zip(scalars, dims, strict=True)
        ]
        return read_at(operand, _spread(place, start, width, dims, positions, len(shape)))

    return _read(build, op, inputs, body)


@lowers(IndexPutOp)
def lower_index_put(build: Builder, op: Any, operand: Tensor, values: Tensor, indices: list[Tensor]) -> Tensor:
    dims, meta = integers(op.dims), operand.meta
    shapes = [index.meta.shape for index in indices]
    target, start, width = indexed_shape(meta.shape, dims, shapes)
    if has_no_elements(target):
        return operand
    common = broadcast_shapes(*shapes)
    loops = [_aligned(shape, common, start) for shape in shapes]
    value_loops = _aligned(values.meta.shape, target, 0)
    accumulate = flag_of(op.accumulate)

    def step(place: list[Any], carried: list[Any]) -> list[Any]:
        positions = [
            check_position(build, element_at(index, read, place), meta.shape[dim], "index_put", wrap=True)
            for index, read, dim in zip(indices, loops, dims, strict=True)
        ]
        places = _spread(place, start, width, dims, positions, meta.rank)
        value = element_at(values, value_loops, place)
        if accumulate:
            value = add_scalars(read_at(Tensor(carried[0], meta), places), value, meta.dtype)
        return [write_at(value, carried[0], places)]

    return Tensor(loop_nest(build, target, [operand.value], step)[0], meta)


def element_at(item: Tensor, loops: list[int | None], place: list[Any]) -> Any:
    """Read the element of ``item`` at the loop variables that ``loops`` names; None reads position 0."""
    return tensor.extract(item.value, [index_constant(0) if loop is None else place[loop] for loop in loops])


def add_scalars(x: Any, y: Any, dtype: DType) -> Any:
    """Add two scalars in their element type; bool gives the logical or."""
    if dtype is DType.BOOL:
        return arith.ori(x, y)
    if dtype.is_float:
        return narrow(arith.addf(widen(x), widen(y)), dtype)
    return arith.addi(x, y)
