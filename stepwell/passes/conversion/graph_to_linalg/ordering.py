"""Sorting, selecting and searching, to loops on rows.

Sorting is a bottom-up merge sort: stable, n log n whatever the data, and without recursion.  Two buffers per row take
turns; each step of the outer loop merges twice, so that what it yields lies in the buffer it came in and nothing is
copied.
"""

from dataclasses import dataclass
from typing import Any

from stepwell.dialects.graph.ordering import SearchsortedOp, SortOp, TopkOp
from stepwell.dialects.graph.sizes import flag_of, integer_of
from stepwell.dialects.graph.types import ONE
from stepwell.passes.conversion.graph_to_linalg.loops import loop, loop_nest, loop_while
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.rearrange import empty, index_constant, slice_along
from stepwell.passes.conversion.graph_to_linalg.rows import Row, map_rows
from stepwell.support.bindings import arith, ir, scf, tensor
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

# Up to here, keeping the best k in a sorted list beats sorting the whole row.
SELECTION_LIMIT = 64


def comes_before(x: Any, y: Any, dtype: DType, descending: bool) -> Any:
    """Tell whether ``x`` must stand before ``y``: strictly less, or greater; NaN counts as the largest value."""
    if descending:
        x, y = y, x
    if dtype.is_float:
        x, y = widen(x), widen(y)
        # "Less or unordered" holds for a NaN on either side; x itself must be a number.
        less = arith.cmpf(arith.CmpFPredicate.ULT, x, y)
        return arith.andi(less, arith.cmpf(arith.CmpFPredicate.ORD, x, x))
    unsigned = dtype in (DType.UINT8, DType.BOOL)
    return arith.cmpi(arith.CmpIPredicate.ult if unsigned else arith.CmpIPredicate.slt, x, y)


@dataclass(frozen=True)
class Run:
    """The buffers of a row on its way: values [length], and positions [length], or [length, 1] where ``tail`` is 0.

    Two empty tensors of one type would be merged into one, so the spare positions have a type of their own.
    """

    values: Any
    positions: Any
    tail: tuple[Any, ...]


