"""Contractions on CPUs: register tiles of accumulators, blocked for the caches, in tasks for the threads.

One template serves matrix products of any layout and convolutions (the right operand is gathered line by line while
it is packed).  The loops, from the outside: tasks (batch, rows and columns of the result), blocks of the depth, blocks
of rows, panels of columns, tiles of rows, the depth of the block.  Sums of a block stay in registers; between blocks
they rest in the workspace.  When the last block of a tile is done, the kernel's pointwise ops after the contraction run
on it.

The blocking follows K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.conditions import compare
from stepwell.passes.schedules.contraction import Contraction, find_contraction
from stepwell.passes.schedules.contraction_results import Results
from stepwell.passes.schedules.cpu.contraction_dot import DotParameters, choose_dot, write_dot
from stepwell.passes.schedules.cpu.contraction_pack import Block, Blocks
from stepwell.passes.schedules.cpu.contraction_parameters import Parameters, choose_parameters, with_usable_lines
from stepwell.passes.schedules.cpu.contraction_tiles import first_lanes, for_tiles, set_lanes
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ONE, ZERO, ceil_div, product
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.rule import Rule
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

_LANE = Expr.symbol(LANE)
_FEW_ROWS = 2


@dataclass(frozen=True)
class Schedule:
    """What will be built: the contraction, its parameters, and why they were chosen."""

    contraction: Contraction
    parameters: Parameters | DotParameters
    reasons: tuple[str, ...]


class ContractionRule(Rule):
    """Takes kernels of one contraction with pointwise ops before and after it."""

    name: ClassVar[str] = "contraction"

    def parameters(self, kernel: Kernel, target: Target) -> Schedule:
        """Choose between sums along the depth, where rows are few, and register tiles."""
        contraction = with_usable_lines(find_contraction(kernel))
        dot = choose_dot(contraction, target)
        if dot is not None:
            return Schedule(contraction, *dot)
        if contraction.count(contraction.columns) == ONE:
            # The lanes of a register tile are columns.
            raise Refusal("a single column leaves nothing to compute side by side")
        return Schedule(contraction, *choose_parameters(contraction, target))

    def build(self, kernel: Kernel, target: Target, parameters: Schedule) -> None:
        """Write the loops."""
        opened = OpenKernel.begin(kernel)
        try:
            if isinstance(parameters.parameters, DotParameters):
                write_dot(opened, parameters.contraction, parameters.parameters)
            else:
                _Writer(opened, parameters.contraction, parameters.parameters).write()
        except BaseException:
            opened.abandon()
            raise
        opened.function.attributes["stepwell.flops"] = ir.StringAttr.get(
            str(2 * product(parameters.contraction.extents))
        )
        opened.close(self.name, parameters.reasons)


class _Writer:
    """Writes the loops of one contraction."""

    def __init__(self, open_kernel: OpenKernel, contraction: Contraction, parameters: Parameters) -> None:
        self.open, self.contraction, self.parameters = open_kernel, contraction, parameters
        self.code = open_kernel.code
        self.elements = Elements(open_kernel)
        self.results = Results(open_kernel, self.elements, contraction)
        self.operands = Blocks(open_kernel, self.elements, contraction, parameters)
        self.rows = contraction.count(contraction.rows)
        self.columns = contraction.count(contraction.columns)
        self.depth = contraction.count(contraction.depth)
        single = self.depth.is_constant and self.depth.constant <= parameters.block_depth
        self.block_depth = self.depth if single else Expr.const(parameters.block_depth)
        self.blocked = not single
        self.row_rest = _rest(self.rows, parameters.tile_rows, parameters.block_rows, parameters.task_rows)
        self.column_rest = _rest(self.columns, parameters.tile_columns, parameters.task_columns)
        # Packed columns are there up to the end of a panel, whatever they hold.
        self.masks_right = not parameters.pack_right and not contraction.right.panel
        set_lanes(self.code, parameters.lanes)

    # Tasks

    def write(self) -> None:
        """Write the whole function body."""
        p, contraction = self.parameters, self.contraction
        row_tasks, column_tasks = ceil_div(self.rows, p.task_rows), ceil_div(self.columns, p.task_columns)
        tasks = contraction.count(contraction.outer) * row_tasks * column_tasks

        def task(number: Expr) -> None:
            ranges = self.code.ranges
            rest, row = ranges.divide(number, row_tasks)
            outer, column = ranges.divide(rest, column_tasks)
            outer_loops = contraction.spread(ranges, outer, contraction.outer, merged=False)
            self.operands.outer = self.results.outer = outer_loops
            self._task(row * p.task_rows, column * p.task_columns)

        def step(number: Expr, _: list[Any]) -> tuple[()]:
            task(number)
            return ()

        if p.serial:
            self.code.loop(ZERO, tasks, step, stem="task")
        else:
            self.code.forall(tasks, task, grain=p.grain)

    def _task(self, row: Expr, column: Expr) -> None:
        p = self.parameters
        rows = self._part(row, self.rows, p.task_rows)
        columns = self._part(column, self.columns, p.task_columns)
        self.operands.begin_task()
        self.pitch = -(-p.task_columns // p.tile_columns) * p.tile_columns
        height = -(-p.task_rows // p.tile_rows) * p.tile_rows if self.blocked else p.tile_rows
        width = self.pitch if self.blocked else p.tile_columns
        self.sums = self.open.scratch(self.contraction.element, (height * width,))

        def block(start: Expr, _: list[Any]) -> tuple[()]:
            self._block(rows, columns, self._part(start, self.depth, p.block_depth) if self.blocked else self._whole())
            return ()

        if self.blocked:
            # At least one block: an empty depth gives sums of zero, which must be written too.
            high = self.depth if self.depth.is_constant else Expr.max(self.depth, ONE)
            self.code.loop(ZERO, high, block, step=p.block_depth, stem="block")
        else:
            block(ZERO, [])

    def _whole(self) -> Block:
        return Block(ZERO, self.depth, (self.depth % self.parameters.lanes) == ZERO)

    def _part(self, start: Expr, total: Expr, size: int) -> Block:
        """Return the part of ``total`` items from ``start`` on that holds at most ``size``."""
        lanes = self.parameters.lanes
        exact = total % lanes == ZERO and size % lanes == 0
        if total.is_constant and total.constant % size == 0:
            return Block(start, Expr.const(size), exact)
        if total.is_constant and total.constant <= size:
            return Block(start, total, exact)
        return Block(start, Expr.min(total - start, size), exact)

    # Blocks

    def _block(self, rows: Block, columns: Block, depth: Block) -> None:
        p, code = self.parameters, self.code
        self.operands.pack_right(columns, depth)

        def rows_block(start: Expr, _: list[Any]) -> tuple[()]:
            part = Block(rows.start + start, self._rows_of_block(rows, start), rows.exact)
            self.operands.pack_left(part, depth)
            for_tiles(
                code,
                columns.count,
                p.tile_columns,
                self.column_rest,
                lambda column, width, left: self._panel(start, part, columns, depth, column, width, left),
                numbered=self.contraction.right.panel > 0,
            )
            return ()

        code.loop(ZERO, rows.count, rows_block, step=p.block_rows, stem="rows")

    def _rows_of_block(self, rows: Block, start: Expr) -> Expr:
        size = self.parameters.block_rows
        if rows.count.is_constant and (rows.count.constant % size == 0 or rows.count.constant <= size):
            return Expr.const(min(size, rows.count.constant))
        return Expr.min(rows.count - start, size)

    def _panel(
        self, start: Expr, rows: Block, columns: Block, depth: Block, column: Expr, width: int, left: Expr | None
    ) -> None:
        p = self.parameters
        vectors = -(-width // p.lanes)

        def write(row: Expr, height: int, there: Expr) -> None:
            sums = self._sum(rows, columns, depth, row, column, height, vectors, left, clamp=not there.is_constant)
            base = (start + row) * self.pitch + column * p.tile_rows if self.blocked else ZERO
            self._keep_sums(sums, base, depth, height)
            self._when_last(
                depth, lambda: self._finish(rows.start + row, there, columns.start + column, vectors, left, base)
            )

        def tile(row: Expr, height: int, rows_left: Expr | None) -> None:
            if rows_left is None or rows_left.is_constant or height < p.tile_rows:
                write(row, height, Expr.const(height))
            elif height <= _FEW_ROWS:
                write(row, height, rows_left)
            else:
                # A remainder of unknown size: one or two rows, as of a batch of 1, must not cost a whole tile.
                is_few = compare(self.code, "sge", Expr.const(_FEW_ROWS), rows_left)
                few, many = (partial(write, row, size, rows_left) for size in (_FEW_ROWS, height))
                self.code.branch(is_few, lambda: _done(few()), lambda: _done(many()), [])

        for_tiles(self.code, rows.count, p.tile_rows, self.row_rest, tile)

    # Register tiles

    def _sum(
        self,
        rows: Block,
        columns: Block,
        depth: Block,
        row: Expr,
        column: Expr,
        height: int,
        vectors: int,
        left: Expr | None,
        *,
        clamp: bool,
    ) -> list[Any]:
        """Return ``height * vectors`` sums over the depth of a block."""
        code, lanes = self.code, self.parameters.lanes
        zero = self.results.zero()

        def step(k: Expr, sums: list[Any]) -> list[Any]:
            right = []
            for number in range(vectors):
                there = left - number * lanes if left is not None and self.masks_right else None
                with first_lanes(code, there):
                    right.append(self.operands.right_vector(columns, depth, column, number * lanes, k))
            nexts = []
            for number in range(height):
                at = row + number
                if clamp and number and not self.parameters.pack_left:
                    at = Expr.min(at, rows.count - 1)
                factor = self.operands.left_scalar(rows, depth, at, k)
                nexts += [
                    self.results.add_product(factor, vector, sums[number * vectors + column_number])
                    for column_number, vector in enumerate(right)
                ]
            return nexts

        return code.loop(ZERO, depth.count, step, [zero] * (height * vectors), stem="k")

    def _keep_sums(self, sums: list[Any], base: Expr, depth: Block, height: int) -> None:
        """Store the sums of a tile, on top of those of the blocks before."""
        code, p = self.code, self.parameters
        vectors = len(sums) // height
        for number, value in enumerate(sums):
            row, vector = divmod(number, vectors)
            at = base + row * p.tile_columns + vector * p.lanes + _LANE
            if self.blocked:
                before = load(code, self.sums, at)
                is_first = compare(code, "eq", depth.start, ZERO)
                before = code.op("arith.select", (is_first, self.results.zero(), before), value.type)
                value = self.results.add(before, value)
            store(code, self.sums, at, value)

    def _when_last(self, depth: Block, write: Any) -> None:
        """Run ``write`` after the last block of the depth."""
        if not self.blocked:
            write()
            return
        code = self.code
        is_last = compare(code, "sge", depth.start + self.parameters.block_depth, self.depth)
        code.branch(is_last, lambda: _done(write()), lambda: (), [])

    def _finish(self, row: Expr, height: Expr, column: Expr, vectors: int, left: Expr | None, base: Expr) -> None:
        """Compute and store the kernel's results from the finished sums of a tile."""
        code, p = self.code, self.parameters

        def finish_row(number: Expr, _: list[Any]) -> tuple[()]:
            def finish_vector(at: Expr, _: list[Any]) -> tuple[()]:
                with first_lanes(code, left - at if left is not None else None):
                    before, code.mask = code.mask, None
                    value = load(code, self.sums, base + number * p.tile_columns + at + _LANE)
                    code.mask = before
                    self.results.write(row + number, column + at + _LANE, value)
                return ()

            code.loop(ZERO, Expr.const(vectors * p.lanes), finish_vector, step=p.lanes, whole_steps=True, stem="at")
            return ()

        code.loop(ZERO, height, finish_row, stem="row")


def _rest(total: Expr, tile: int, *parts: int) -> int:
    """Return what is known of the items left over by whole tiles, as ``for_tiles`` wants it."""
    if any(part % tile for part in parts if not (total.is_constant and total.constant <= part)):
        return tile
    return total.constant % tile if total.is_constant else tile


def _done(_: None) -> tuple[()]:
    return ()
