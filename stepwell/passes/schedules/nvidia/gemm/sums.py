"""Where finished sums go: through the kernel's last ops into the results, or to the workspace where the depth is split.

Sums of the parts of a split depth rest in the workspace, ``[part][product][row][column]``; a second launch adds them up
in this order, always the same, and finishes them.
"""

from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import Buffer, OpenKernel, bytes_of, flatten, memory_type
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.conditions import both, less, when
from stepwell.passes.schedules.contraction_results import Results
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ZERO, ceil_div
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.tiles import Place, named, vectors
from stepwell.passes.schedules.nvidia.grid import Block, Grid
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_THREADS = 256


class Sums:
    """Takes the finished sums of the threads.

    Args:
        opened: the function being written.
        elements: reads what the last ops need besides.
        problem: what is computed.
        splits: parts of the depth.
    """

    def __init__(self, opened: OpenKernel, elements: Elements, problem: Problem, splits: int) -> None:
        self.opened, self.problem, self.splits = opened, problem, splits
        self.code: Code = opened.code
        self.results = Results(opened, elements, problem.contraction)

    @property
    def workspace_bytes(self) -> Expr:
        """Bytes that the parts take."""
        p = self.problem
        return p.outer * p.rows * p.columns * (self.splits * p.accumulator_bytes) if self.splits > 1 else ZERO

    def keep(
        self, place: Place, row: Expr, column: Expr, value: Any, *, wide: bool, row_tile: int, column_tile: int
    ) -> None:
        """Take the sums of neighbouring columns from ``column`` on.

        Args:
            place: where the block works.
            row: the row.
            column: the first column.
            value: the sums, a vector or a scalar.
            wide: neighbouring results may be accessed as vectors.
            row_tile, column_tile: extents of the tile, which may reach past the last row and column.
        """
        code, problem = self.code, self.problem
        count = value.type.shape[0] if code.is_vector(value) else 1
        self.results.outer = place.loops
        in_rows = None if problem.rows % row_tile == ZERO else less(code, row, problem.rows)
        whole_columns = problem.columns % column_tile == ZERO
        run = problem.columns % count == ZERO if self.splits > 1 else problem.result_run >= count
        if count > 1 and wide and run:
            condition = both(code, in_rows, None if whole_columns else less(code, column, problem.columns))
            when(code, condition, lambda: self._write(place, row, column, value, count))
            return
        for number in range(count):
            one = extract(code, value, number) if count > 1 else value
            at = column + number
            condition = both(code, in_rows, None if whole_columns else less(code, at, problem.columns))
            when(code, condition, partial(self._write, place, row, at, one, 1))

    def _write(self, place: Place, row: Expr, column: Expr, value: Any, count: int) -> None:
        with vectors(self.code, count) as lane:
            if self.splits == 1:
                self.results.write(row, column + lane, value)
            else:
                at = self._position(place.split, place.outer, row, column)
                store(self.code, self._parts(), at + lane, value)

    def _position(self, split: Expr, outer: Expr, row: Expr, column: Expr) -> Expr:
        p = self.problem
        return ((split * p.outer + outer) * p.rows + row) * p.columns + column

    def _parts(self) -> Buffer:
        """Return the workspace as parts; made where it is used, inside the launch."""
        code, element = self.code, self.problem.contraction.element
        count = self.workspace_bytes // bytes_of(element)
        whole = flatten(code, self.opened.workspace, self.workspace_bytes, inside=True)
        operands = [whole, code.number(0)] + ([] if count.is_constant else [code.index(count)])
        static = count.constant if count.is_constant else ir.ShapedType.get_dynamic_size()
        memref = code.read_op("memref.view", operands, ir.MemRefType.get([static], memory_type(element)))
        return Buffer(memref, element, (count,), constant=False)

    def finish(self, *, wide: bool, when_pointers: str = "") -> None:
        """Write the launch that adds up the parts of the sums and finishes them.

        Args:
            wide: neighbouring results may be accessed as vectors.
            when_pointers: which pointers the launch is for, as in ``Grid.when``.
        """
        p = self.problem
        lanes = 4 if wide and p.result_run >= 4 and p.columns % 4 == ZERO and p.accumulator_bytes <= 4 else 1
        items = p.outer * p.rows * p.columns // lanes
        grid = Grid(ceil_div(items, _THREADS), _THREADS, when_pointers)
        grid.write(self.code, lambda block: self._finish_items(block, items, lanes))

    def _finish_items(self, block: Block, items: Expr, lanes: int) -> None:
        code, p = self.code, self.problem
        item = block.index * _THREADS + block.thread
        condition = None if items % _THREADS == ZERO else less(code, item, items)

        def write() -> None:
            rest, column = code.ranges.divide(named(code, item, items), p.columns // lanes)
            outer, row = code.ranges.divide(rest, p.rows)
            self.results.outer = p.contraction.spread(code.ranges, outer, p.contraction.outer, merged=False)
            with vectors(code, lanes) as lane:
                at = column * lanes
                total = None
                for split in range(self.splits):
                    part = load(code, self._parts(), self._position(Expr.const(split), outer, row, at) + lane)
                    total = part if total is None else self.results.add(total, part)
                self.results.write(named(code, row, p.rows), at + lane, total)

        when(code, condition, write)


def extract(code: Code, vector: Any, number: int) -> Any:
    """Return one element of a vector."""
    attributes = {"static_position": ir.DenseI64ArrayAttr.get([number])}
    return code.op("vector.extract", (vector,), vector.type.element_type, attributes)
