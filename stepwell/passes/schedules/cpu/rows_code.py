"""Write the loops of a kernel with rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import Buffer
from stepwell.passes.schedules.cpu.pointwise import Group
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, product
from stepwell.passes.schedules.loops import LaneLoop, delinearise, effect, write_loops
from stepwell.passes.schedules.memory import store
from stepwell.passes.schedules.nest import Nest
from stepwell.support.symbolic import Expr

# Short reductions are written out: windows of a pooling, say, but not so many ops that LLVM is busy for long.
_UNROLLED_POINTS = 32
_UNROLLED_OPS = 660


@dataclass(frozen=True)
class Keep:
    """A pointwise tensor whose row is stored when first computed: in result ``number``, or in the workspace (-1)."""

    value: Any
    number: int
    indices: tuple[Expr, ...]


@dataclass(frozen=True)
class RowParameters:
    """How a kernel with rows is built.

    Attributes:
        variables: the row space's variables, outermost first.
        extents: their extents.
        nests: reductions in order, then the results.
        lanes: elements per vector.
        across: which row variable the lanes run along, or None for lanes within rows.
        lane_of: for lanes within rows, each nest's own lane loop or None.
        unroll: vectors per iteration of each nest's lane loop; across rows, of the lane loop over rows.
        keeps: per nest, what it stores for later ones.
        grain: rows (or vectors of rows) worth a thread; 0 for a serial kernel.
        groups: results that need no reduction.
    """

    variables: tuple[str, ...]
    extents: tuple[Expr, ...]
    nests: tuple[Nest, ...]
    lanes: int
    across: int | None
    lane_of: tuple[int | None, ...]
    unroll: tuple[int, ...]
    keeps: dict[int, tuple[Keep, ...]]
    grain: int
    groups: tuple[Group, ...]
    reasons: tuple[str, ...]


Row = dict[str, Expr]


class RowWriter:
    """Writes the nests of a kernel for every row."""

    def __init__(self, elements: Elements, parameters: RowParameters) -> None:
        self.elements, self.parameters = elements, parameters
        self.code = elements.code
        self.kernel = elements.kernel

    def write(self) -> None:
        """Write the loop over rows, parallel where the parameters say so."""
        parameters, code = self.parameters, self.code
        outer = [n for n, extent in enumerate(parameters.extents) if n != parameters.across and extent != ONE]
        extents = [parameters.extents[n] for n in outer]
        across = parameters.across
        lane_extent = parameters.extents[across] if across is not None else ONE
        block = parameters.lanes * parameters.unroll[0] if across is not None else 1

        def rows(indices: Sequence[Expr], low: Expr, count: Expr) -> None:
            row = dict.fromkeys(parameters.variables, ZERO)
            row |= {parameters.variables[n]: index for n, index in zip(outer, indices, strict=True)}
            if across is None:
                self._row_within(row)
            else:
                self._rows_across(row, parameters.variables[across], low, count)

        if not parameters.grain:
            serial = effect(lambda indices: rows(indices, ZERO, lane_extent))
            write_loops(code, extents, serial)
            return
        if product(extents).is_constant and product(extents).constant >= 32:
            block = 0
        blocks = -((-lane_extent) // block) if across is not None and block else ONE

        def chunk(position: Expr) -> None:
            *indices, part = delinearise(code, position, [*extents, blocks])
            low = part * block
            rows(indices, low, Expr.min(lane_extent - low, block) if blocks != ONE else lane_extent)

        code.forall(product(extents) * blocks, chunk, grain=parameters.grain)

    # Lanes across rows

    def _rows_across(self, row: Row, variable: str, low: Expr, count: Expr) -> None:
        parameters = self.parameters

        def body(vectors: list[Expr], _: list[Any]) -> list[Any]:
            rows = [row | {variable: low + vector} for vector in vectors]
            for nest in parameters.nests:
                if nest.op is not None:
                    self._reduce_each(nest, rows)
                else:
                    for here in rows:
                        self._store_each(nest, here)
            return []

        LaneLoop(count, parameters.lanes, parameters.unroll[0]).write(self.code, body)

    def _reduce_each(self, nest: Nest, rows: Sequence[Row]) -> None:
        """Reduce several rows, or vectors of rows, at once: their chains of accumulation run side by side."""
        results = len(nest.op.results)
        starts = [self.code.broadcast(value) for row in rows for value in self._initial(nest, row)]

        def body(indices: list[Expr], carried: list[Any]) -> list[Any]:
            inner = dict(zip(nest.variables, indices, strict=True))
            values: list[Any] = []
            for number, row in enumerate(rows):
                accumulators = dict(enumerate(carried[number * results : (number + 1) * results]))
                made = self.elements.body(nest.op, nest.at(row | inner), accumulators)
                values += [self.code.broadcast(value) for value in made]
            return values

        ops = len(rows) * (nest.uses.cost + len(nest.uses.accesses))
        points = min(_UNROLLED_POINTS, _UNROLLED_OPS // max(ops, 1))
        values = write_loops(self.code, nest.extents, body, starts, unrolled_points=points)
        for result in range(results):
            self._bind(nest, result, rows, values[result::results])

    def _initial(self, nest: Nest, row: Row) -> list[Any]:
        inputs = len(nest.op.operands) - len(nest.op.results)
        return [self.elements.read(operand, self._place(row)) for operand in list(nest.op.operands)[inputs:]]

    def _place(self, row: Row) -> tuple[Expr, ...]:
        return tuple(row[name] for name in self.parameters.variables)

    def _bind(self, nest: Nest, result: int, rows: Sequence[Row], values: Sequence[Any]) -> None:
        table = {self._place(row): value for row, value in zip(rows, values, strict=True)}
        extents = self.parameters.extents

        def reader(indices: tuple[Expr, ...]) -> Any:
            # A loop of one step may be indexed by anything that is 0.
            return table[tuple(ZERO if e == ONE else i for i, e in zip(indices, extents, strict=True))]

        self.elements.bind(nest.op.results[result], reader)

    def _store_each(self, nest: Nest, row: Row) -> None:
        def body(indices: list[Expr], carried: list[Any]) -> list[Any]:
            self._store(nest, row | dict(zip(nest.variables, indices, strict=True)))
            return []

        write_loops(self.code, nest.extents, body)

    def _store(self, nest: Nest, values: Row) -> None:
        indices = nest.at(values)
        buffer = self._result(nest.number, nest.value)
        store(self.code, buffer, buffer.position(indices), self.elements.read(nest.value, indices))

    def _result(self, number: int, value: Any) -> Buffer:
        buffer = self.elements.open.outputs[number]
        return Buffer(buffer.memref, buffer.element, self.kernel.shape(value), constant=False)

    # Lanes within a row

    def _row_within(self, row: Row) -> None:
        parameters = self.parameters
        kept: list[Any] = []
        for number, nest in enumerate(parameters.nests):
            lane, unroll = parameters.lane_of[number], parameters.unroll[number]
            keeps = parameters.keeps.get(number, ())
            if nest.op is not None:
                self._reduce_row(nest, row, lane, unroll, keeps)
            else:
                self._store_row(nest, row, lane, unroll)
            for keep in keeps:
                self.elements.bind_buffer(keep.value, self._result(keep.number, keep.value))
                kept.append(keep.value)
        for value in kept:
            self.elements.unbind(value)

    def _reduce_row(self, nest: Nest, row: Row, lane: int | None, unroll: int, keeps: Sequence[Keep]) -> None:
        if lane is None or nest.joins is None:
            self._reduce_each(nest, [row])
            return
        code, joins = self.code, nest.joins
        outer = [n for n in range(len(nest.variables)) if n != lane]
        loop = LaneLoop(nest.extents[lane], self.parameters.lanes, unroll)

        def vectors(inner: Row, lanes: list[Expr], carried: list[Any]) -> list[Any]:
            values = list(carried)
            for number, vector in enumerate(lanes):
                here = row | inner | {nest.variables[lane]: vector}
                for keep in keeps:
                    self._keep(nest, keep, here)
                start = number * len(joins)
                before = dict(enumerate(values[start : start + len(joins)]))
                made = self.elements.body(nest.op, nest.at(here), before)
                values[start : start + len(joins)] = [self._unless_masked(new, before[i]) for i, new in enumerate(made)]
            return values

        def body(indices: list[Expr], carried: list[Any]) -> list[Any]:
            inner = {nest.variables[n]: index for n, index in zip(outer, indices, strict=True)}
            return loop.write(code, lambda lanes, values: vectors(inner, lanes, values), carried)

        code.lanes = self.parameters.lanes
        starts = [join.neutral(code) for _ in range(unroll) for join in joins]
        values = write_loops(code, [nest.extents[n] for n in outer], body, starts)
        initial = self._initial(nest, row)
        for number, join in enumerate(joins):
            code.lanes = self.parameters.lanes
            parts = values[number :: len(joins)]
            while len(parts) > 1:
                half = len(parts) // 2
                parts = [join.join(code, a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
            total = join.across_lanes(code, parts[0])
            code.lanes = 1
            self._bind(nest, number, [row], [join.join(code, initial[number], total)])

    def _unless_masked(self, new: Any, old: Any) -> Any:
        new = self.code.broadcast(new)
        if self.code.mask is None:
            return new
        return self.code.pointwise("arith.select", (self.code.mask, new, old), old.type.element_type)

    def _keep(self, nest: Nest, keep: Keep, values: Row) -> None:
        indices = nest.places(keep.indices, values)
        buffer = self._result(keep.number, keep.value)
        store(self.code, buffer, buffer.position(indices), self.elements.read(keep.value, indices))

    def _store_row(self, nest: Nest, row: Row, lane: int | None, unroll: int) -> None:
        code = self.code
        outer = [n for n in range(len(nest.variables)) if n != lane]

        def body(indices: list[Expr], _: list[Any]) -> list[Any]:
            inner = row | {nest.variables[n]: index for n, index in zip(outer, indices, strict=True)}
            if lane is None:
                self._store(nest, inner)
                return []

            def vectors(lanes: list[Expr], _: list[Any]) -> list[Any]:
                for vector in lanes:
                    self._store(nest, inner | {nest.variables[lane]: vector})
                return []

            return LaneLoop(nest.extents[lane], self.parameters.lanes, unroll).write(code, vectors)

        write_loops(code, [nest.extents[n] for n in outer], body)
