"""Read the operands of a contraction block by block, copying them to the workspace where that pays.

A block of the right operand is kept in panels as wide as a register tile, ``[panel][depth][tile columns]``, which are
walked from end to end; one that is packed line by line as ``[depth][columns]``, since lines end anywhere.  A block of
the left operand is kept as ``[rows][depth]`` or ``[depth][rows]``, whichever its own memory resembles.  Whatever the
kernel computes on the way from memory to the operand is computed once, while copying.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import Buffer, OpenKernel
from stepwell.passes.schedules.contraction import Contraction, Factor
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.cpu.contraction_parameters import Parameters
from stepwell.passes.schedules.cpu.contraction_tiles import first_lanes, for_tiles, for_vectors, shuffle, transpose
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ONE, ZERO
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.steps import Indices, apply_map
from stepwell.support.symbolic import Expr

_LANE = Expr.symbol(LANE)


@dataclass(frozen=True)
class Block:
    """Part of an iteration space: ``start <= index < start + count``; ``exact`` if vectors divide the count."""

    start: Expr
    count: Expr
    exact: bool


class Blocks(Operands):
    """Packs the operands of one contraction block by block."""

    def __init__(self, open_kernel: OpenKernel, elements: Elements, contraction: Contraction, p: Parameters) -> None:
        super().__init__(open_kernel, elements, contraction)
        self.open, self.parameters = open_kernel, p
        self._left: Buffer | None = None
        self._right: Buffer | None = None

    # Left operand

    def begin_task(self) -> None:
        """Reserve the workspace; called where the task's code starts."""
        p, element = self.parameters, self.contraction.element
        if p.pack_left:
            rows, depth = p.block_rows + p.tile_rows + p.lanes, p.block_depth + 2 * p.lanes
            self._left_pitch = depth if p.pack_left == "depth" else _odd_lines(rows, p.lanes)
            other = rows if p.pack_left == "depth" else p.block_depth
            self._left = self.open.scratch(element, (other, self._left_pitch))
        if p.pack_right:
            # The slack takes what vectors write past the last column or depth.
            depth, columns = p.block_depth + p.lanes, p.task_columns + p.tile_columns + p.lanes
            self._right_pitch = _odd_lines(columns, p.lanes) if p.pack_right == "lines" else p.tile_columns
            self._panel_pitch = depth * p.tile_columns
            self._right = self.open.scratch(element, (depth, max(self._right_pitch, columns)))

    def pack_left(self, rows: Block, depth: Block) -> None:
        """Copy a block of the left operand, if it is packed at all."""
        p, code = self.parameters, self.code
        if p.pack_left == "depth":

            def copy_row(row: Expr, _: Any) -> tuple[()]:
                def copy(at: Expr, left: Expr | None) -> None:
                    self._keep(
                        self._left,
                        row * self._left_pitch + at,
                        self.left_at(rows.start + row, depth.start + at + _LANE),
                    )

                for_vectors(code, depth.count, depth.exact, copy)
                return ()

            code.loop(ZERO, rows.count, copy_row, stem="row")
        elif p.pack_left == "free":

            def copy_depth(k: Expr, _: Any) -> tuple[()]:
                def copy(at: Expr, left: Expr | None) -> None:
                    self._keep(
                        self._left, k * self._left_pitch + at, self.left_at(rows.start + at + _LANE, depth.start + k)
                    )

                for_vectors(code, rows.count, rows.exact, copy)
                return ()

            code.loop(ZERO, depth.count, copy_depth, stem="k")

    def left_scalar(self, rows: Block, depth: Block, row: Expr, k: Expr) -> Any:
        """Return the left factor at ``row`` of the block and ``k`` of its depth, for every lane."""
        if self._left is None:
            value = self.left_at(rows.start + row, depth.start + k)
        else:
            free = self.parameters.pack_left == "free"
            at = k * self._left_pitch + row if free else row * self._left_pitch + k
            value = load(self.code, self._left, at)
        return self.code.broadcast(value)

    # Right operand

    def pack_right(self, columns: Block, depth: Block) -> None:
        """Copy a block of the right operand, if it is packed at all."""
        packers = {"free": self._pack_columns, "lines": self._pack_lines, "depth": self._pack_transposed}
        if self.parameters.pack_right:
            packers[self.parameters.pack_right](columns, depth)

    def right_vector(self, columns: Block, depth: Block, panel: Expr, offset: int, k: Expr) -> Any:
        """Return a vector of the right factor, ``offset`` columns into a panel of the block, at ``k`` of its depth."""
        if self._right is None:
            return self.code.broadcast(self.right_at(columns.start + panel + offset + _LANE, depth.start + k))
        return load(self.code, self._right, self._panel(panel) + k * self._right_pitch + offset + _LANE)

    def _panel(self, column: Expr) -> Expr:
        """Return where the panel that starts at ``column`` of the block lies in its copy."""
        if self.parameters.pack_right == "lines":
            return column
        return column * (self._panel_pitch // self.parameters.tile_columns)

    def _for_panels(self, columns: Block, copy: Callable[[Expr, Expr, Expr | None], None]) -> None:
        """Write ``copy(column, place, left)`` for each vector of columns; ``place`` is that of its first depth."""
        p, lanes = self.parameters, self.code.lanes
        rest = columns.count.constant % p.tile_columns if columns.count.is_constant else p.tile_columns

        def panel(start: Expr, width: int, left: Expr | None) -> None:
            for offset in range(0, width, lanes):
                there = left - offset if left is not None else None
                if there is None or not columns.exact or not there.is_constant or there.constant > 0:
                    copy(start + offset, self._panel(start) + offset, there)

        for_tiles(self.code, columns.count, p.tile_columns, rest, panel)

    def _pack_columns(self, columns: Block, depth: Block) -> None:
        code = self.code

        def copy_vector(column: Expr, place: Expr, left: Expr | None) -> None:
            def copy_depth(k: Expr, _: Any) -> tuple[()]:
                with first_lanes(code, left):
                    value = self._right_run(self._column_loops(columns.start + column, depth.start + k), left)
                self._keep(self._right, place + k * self._right_pitch, value)
                return ()

            code.loop(ZERO, depth.count, copy_depth, stem="k")

        self._for_panels(columns, copy_vector)

    def _pack_lines(self, columns: Block, depth: Block) -> None:
        """Copy whole lines, the runs of the last column loop: what a line writes past its end the next one replaces."""
        line = self.contraction.extents[self.contraction.columns[-1]]
        exact = line.is_constant and line.constant % self.code.lanes == 0
        first = self.code.ranges.divide(columns.start, line)[0]
        lines = self.code.ranges.divide(columns.count, line)[0]

        def copy_depth(k: Expr, _: Any) -> tuple[()]:
            def copy_line(number: Expr, _: Any) -> tuple[()]:
                def copy(at: Expr, left: Expr | None) -> None:
                    value = self._right_run(self.line_loops(first + number, at, depth.start + k), left)
                    self._keep(self._right, k * self._right_pitch + number * line + at, value)

                for_vectors(self.code, line, exact, copy)
                return ()

            self.code.loop(ZERO, lines, copy_line, stem="line")
            return ()

        self.code.loop(ZERO, depth.count, copy_depth, stem="k")

    def _pack_transposed(self, columns: Block, depth: Block) -> None:
        code, lanes = self.code, self.code.lanes
        last = columns.start + columns.count - 1

        def copy_columns(column: Expr, place: Expr, left: Expr | None) -> None:
            def copy(k: Expr, _: Expr | None) -> None:
                rows = []
                for number in range(lanes):
                    at = columns.start + column + number
                    if left is not None:
                        at = Expr.min(at, last)
                    rows.append(code.broadcast(self.right_at(at, depth.start + k + _LANE)))
                for number, value in enumerate(transpose(code, rows)):
                    self._keep(self._right, place + (k + number) * self._right_pitch, value)

            for_vectors(code, depth.count, depth.exact, copy)

        self._for_panels(columns, copy_columns)

    def _column_loops(self, column: Expr, depth: Expr) -> Indices:
        right = self.contraction.right
        return self.loops(right, self.contraction.columns, column, depth, right.free_merges)

    def _right_run(self, at: Indices, left: Expr | None) -> Any:
        """Return the right factor at ``lanes`` columns from loops ``at`` on, of which the first ``left`` exist."""
        right = self.contraction.right
        if right.free_stride == 2:
            return self._every_second(right, at, left)
        return self.read(right, self._along_columns(at, _LANE))

    def _along_columns(self, at: Indices, distance: Expr) -> Indices:
        last = self.contraction.columns[-1:]
        return tuple(index + distance if dim in last else index for dim, index in enumerate(at))

    def _every_second(self, right: Factor, at: Indices, left: Expr | None) -> Any:
        """Cut every second element from two vectors that together reach no further than those asked for.

        The loads are contiguous, so that padding costs masks and no gathers.
        """
        code, lanes, ranges = self.code, self.code.lanes, self.code.ranges
        here = apply_map(right.map, at, ranges)
        nexts = apply_map(right.map, self._along_columns(at, ONE), ranges)
        moving = [number for number, (a, b) in enumerate(zip(here, nexts, strict=True)) if a != b]
        if len(moving) != 1 or nexts[moving[0]] - here[moving[0]] != Expr.const(2):
            return self.read(right, self._along_columns(at, _LANE))
        halves = []
        for start in (0, lanes - 1):
            shifted = list(here)
            shifted[moving[0]] = here[moving[0]] + start + _LANE
            with first_lanes(code, left * 2 - 1 - start if left is not None else None):
                value = self.elements.read(right.value, tuple(shifted))
            halves.append(code.broadcast(self.cast(right, value)))
        half = lanes // 2
        picked = [2 * i for i in range(half)] + [lanes + 2 * i - (lanes - 1) for i in range(half, lanes)]
        return shuffle(code, halves[0], halves[1], picked)

    def _keep(self, buffer: Buffer | None, position: Expr, value: Any) -> None:
        assert buffer is not None
        mask, self.code.mask = self.code.mask, None
        store(self.code, buffer, position + _LANE, self.code.broadcast(value))
        self.code.mask = mask


def _odd_lines(count: int, lanes: int) -> int:
    """Round up to an odd number of cache lines, so that successive rows fall into different sets of the cache."""
    line = max(lanes, 16)
    lines = -(-count // line)
    return (lines | 1) * line
