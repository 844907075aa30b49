"""Contractions of few rows whose operands both lie along the depth, as a matrix-vector product with ``[N, K]`` weights.

There is nothing to reuse, so nothing is packed: vectors run along the depth, one accumulator per column, and the lanes
of as many accumulators as a vector has lanes are added up at the end, which gives a vector of neighbouring columns.
"""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import OpenKernel, bytes_of
from stepwell.passes.schedules.contraction import Contraction, Factor
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.contraction_results import Results
from stepwell.passes.schedules.cpu.contraction_parameters import vector_lanes
from stepwell.passes.schedules.cpu.contraction_tiles import first_lanes, for_tiles, set_lanes, transpose
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ZERO, ceil_div
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

_LANE = Expr.symbol(LANE)
# With more rows, transposing the right operand while packing it costs less than reading it again for each row, from L1
# where a vector's worth of columns fits there.  Measured on Zen 3: even at about 40 rows of 768, at 12 of 3072.
_MOST_ROWS = 32
_MOST_ROWS_BEYOND_L1 = 8
_L1_BYTES = 1 << 15
_TASK_WORK = 1 << 17
_ASSUMED_EXTENT = 256


@dataclass(frozen=True)
class DotParameters:
    """How a contraction of few rows is cut up.

    Attributes:
        lanes: elements of a vector, and columns that are computed together.
        task_columns: columns of a task, which one thread computes.
        grain: tasks worth a thread of their own; 0 for one thread.
    """

    lanes: int
    task_columns: int
    grain: int


def choose_dot(contraction: Contraction, target: Target) -> tuple[DotParameters, tuple[str, ...]] | None:
    """Return parameters and reasons, or None where register tiles are better."""
    rows = contraction.count(contraction.rows)
    if not contraction.right.runs_along_depth or not rows.is_constant:
        return None
    size = bytes_of(contraction.element)
    lanes = vector_lanes(size, target)
    depth = contraction.count(contraction.depth)
    length = depth.constant if depth.is_constant else _ASSUMED_EXTENT
    if rows.constant > (_MOST_ROWS if lanes * length * size <= _L1_BYTES else _MOST_ROWS_BEYOND_L1):
        return None
    work = max(length * rows.constant, 1)
    task_columns = max(min(-(-_TASK_WORK // work) // lanes, 16), 1) * lanes
    columns = contraction.count(contraction.columns)
    total = columns * contraction.count(contraction.outer)
    serial = total.is_constant and depth.is_constant and total.constant * work <= 2 * _TASK_WORK
    grain = 0 if serial else max(_TASK_WORK // (work * task_columns), 1)
    reasons = (
        f"{rows} rows, both operands along the depth: {lanes} sums at once, {lanes} lanes each, nothing packed",
        f"tasks of {task_columns} columns" + (", one thread: little work" if serial else ""),
    )
    return DotParameters(lanes, task_columns, grain), reasons


def write_dot(open_kernel: OpenKernel, contraction: Contraction, parameters: DotParameters) -> None:
    """Write the whole function body."""
    _DotWriter(open_kernel, contraction, parameters).write()


class _DotWriter:
    def __init__(self, open_kernel: OpenKernel, contraction: Contraction, parameters: DotParameters) -> None:
        self.contraction, self.parameters, self.code = contraction, parameters, open_kernel.code
        elements = Elements(open_kernel)
        self.operands = Operands(open_kernel, elements, contraction)
        self.results = Results(open_kernel, elements, contraction)
        self.columns = contraction.count(contraction.columns)
        self.depth = contraction.count(contraction.depth)
        set_lanes(self.code, parameters.lanes)

    def write(self) -> None:
        p, code, contraction = self.parameters, self.code, self.contraction
        column_tasks = ceil_div(self.columns, p.task_columns)
        tasks = contraction.count(contraction.outer) * column_tasks

        def task(number: Expr) -> None:
            outer, column = code.ranges.divide(number, column_tasks)
            loops = contraction.spread(code.ranges, outer, contraction.outer, merged=False)
            self.operands.outer = self.results.outer = loops
            self._task(column * p.task_columns)

        if p.grain:
            code.forall(tasks, task, grain=p.grain)
        else:

            def step(number: Expr, _: list[Any]) -> tuple[()]:
                task(number)
                return ()

            code.loop(ZERO, tasks, step, stem="task")

    def _task(self, start: Expr) -> None:
        p = self.parameters
        whole = self.columns.is_constant and self.columns.constant % p.task_columns == 0
        count = Expr.const(p.task_columns) if whole else Expr.min(self.columns - start, p.task_columns)
        rest = 0 if self.columns % p.lanes == ZERO else p.lanes

        def tile(column: Expr, _: int, left: Expr | None) -> None:
            def row(number: Expr, _: list[Any]) -> tuple[()]:
                sums = self._sums(number, start + column, left)
                with first_lanes(self.code, left):
                    self.results.write(number, start + column + _LANE, self._across(sums))
                return ()

            self.code.loop(ZERO, self.contraction.count(self.contraction.rows), row, stem="row")

        for_tiles(self.code, count, p.lanes, rest, tile)

    def _sums(self, row: Expr, column: Expr, left: Expr | None) -> list[Any]:
        """Return one vector of partial sums per column."""
        code, lanes = self.code, self.parameters.lanes
        numbers = [column + number for number in range(lanes)]
        if left is not None:
            numbers = [Expr.min(number, self.columns - 1) for number in numbers]
        sums = [self.results.zero()] * lanes

        def step(k: Expr, sums: list[Any]) -> list[Any]:
            x = self._present(self.contraction.left, self.operands.left_at(row, k + _LANE))
            right = [self._present(self.contraction.right, self.operands.right_at(n, k + _LANE)) for n in numbers]
            return [self.results.add_product(x, y, total) for y, total in zip(right, sums, strict=True)]

        whole = self.depth // lanes * lanes
        sums = code.loop(ZERO, whole, step, sums, step=lanes, whole_steps=True, stem="k")
        if self.depth % lanes == ZERO:
            return sums

        def tail(k: Expr, sums: list[Any]) -> list[Any]:
            with first_lanes(code, self.depth - k):
                return step(k, sums)

        return code.loop(whole, self.depth, tail, sums, step=lanes, stem="k")

    def _present(self, factor: Factor, value: Any) -> Any:
        """Return a factor with zeros in masked lanes: what is computed from zeros there need not be one."""
        code = self.code
        value = code.broadcast(value)
        if code.mask is None or factor.plain:
            return value
        return code.op("arith.select", (code.mask, value, self.results.zero()), value.type)

    def _across(self, sums: list[Any]) -> Any:
        """Return the vector of the sums of each vector's lanes."""
        rows = transpose(self.code, sums)
        while len(rows) > 1:
            rows = [self.results.add(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
        return rows[0]
