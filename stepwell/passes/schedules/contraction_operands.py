"""Read the operands of a contraction at rows, columns and depths."""

from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.contraction import Contraction, Factor
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.steps import Indices, apply_map
from stepwell.support.symbolic import Expr


class Operands:
    """Reads the operands of one contraction.

    Attributes:
        outer: loop indices of the task, by loop.
    """

    def __init__(self, open_kernel: OpenKernel, elements: Elements, contraction: Contraction) -> None:
        self.elements, self.contraction = elements, contraction
        self.code: Code = open_kernel.code
        self.outer: dict[int, Expr] = {}

    def loops(self, factor: Factor, free: tuple[int, ...], index: Expr, depth: Expr, merged: bool) -> Indices:
        """Return the loop indices at which iteration ``index`` of the free loops and ``depth`` of the others stand."""
        contraction, ranges = self.contraction, self.code.ranges
        found = {
            **self.outer,
            **contraction.spread(ranges, index, free, merged),
            **contraction.spread(ranges, depth, contraction.depth, factor.depth_merges),
        }
        return tuple(found.get(dim, ZERO) for dim in range(len(contraction.extents)))

    def line_loops(self, line: Expr, at: Expr, depth: Expr) -> Indices:
        """Return the loop indices of the right operand at ``at`` of the last column loop, in run ``line`` of it."""
        contraction, ranges = self.contraction, self.code.ranges
        *lines, last = contraction.columns
        found = {
            **self.outer,
            **contraction.spread(ranges, line, lines, merged=False),
            last: at,
            **contraction.spread(ranges, depth, contraction.depth, contraction.right.depth_merges),
        }
        return tuple(found.get(dim, ZERO) for dim in range(len(contraction.extents)))

    def left_at(self, row: Expr, depth: Expr) -> Any:
        """Return the left factor at one row and depth, which may hold the lane."""
        left = self.contraction.left
        return self.read(left, self.loops(left, self.contraction.rows, row, depth, left.free_merges))

    def right_at(self, column: Expr, depth: Expr) -> Any:
        """Return the right factor at one column and depth, which may hold the lane."""
        right = self.contraction.right
        return self.read(right, self.loops(right, self.contraction.columns, column, depth, right.free_merges))

    def read(self, factor: Factor, loops: Indices) -> Any:
        """Return a factor at the given loop indices."""
        return self.cast(factor, self.element(factor, loops))

    def element(self, factor: Factor, loops: Indices) -> Any:
        """Return the element of which a factor is made, before it is cast."""
        return self.elements.read(factor.value, apply_map(factor.map, loops, self.code.ranges))

    def cast(self, factor: Factor, value: Any) -> Any:
        """Return what the contraction's body makes of an element before it multiplies."""
        for op in factor.casts:
            value = self.elements.clone(op, [value])
        return value
