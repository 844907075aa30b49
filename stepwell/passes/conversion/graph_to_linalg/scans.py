"""Running results along a dimension: one pass over each row with the result so far in a scalar."""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph.ordering import CummaxOp, CumminOp, CumprodOp, CumsumOp, LogcumsumexpOp
from stepwell.dialects.graph.sizes import integer_of
from stepwell.passes.conversion.graph_to_linalg.loops import loop
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, constant, element_type, lowers
from stepwell.passes.conversion.graph_to_linalg.rearrange import index_constant
from stepwell.passes.conversion.graph_to_linalg.rows import Row, map_rows
from stepwell.passes.conversion.graph_to_linalg.scalars import compute_type, narrow, widen
from stepwell.support.bindings import arith, ir, math, tensor
from stepwell.support.dtypes import DType


def _accumulator(dtype: DType) -> Any:
    """Return the type that torch accumulates in on the CPU: double for float, float for the 16-bit floats."""
    if dtype is DType.FLOAT32:
        return ir.F64Type.get()
    return ir.F32Type.get() if dtype.is_narrow_float else element_type(dtype)


def _to_accumulator(scalar: Any, dtype: DType) -> Any:
    return arith.extf(ir.F64Type.get(), scalar) if dtype is DType.FLOAT32 else widen(scalar)


def _from_accumulator(scalar: Any, dtype: DType) -> Any:
    return arith.truncf(ir.F32Type.get(), scalar) if dtype is DType.FLOAT32 else narrow(scalar, dtype)


def _scan(build: Builder, item: Tensor, dim: int, neutral: int, combine: Callable[[Any, Any], Any]) -> Tensor:
    dtype, length = item.meta.dtype, item.meta.shape[dim]

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        def step(position: Any, carried: list[Any]) -> list[Any]:
            total = combine(carried[1], _to_accumulator(source.read(position), dtype))
            return [tensor.insert(_from_accumulator(total, dtype), carried[0], [position]), total]

        start = constant(neutral, _accumulator(dtype))
        return loop(index_constant(0), build.size(length), index_constant(1), [outputs[0], start], step)[:1]

    return map_rows(build, item, dim, [(length, dtype)], row)[0]


@lowers(CumsumOp)
def lower_cumsum(build: Builder, op: Any, operand: Tensor) -> Tensor:
    add = arith.addf if operand.meta.dtype.is_float else arith.addi
    return _scan(build, operand, integer_of(op.dim), 0, add)


@lowers(CumprodOp)
def lower_cumprod(build: Builder, op: Any, operand: Tensor) -> Tensor:
    multiply = arith.mulf if operand.meta.dtype.is_float else arith.muli
    return _scan(build, operand, integer_of(op.dim), 1, multiply)


@lowers(LogcumsumexpOp)
def lower_logcumsumexp(build: Builder, op: Any, operand: Tensor) -> Tensor:
    """Carry the largest element so far and the sum of exponentials relative to it."""
    dtype, dim = operand.meta.dtype, integer_of(op.dim)
    length = operand.meta.shape[dim]

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        def step(position: Any, carried: list[Any]) -> list[Any]:
            into, largest, total = carried
            x = _to_accumulator(source.read(position), dtype)
            top = arith.maximumf(largest, x)
            scaled = arith.mulf(total, math.exp(_difference(largest, top)))
            total = arith.addf(scaled, math.exp(_difference(x, top)))
            result = arith.addf(top, math.log(total))
            return [tensor.insert(_from_accumulator(result, dtype), into, [position]), top, total]

        kind = _accumulator(dtype)
        start = [outputs[0], constant(float("-inf"), kind), constant(0, kind)]
        return loop(index_constant(0), build.size(length), index_constant(1), start, step)[:1]

    return map_rows(build, operand, dim, [(length, dtype)], row)[0]


def _difference(x: Any, top: Any) -> Any:
    """Return ``x - top``, and 0 where both are the same infinity."""
    same = arith.cmpf(arith.CmpFPredicate.OEQ, x, top)
    return arith.select(same, constant(0, x.type), arith.subf(x, top))


@lowers(CummaxOp, CumminOp)
def lower_running_extremum(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    dtype, dim = operand.meta.dtype, integer_of(op.dim)
    length = operand.meta.shape[dim]
    largest = isinstance(op, CummaxOp)

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        def step(position: Any, carried: list[Any]) -> list[Any]:
            values, indices, best, place = carried
            x = widen(source.read(position))
            first = arith.cmpi(arith.CmpIPredicate.eq, position, index_constant(0))
            taken = arith.ori(first, _at_least(x, best, dtype, largest))
            best = arith.select(taken, x, best)
            place = arith.select(taken, arith.index_cast(place.type, position), place)
            return [
                tensor.insert(narrow(best, dtype), values, [position]),
                tensor.insert(place, indices, [position]),
                best,
                place,
            ]

        start = [*outputs, constant(0, compute_type(dtype)), constant(0, ir.IntegerType.get_signless(64))]
        return loop(index_constant(0), build.size(length), index_constant(1), start, step)[:2]

    return tuple(map_rows(build, operand, dim, [(length, dtype), (length, DType.INT64)], row))


def _at_least(x: Any, best: Any, dtype: DType, largest: bool) -> Any:
    """Tell whether ``x`` replaces ``best``: where it is NaN, or not worse; a NaN stays until the next."""
    if dtype.is_float:
        compare = arith.CmpFPredicate.OGE if largest else arith.CmpFPredicate.OLE
        return arith.ori(arith.cmpf(compare, x, best), arith.cmpf(arith.CmpFPredicate.UNO, x, x))
    unsigned = dtype in (DType.UINT8, DType.BOOL)
    if largest:
        return arith.cmpi(arith.CmpIPredicate.uge if unsigned else arith.CmpIPredicate.sge, x, best)
    return arith.cmpi(arith.CmpIPredicate.ule if unsigned else arith.CmpIPredicate.sle, x, best)
