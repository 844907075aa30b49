"""Where a block works: which tile of which product, and which part of its depth."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import LANE, ONE, ZERO, ceil_div
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.support.symbolic import Expr

# 32-bit registers of a multiprocessor.
_REGISTERS = 1 << 16


@dataclass(frozen=True)
class Cut:
    """How a problem is cut into tiles.

    Attributes:
        problem: what is cut.
        rows, columns, depth: elements of a tile.
        splits: parts of the depth.
        group: rows of tiles that are walked together.
    """

    problem: Problem
    rows: int
    columns: int
    depth: int
    splits: int
    group: int

    @property
    def row_tiles(self) -> Expr:
        """How many tiles cover the rows."""
        return ceil_div(self.problem.rows, self.rows)

    @property
    def column_tiles(self) -> Expr:
        """How many tiles cover the columns."""
        return ceil_div(self.problem.columns, self.columns)

    @property
    def steps(self) -> Expr:
        """How many tiles follow each other along the whole depth."""
        return ceil_div(self.problem.depth, self.depth)

    @property
    def part_steps(self) -> Expr:
        """How many of them a block works on, at most."""
        return ceil_div(self.steps, self.splits)

    @property
    def blocks(self) -> Expr:
        """How many blocks there are."""
        return self.problem.outer * self.splits * self.row_tiles * self.column_tiles

    @property
    def whole_depth(self) -> bool:
        """True where no tile along the depth is cut off."""
        return self.problem.depth % self.depth == ZERO

    def place(self, code: Code, block: Expr) -> "Place":
        """Return where block number ``block`` works."""
        ranges = code.ranges
        rest, tile = ranges.divide(block, self.row_tiles * self.column_tiles)
        outer, split = ranges.divide(rest, Expr.const(self.splits))
        row, column = self._rasterised(code, tile)
        loops = self.problem.contraction.spread(ranges, outer, self.problem.contraction.outer, merged=False)
        first, last = ZERO, self.steps
        if self.splits > 1:
            first = named(code, split * self.part_steps, self.steps)
            last = named(code, Expr.min(first + self.part_steps, self.steps), self.steps + 1)
        return Place(
            loops,
            outer,
            named(code, row, self.row_tiles) * self.rows,
            named(code, column, self.column_tiles) * self.columns,
            split,
            first,
            last,
        )

    def _rasterised(self, code: Code, tile: Expr) -> tuple[Expr, Expr]:
        """Return the row and the column of a tile, in an order that walks ``group`` rows of tiles together."""
        rows, columns = self.row_tiles, self.column_tiles
        if columns == ONE:
            return tile, ZERO
        if rows.is_constant and rows.constant <= self.group:
            column, row = code.ranges.divide(tile, rows)
            return row, column
        group, within = code.ranges.divide(tile, columns * self.group)
        first = group * self.group
        height = Expr.const(self.group)
        if not (rows.is_constant and rows.constant % self.group == 0):
            height = named(code, Expr.min(rows - first, self.group), height + 1)
            code.ranges.limit(str(height), ONE, Expr.const(self.group + 1))
        column, row = code.ranges.divide(within, height)
        return first + row, column


@dataclass(frozen=True)
class Place:
    """Where a block works.

    Attributes:
        loops: indices of the outer loops.
        outer: number of the product.
        row, column: first ones of its tile.
        split: number of its part of the depth.
        first, last: its tiles along the depth: ``first <= step < last``.
    """

    loops: dict[int, Expr]
    outer: Expr
    row: Expr
    column: Expr
    split: Expr
    first: Expr
    last: Expr


def least_blocks(threads: int, registers: int) -> int:
    """Return what to tell the assembler of the blocks that a multiprocessor must hold; 0 for nothing.

    Told nothing it likes to make room for two blocks, and spills where threads need little more than that allows.
    """
    return 1 if 2 * threads * registers >= _REGISTERS else 0


def named(code: Code, expr: Expr, count: Expr) -> Expr:
    """Return ``expr`` as a variable that is known to lie in ``range(count)``."""
    if expr.is_constant:
        return expr
    variable = code.opaque(code.index(expr))
    code.ranges.limit(str(variable), ZERO, count)
    return variable


@contextmanager
def vectors(code: Code, lanes: int) -> Iterator[Expr]:
    """Write vectors of ``lanes`` elements inside; gives what the number of a lane adds to an index."""
    before = code.lanes
    code.lanes = lanes
    code.ranges.limit(LANE, ZERO, Expr.const(lanes))
    try:
        yield Expr.symbol(LANE) if lanes > 1 else ZERO
    finally:
        code.lanes = before
