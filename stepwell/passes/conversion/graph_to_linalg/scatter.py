"""Writes along one dimension or under a mask, to loops that go through the source in order.

Loops in order make duplicates deterministic: the last one written stays, and sums are added in the order of ``src``.
"""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph.scatter import MaskedScatterOp, ScatterOp, ScatterReduceOp, reduction_start
from stepwell.dialects.graph.sizes import flag_of, integer_of, number_of_elements
from stepwell.passes.conversion.graph_to_linalg.casts import cast_scalar
from stepwell.passes.conversion.graph_to_linalg.indexing import add_scalars
from stepwell.passes.conversion.graph_to_linalg.loops import loop_nest
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    lowers,
    narrow,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.positions import check_position, read_at, write_at
from stepwell.passes.conversion.graph_to_linalg.rearrange import has_no_elements, reshape
from stepwell.support.bindings import arith, ir, scf, tensor
from stepwell.support.dtypes import DType

# Combines the scalar in place and the one of the source, both in the element type.
Combine = Callable[[Any, Any], Any]


@lowers(ScatterOp)
def lower_scatter(build: Builder, op: Any, operand: Tensor, index: Tensor, src: Tensor) -> Tensor:
    return _scatter(build, op, operand, index, src, None, "scatter")


@lowers(ScatterReduceOp)
def lower_scatter_reduce(build: Builder, op: Any, operand: Tensor, index: Tensor, src: Tensor) -> Tensor:
    name, include_self = ir.StringAttr(op.reduce).value, flag_of(op.include_self)
    dtype = operand.meta.dtype
    what = "scatter_add" if name == "sum" and include_self else "scatter_reduce"
    if has_no_elements(index.meta.shape):
        return operand
    start = operand
    if not include_self:
        kind = element_type(dtype)
        neutral = constant(reduction_start(name, dtype), kind)
        start = _scatter(build, op, operand, index, _splat(neutral, src), None, what)
    total = _scatter(build, op, start, index, src, _combine(name, dtype), what)
    if name != "mean":
        return total
    counts = _counts(build, op, operand, index, int(include_self), what)
    return build.pointwise(total.meta, [total, counts], lambda x, n: _quotient(x, n, dtype))


def _splat(scalar: Any, like: Tensor) -> Tensor:
    """Return a 0-d tensor of one constant."""
    attribute = ir.DenseElementsAttr.get_splat(
        ir.RankedTensorType.get([], scalar.type), scalar.owner.attributes["value"]
    )
    return Tensor(arith.constant(attribute.type, attribute), like.meta.with_shape(()))


def _counts(build: Builder, op: Any, operand: Tensor, index: Tensor, first: int, what: str) -> Tensor:
    """Count the elements written to each place, from ``first`` on; int64."""
    i64 = ir.IntegerType.get_signless(64)
    meta = operand.meta.with_dtype(DType.INT64)
    zeros = Tensor(build.filled(meta.shape, i64, first), meta)
    one = _splat(constant(1, i64), zeros)
    return _scatter(build, op, zeros, index, one, _combine("sum", DType.INT64), what)


def _quotient(total: Any, count: Any, dtype: DType) -> Any:
    count = arith.maxsi(count, constant(1, count.type))
    if dtype.is_float:
        return arith.divf(total, arith.sitofp(total.type, count))
    # In i64, for the count may not fit the element type.
    wide = cast_scalar(total, dtype, DType.INT64)
    return cast_scalar(arith.floordivsi(wide, count), DType.INT64, dtype)


def _combine(name: str, dtype: DType) -> Combine:
    floating, unsigned = dtype.is_float, dtype in (DType.UINT8, DType.BOOL)
    if name in ("sum", "mean"):
        return lambda x, y: add_scalars(x, y, dtype)
    choices: dict[str, tuple[Any, Any, Any]] = {
        "prod": (arith.mulf, arith.muli, arith.muli),
        "amax": (arith.maximumf, arith.maxsi, arith.maxui),
        "amin": (arith.minimumf, arith.minsi, arith.minui),
    }
    apply = choices[name][0 if floating else 2 if unsigned else 1]
    if floating:
        return lambda x, y: narrow(apply(widen(x), widen(y)), dtype)
    return lambda x, y: apply(x, y)


def _scatter(
    build: Builder, op: Any, operand: Tensor, index: Tensor, src: Tensor, combine: Combine | None, what: str
) -> Tensor:
    """Write ``src``, or what ``combine`` makes of it and the element in place; a 0-d ``src`` serves every index."""
    dim, meta = integer_of(op.dim), operand.meta
    if has_no_elements(index.meta.shape):
        return operand

    def step(place: list[Any], carried: list[Any]) -> list[Any]:
        raw = tensor.extract(index.value, place)
        position = check_position(build, raw, meta.shape[dim], what)
        places = [*place[:dim], position, *place[dim + 1 :]]
        value = tensor.extract(src.value, place if src.meta.rank else [])
        if combine is not None:
            value = combine(read_at(Tensor(carried[0], meta), places), value)
        return [write_at(value, carried[0], places)]

    return Tensor(loop_nest(build, index.meta.shape, [operand.value], step)[0], meta)


@lowers(MaskedScatterOp)
def lower_masked_scatter(build: Builder, op: Any, operand: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    count = number_of_elements(source.meta.shape)
    if has_no_elements(operand.meta.shape):
        return operand
    flat = reshape(build, source, (count,))

    def step(place: list[Any], carried: list[Any]) -> list[Any]:
        into, used = carried
        branch = scf.IfOp(tensor.extract(mask.value, place), [into.type, used.type], has_else=True)
        with ir.InsertionPoint(branch.then_block):
            position = check_position(build, used, count, "masked_scatter")
            value = read_at(flat, [position])
            scf.yield_([tensor.insert(value, into, place), arith.addi(used, constant(1, used.type))])
        with ir.InsertionPoint(branch.else_block):
            scf.yield_([into, used])
        return list(branch.results)

    start = constant(0, ir.IntegerType.get_signless(64))
    return Tensor(loop_nest(build, operand.meta.shape, [operand.value, start], step)[0], operand.meta)
