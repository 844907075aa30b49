"""One element per row, picked by its rank or frequency: sort, then go through the sorted rows."""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph.ordering import MedianOp, ModeOp, NanmedianOp
from stepwell.dialects.graph.sizes import integer_of
from stepwell.dialects.graph.types import ONE
from stepwell.passes.conversion.graph_to_linalg.loops import loop
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta, widen
from stepwell.passes.conversion.graph_to_linalg.ordering import sort
from stepwell.passes.conversion.graph_to_linalg.rearrange import index_constant, reshape
from stepwell.passes.conversion.graph_to_linalg.rows import Row, last_index, map_rows
from stepwell.support.bindings import arith, tensor
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def _pick(build: Builder, op: Any, operand: Tensor, place: Callable[[Row, Expr], Any]) -> tuple[Tensor, ...]:
    """Return the element of each sorted row at the position that ``place`` finds, and where it came from."""
    dim, dtype = integer_of(op.dim), operand.meta.dtype
    values, positions = sort(build, operand, dim, descending=False)

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        zero = index_constant(0)
        found = source.place(place(source, operand.meta.shape[dim]))
        return [
            tensor.insert(tensor.extract(item.value, found), output, [zero])
            for item, output in zip((values, positions), outputs, strict=True)
        ]

    picked = map_rows(build, values, dim, [(ONE, dtype), (ONE, DType.INT64)], row)
    return tuple(reshape(build, item, result_meta(op, number).shape) for number, item in enumerate(picked))


def _is_nan(x: Any) -> Any:
    wide = widen(x)
    return arith.cmpf(arith.CmpFPredicate.UNO, wide, wide)


@lowers(MedianOp)
def lower_median(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    def place(row: Row, length: Expr) -> Any:
        middle = build.size((length - 1) // 2)
        if not operand.meta.dtype.is_float:
            return middle
        # NaNs come last, so that the last element tells whether there is one.
        last = last_index(build, length)
        return arith.select(_is_nan(row.read(last)), last, middle)

    return _pick(build, op, operand, place)


@lowers(NanmedianOp)
def lower_nanmedian(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    def place(row: Row, length: Expr) -> Any:
        if not operand.meta.dtype.is_float:
            return build.size((length - 1) // 2)
        one = index_constant(1)

        def step(position: Any, carried: list[Any]) -> list[Any]:
            return [arith.select(_is_nan(row.read(position)), carried[0], arith.addi(carried[0], one))]

        (numbers,) = loop(index_constant(0), build.size(length), one, [index_constant(0)], step)
        return arith.shrui(arith.subi(arith.maxui(numbers, one), one), one)

    return _pick(build, op, operand, place)


@lowers(ModeOp)
def lower_mode(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    def differ(x: Any, y: Any) -> Any:
        if operand.meta.dtype.is_float:
            return arith.cmpf(arith.CmpFPredicate.UNE, widen(x), widen(y))
        return arith.cmpi(arith.CmpIPredicate.ne, x, y)

    def place(row: Row, length: Expr) -> Any:
        zero, one, last = index_constant(0), index_constant(1), last_index(build, length)

        def step(position: Any, carried: list[Any]) -> list[Any]:
            best, best_count, count = carried
            count = arith.addi(count, one)
            following = row.read(arith.minsi(arith.addi(position, one), last))
            at_end = arith.cmpi(arith.CmpIPredicate.eq, position, last)
            run_ends = arith.ori(at_end, differ(row.read(position), following))
            longer = arith.cmpi(arith.CmpIPredicate.sgt, count, best_count)
            better = arith.andi(run_ends, longer)
            return [
                arith.select(better, position, best),
                arith.select(better, count, best_count),
                arith.select(run_ends, zero, count),
            ]

        return loop(zero, build.size(length), one, [zero, zero, zero], step)[0]

    return _pick(build, op, operand, place)