@lowers(SortOp)
def lower_sort(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    return sort(build, operand, integer_of(op.dim), flag_of(op.descending))


def sort(build: Builder, item: Tensor, dim: int, descending: bool) -> tuple[Tensor, ...]:
    """Return the sorted elements along ``dim`` and the positions they come from."""
    dtype, length = item.meta.dtype, item.meta.shape[dim]

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        zero, one, size = index_constant(0), index_constant(1), build.size(length)
        filled = loop(zero, size, one, outputs, lambda k, into: _fill(source, k, into))
        spare = [build.empty((length,), element_type(dtype)), build.empty((length, ONE), _i64())]

        def step(number: Any, buffers: list[Any]) -> list[Any]:
            run = arith.shli(one, arith.addi(number, number))
            values, positions, spare_values, spare_positions = buffers
            home = Run(values, positions, ())
            there = merge(home, Run(spare_values, spare_positions, (zero,)), run)
            back = merge(there, home, arith.addi(run, run))
            return [back.values, back.positions, there.values, there.positions]

        def merge(source: Run, target: Run, run: Any) -> Run:
            return _merge_runs(build, source, target, length, run, dtype, descending)

        return loop(zero, _double_merges(build, length), one, [*filled, *spare], step)[:2]

    return tuple(map_rows(build, item, dim, [(length, dtype), (length, DType.INT64)], row))


def _fill(source: Row, position: Any, into: list[Any]) -> list[Any]:
    number = arith.index_cast(ir.IntegerType.get_signless(64), position)
    return [tensor.insert(source.read(position), into[0], [position]), tensor.insert(number, into[1], [position])]


def _double_merges(build: Builder, length: Expr) -> Any:
    """Return how often runs must grow fourfold until one holds the row: the least p with 4**p >= length."""
    if length.is_constant:
        return index_constant((max(length.constant - 1, 0).bit_length() + 1) // 2)
    one, size = index_constant(1), build.size(length)

    def count(number: Any, found: list[Any]) -> list[Any]:
        run = arith.shli(one, arith.addi(number, number))
        short = arith.cmpi(arith.CmpIPredicate.slt, run, size)
        return [arith.addi(found[0], arith.index_cast(ir.IndexType.get(), arith.extui(_i64(), short)))]

    # A row of 4**31 elements fits no memory.
    return loop(index_constant(0), index_constant(31), one, [index_constant(0)], count)[0]


def _i64() -> Any:
    return ir.IntegerType.get_signless(64)


def _merge_runs(
    build: Builder, source: Run, target: Run, length: Expr, run: Any, dtype: DType, descending: bool
) -> Run:
    """Merge neighbouring sorted runs of ``run`` elements in ``source`` into ``target``."""
    zero, one, size = index_constant(0), index_constant(1), build.size(length)

    def pair(low: Any, into: list[Any]) -> list[Any]:
        middle = arith.minsi(arith.addi(low, run), size)
        high = arith.minsi(arith.addi(middle, run), size)

        def both_left_over(carried: list[Any]) -> Any:
            _, _, left, right = carried
            return arith.andi(less(left, middle), less(right, high))

        def choose(carried: list[Any]) -> list[Any]:
            values, positions, left, right = carried
            x, y = read(left), read(right)
            taken = comes_before(y, x, dtype, descending)
            found = arith.select(taken, right, left)
            if dtype in (DType.FLOAT32, DType.FLOAT64):
                # LLVM turns a choice between floats into a jump, which is guessed wrong half of the time.
                value = read(found)
            else:
                # 16-bit floats are chosen between as float32: LLVM has no such scalars in registers.
                value = narrow(arith.select(taken, widen(y), widen(x)), dtype)
            place = arith.subi(arith.addi(left, right), middle)
            rest = arith.select(taken, left, arith.addi(left, one)), arith.select(taken, arith.addi(right, one), right)
            return [*put(value, found, place, [values, positions]), *rest]

        *into, left, right = loop_while([*into, low, middle], both_left_over, choose)
        # At most one of the runs has elements left.
        shift = arith.subi(right, middle)
        into = loop(left, middle, one, into, lambda found, carried: move(found, arith.addi(found, shift), carried))
        return loop(right, high, one, into, lambda found, carried: move(found, found, carried))

    def read(place: Any) -> Any:
        return tensor.extract(source.values, [place])

    def move(found: Any, place: Any, into: list[Any]) -> list[Any]:
        return put(read(found), found, place, into)

    def put(value: Any, found: Any, place: Any, into: list[Any]) -> list[Any]:
        number = tensor.extract(source.positions, [found, *source.tail])
        return [tensor.insert(value, into[0], [place]), tensor.insert(number, into[1], [place, *target.tail])]

    def less(a: Any, b: Any) -> Any:
        return arith.cmpi(arith.CmpIPredicate.slt, a, b)

    merged = loop(zero, size, arith.addi(run, run), [target.values, target.positions], pair)
    return Run(merged[0], merged[1], target.tail)


# -- selection -----------------------------------------------------------------------------------------------------


@lowers(TopkOp)
def lower_topk(build: Builder, op: Any, operand: Tensor) -> tuple[Tensor, ...]:
    k, dim, largest = integer_of(op.k), integer_of(op.dim), flag_of(op.largest)
    if 0 < k <= SELECTION_LIMIT:
        return _select(build, operand, dim, k, largest)
    everything = sort(build, operand, dim, largest)
    return tuple(slice_along(build, item, dim, Expr.const(0), Expr.const(k)) for item in everything)


def _select(build: Builder, item: Tensor, dim: int, k: int, largest: bool) -> tuple[Tensor, ...]:
    """Keep the best ``k`` elements so far in order; most elements of a long row are worse than all of them."""
    dtype, length = item.meta.dtype, item.meta.shape[dim]

    def row(source: Row, outputs: list[Any]) -> list[Any]:
        zero, one = index_constant(0), index_constant(1)

        def step(position: Any, kept: list[Any]) -> list[Any]:
            # 16-bit floats are carried as float32: LLVM has no such scalars in registers.
            x = widen(source.read(position))
            room = arith.cmpi(arith.CmpIPredicate.slt, position, index_constant(k))
            worst = tensor.extract(kept[0], [index_constant(k - 1)])
            enters = arith.ori(room, comes_before(x, worst, dtype, largest))
            branch = scf.IfOp(enters, [value.type for value in kept], has_else=True)
            with ir.InsertionPoint(branch.then_block):
                scf.yield_(_insert_in_order(kept, x, position, k, dtype, largest))
            with ir.InsertionPoint(branch.else_block):
                scf.yield_(kept)
            return list(branch.results)

        return loop(zero, build.size(length), one, outputs, step)

    return tuple(map_rows(build, item, dim, [(Expr.const(k), dtype), (Expr.const(k), DType.INT64)], row))


def _insert_in_order(kept: list[Any], x: Any, position: Any, k: int, dtype: DType, largest: bool) -> list[Any]:
    """Put ``x``, in its compute type, into the sorted list; ``position`` elements were seen before."""
    filled = arith.minsi(position, index_constant(k))
    number = arith.index_cast(_i64(), position)
    end = arith.minsi(arith.addi(position, index_constant(1)), index_constant(k))
    never = constant(0, ir.IntegerType.get_signless(1))

    def step(place: Any, carried: list[Any]) -> list[Any]:
        values, positions, hand, hand_number, moving = carried
        old, old_number = widen(tensor.extract(values, [place])), tensor.extract(positions, [place])
        beyond = arith.cmpi(arith.CmpIPredicate.sge, place, filled)
        moving = arith.ori(moving, arith.ori(beyond, comes_before(hand, old, dtype, largest)))
        return [
            tensor.insert(narrow(arith.select(moving, hand, old), dtype), values, [place]),
            tensor.insert(arith.select(moving, hand_number, old_number), positions, [place]),
            arith.select(moving, old, hand),
            arith.select(moving, old_number, hand_number),
            moving,
        ]

    start = [*kept, x, number, never]
    return loop(index_constant(0), end, index_constant(1), start, step)[:2]


# -- search --------------------------------------------------------------------------------------------------------


@lowers(SearchsortedOp)
def lower_searchsorted(build: Builder, op: Any, boundaries: Tensor, values: Tensor) -> Tensor:
    meta, right = result_meta(op), flag_of(op.right)
    dtype, length = values.meta.dtype, boundaries.meta.shape[-1]

    def step(place: list[Any], carried: list[Any]) -> list[Any]:
        wanted = tensor.extract(values.value, place)
        row = place[:-1] if boundaries.meta.rank > 1 else []
        found = _search(build, boundaries, row, wanted, length, dtype, right)
        return [tensor.insert(arith.index_cast(_i64(), found), carried[0], place)]

    return Tensor(loop_nest(build, meta.shape, [empty(build, meta).value], step)[0], meta)


def _search(
    build: Builder, boundaries: Tensor, row: list[Any], wanted: Any, length: Expr, dtype: DType, right: bool
) -> Any:
    """Search by halves: the answer lies between ``low`` and ``high`` at every step."""

    def open_(bounds: list[Any]) -> Any:
        return arith.cmpi(arith.CmpIPredicate.slt, *bounds)

    def halve(bounds: list[Any]) -> list[Any]:
        low, high = bounds
        middle = arith.shrui(arith.addi(low, high), index_constant(1))
        reached = _reached(tensor.extract(boundaries.value, [*row, middle]), wanted, dtype, right)
        following = arith.addi(middle, index_constant(1))
        return [arith.select(reached, low, following), arith.select(reached, middle, high)]

    return loop_while([index_constant(0), build.size(length)], open_, halve)[0]


def _reached(element: Any, wanted: Any, dtype: DType, right: bool) -> Any:
    """Tell whether ``element`` is greater than ``wanted``, or at least not less where ``right`` is off."""
    if dtype.is_float:
        compare = arith.CmpFPredicate.OGT if right else arith.CmpFPredicate.OGE
        return arith.cmpf(compare, widen(element), widen(wanted))
    if dtype in (DType.UINT8, DType.BOOL):
        return arith.cmpi(arith.CmpIPredicate.ugt if right else arith.CmpIPredicate.uge, element, wanted)
    return arith.cmpi(arith.CmpIPredicate.sgt if right else arith.CmpIPredicate.sge, element, wanted)
