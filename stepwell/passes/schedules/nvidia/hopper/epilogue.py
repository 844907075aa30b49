"""What follows a product, on the accumulators as ``wgmma`` leaves them in registers.

Accumulator ``4 * j + 2 * h + e`` of a thread is the sum of row ``16 * warp + lane // 4 + 8 * h`` and column
``8 * j + 2 * (lane % 4) + e`` (PTX ISA, "Register fragments for wgmma.mma_async.m64nNk16").  Neighbouring columns are
worked on as pairs where memory allows.
"""

from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.conditions import less, when
from stepwell.passes.schedules.contraction import Contraction
from stepwell.passes.schedules.contraction_results import Results
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ZERO
from stepwell.passes.schedules.nvidia.hopper.parameters import WARPGROUP, HopperTile
from stepwell.passes.schedules.nvidia.pairs import column_pairs
from stepwell.support.symbolic import Expr

_PAIR = 2


class Epilogue:
    """Sends the sums of a tile through the kernel's last ops and stores the results."""

    def __init__(self, opened: OpenKernel, contraction: Contraction, parameters: HopperTile) -> None:
        self.code, self.contraction, self.parameters = opened.code, contraction, parameters
        self.results = Results(opened, Elements(opened), contraction)
        self.rows, self.columns = (contraction.count(dims) for dims in (contraction.rows, contraction.columns))
        self.lanes = _PAIR if column_pairs(opened.kernel, contraction) else 1

    def write(self, sums: list[Any], loops: dict[int, Expr], row: Expr, column: Expr, thread: Expr) -> None:
        """Write the results of a warpgroup's 64 rows from ``row`` on and a tile's columns from ``column`` on.

        Args:
            sums: the thread's accumulators.
            loops: indices of the outer loops.
            row, column: the first row of the warpgroup, and the first column of the tile.
            thread: number of the thread in the block.
        """
        code = self.code
        self.results.outer = loops
        place = code.opaque(code.index(thread % WARPGROUP))
        code.ranges.limit(str(place), ZERO, Expr.const(WARPGROUP))
        first = place // 32 * 16 + place % 32 // 4
        for half in (0, 1):
            at = row + first + 8 * half
            self._when_within(
                at, self.rows, self.parameters.rows, lambda at=at, half=half: self._row(sums, at, column, place, half)
            )

    def _row(self, sums: list[Any], row: Expr, column: Expr, place: Expr, half: int) -> None:
        for group in range(self.parameters.columns // 8):
            at = column + place % 4 * 2 + 8 * group
            number = 4 * group + 2 * half
            self._pair(sums[number : number + _PAIR], row, at)

    def _pair(self, values: list[Any], row: Expr, column: Expr) -> None:
        if self.lanes == _PAIR:
            self._when_within(
                column, self.columns, self.parameters.columns, lambda: self._store_pair(values, row, column)
            )
            return
        for number, value in enumerate(values):
            at = column + number
            self._when_within(
                at, self.columns, self.parameters.columns, lambda at=at, value=value: self.results.write(row, at, value)
            )

    def _store_pair(self, values: list[Any], row: Expr, column: Expr) -> None:
        code = self.code
        code.lanes = _PAIR
        code.ranges.limit(LANE, ZERO, Expr.const(_PAIR))
        pair = code.op("vector.from_elements", tuple(values), code.vector_type(values[0].type))
        self.results.write(row, column + Expr.symbol(LANE), pair)
        code.lanes = 1

    def _when_within(self, index: Expr, count: Expr, tile: int, write: Any) -> None:
        """Run ``write`` where ``index`` is below ``count``; always, where tiles fit exactly."""
        when(self.code, None if count % tile == ZERO else less(self.code, index, count), write)
