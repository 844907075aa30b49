"""Contractions on tensor cores in the manner of sm_80: asynchronous copies, several stages, ``ldmatrix``, ``mma.sync``.

Operands of 16 bits, or of 32 that are rounded to tf32; sums in float32.  While a stage is multiplied, the copies of
the next ones are under way.  Each operand comes by the widest asynchronous copy that its layout allows, 16, 8 or 4
bytes; where it allows none (odd strides, windows that slide, elements that are computed on the way), through the
threads' registers.  All four combinations of transpositions are multiplied as they lie.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.conditions import less, when
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.memory import load
from stepwell.passes.schedules.nvidia.gemm.feeding import Copies, Feed, Gathers
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import UNIT, MmaTile
from stepwell.passes.schedules.nvidia.gemm.problem import Problem, Side
from stepwell.passes.schedules.nvidia.gemm.sums import Sums
from stepwell.passes.schedules.nvidia.gemm.swizzled import SwizzledTiles
from stepwell.passes.schedules.nvidia.gemm.tiles import Cut, Place, least_blocks, vectors
from stepwell.passes.schedules.nvidia.grid import WARP, Block, Grid
from stepwell.passes.schedules.nvidia.warp_matrices import WarpMatrices
from stepwell.support.symbolic import Expr

_BANKS = 128
_FRAGMENT_SUMS = 4
_PAIR = 2
# Columns of four matrices, which threads share by eights where the lines of the right operand are scattered.
_COLUMNS = 32


def write_mma(
    opened: OpenKernel, problem: Problem, tile: MmaTile, only: Literal["", "aligned", "unaligned"] = ""
) -> Expr:
    """Write the launches, or those for pointers that are as ``only`` says; return the bytes of workspace they need."""
    elements = Elements(opened)
    sums = Sums(opened, elements, problem, tile.splits)
    cut = Cut(problem, tile.rows, tile.columns, tile.depth, tile.splits, tile.group)
    copies = [copy_bytes(side) for side in (problem.left, problem.right)]
    roads = ["aligned", "unaligned"] if any(copies) or problem.result_run > 1 else [""]
    if only:
        roads = [only]
    for road in roads:
        wide = road == "aligned"
        launch = _Launch(opened, elements, sums, cut, tile, copies if wide else [0, 0], wide)
        grid = Grid(cut.blocks, tile.threads, road, min_blocks=least_blocks(tile.threads, tile.registers()))
        grid.write(opened.code, partial(_write_thread, launch))
    if tile.splits > 1:
        for road in roads:
            sums.finish(wide=road == "aligned", when_pointers=road)
    return sums.workspace_bytes


def copy_bytes(side: Side) -> int:
    """Return the size of the asynchronous copies that bring an operand in; 0 where it has to go through registers."""
    size = side.lanes() * side.size if side.leaf is not None and side.along else 0
    return size if size >= 4 else 0


@dataclass(frozen=True)
class _Launch:
    """What the launches of a contraction share; what they differ in: ``copies`` and ``wide``, as in ``Sums.keep``."""

    opened: OpenKernel
    elements: Elements
    sums: Sums
    cut: Cut
    tile: MmaTile
    copies: list[int]
    wide: bool


def _write_thread(launch: _Launch, block: Block) -> None:
    _Writer(launch, block).write()


class _Writer:
    """Writes the code of a thread."""

    def __init__(self, launch: _Launch, block: Block) -> None:
        self.code, self.sums, self.cut, self.tile = launch.opened.code, launch.sums, launch.cut, launch.tile
        self.problem, self.block = launch.cut.problem, block
        self.wide, self.copies = launch.wide, launch.copies
        self.matrices = WarpMatrices(self.code)
        self.operands = Operands(launch.opened, launch.elements, self.problem.contraction)
        tile, problem = self.tile, self.problem
        self.left = self._feed("left", problem.left, tile.rows, launch.copies[0])
        self.right = self._feed(
            "right", problem.right, tile.columns, launch.copies[1], scattered=self._gathers_columns()
        )
        warp, lane = self.code.ranges.divide(block.thread, Expr.const(WARP))
        self.lane = lane
        row, column = self.code.ranges.divide(warp, Expr.const(tile.columns // tile.warp_columns))
        self.row, self.column = row * tile.warp_rows, column * tile.warp_columns

    def _gathers_columns(self) -> bool:
        """Tell whether threads get eight neighbouring columns: results are written by more than pairs of them."""
        problem = self.problem
        by_fours = problem.columns % 4 == ZERO if self.sums.splits > 1 else problem.result_run >= 4
        along_depth = not self.copies[1] or problem.right.along == "depth"
        return self.wide and by_fours and along_depth and self.tile.warp_columns % _COLUMNS == 0

    def _feed(self, name: str, side: Side, free: int, copies: int, *, scattered: bool = False) -> Feed:
        """Return what brings an operand to shared memory."""
        tile = self.tile
        along = side.along if copies else "depth"
        shape = (tile.stages * free * tile.depth,)
        element = side.factor.value.type.element_type
        buffer = self.block.shared(name, element, shape, alignment=_BANKS)
        tiles = SwizzledTiles(self.code, buffer, free, tile.depth, along, side.size, scattered=scattered)
        if copies:
            return Copies(self.matrices, self.operands, self.cut, side, free, copies, self.block, tiles)
        return Gathers(self.operands, self.cut, side, free, self.block, tiles)

    def write(self) -> None:
        """Write the whole body."""
        tile = self.tile
        place = self.cut.place(self.code, self.block.index)
        self.operands.outer = place.loops
        self.left.start, self.right.start = place.row, place.column
        self._fill(place)
        zero = self.matrices.zero()
        count = tile.warp_rows // 16 * (tile.warp_columns // 8) * _FRAGMENT_SUMS

        def step(at: Expr, sums: list[Any]) -> list[Any]:
            self._wait()
            self.block.barrier()
            ahead = at + (tile.stages - 1)
            held = self._begin(place, ahead, (ahead - place.first) % tile.stages)
            sums = self._multiply((at - place.first) % tile.stages, sums)
            for feed, values in held:
                feed.finish(values, (ahead - place.first) % tile.stages)
            return sums

        sums = self.code.loop(place.first, place.last, step, [zero] * count, stem="step")
        self._finish(place, sums)

    # Feeding

    @property
    def _feeds(self) -> tuple[Feed, Feed]:
        return self.left, self.right

    def _fill(self, place: Place) -> None:
        """Bring all tiles but one in, before the loop."""
        ahead = Expr.const(self.tile.stages - 1)
        if all(isinstance(feed, Copies) for feed in self._feeds):
            for number in range(ahead.constant):
                self._start(place, place.first + number, Expr.const(number))
            return

        # Reading element by element is much code, which need not be there once for each tile.
        def fill(number: Expr, values: list[Any]) -> list[Any]:
            self._start(place, place.first + number, number)
            return values

        self.code.loop(ZERO, ahead, fill, [], stem="ahead")

    def _start(self, place: Place, step: Expr, stage: Expr) -> None:
        """Bring tile ``step`` in, before the loop."""
        for feed, values in self._begin(place, step, stage):
            feed.finish(values, stage)

    def _begin(self, place: Place, step: Expr, stage: Expr) -> list[tuple[Gathers, list[Any]]]:
        """Start the copies of tile ``step``, if there is one; return what is on its way through registers.

        Without a tile there is an empty group of copies, so that waiting for all but the last few counts right.
        """
        copies = [feed for feed in self._feeds if isinstance(feed, Copies)]
        if self.code.ranges.never_negative(step - place.last):
            if copies:
                self.matrices.commit_copies()
            return []
        condition = None if self.code.ranges.less(step, place.last) else less(self.code, step, place.last)
        held = [(feed, feed.begin(step, condition)) for feed in self._feeds if isinstance(feed, Gathers)]

        def copy() -> None:
            for feed in copies:
                feed.copy(step, stage)

        if copies:
            when(self.code, condition, copy)
            self.matrices.commit_copies()
        return held

    def _wait(self) -> None:
        """Wait for the oldest stage of this thread's copies."""
        if any(isinstance(feed, Copies) for feed in self._feeds):
            self.matrices.wait_copies(self.tile.stages - 2)

    # Products

    def _multiply(self, stage: Expr, sums: list[Any]) -> list[Any]:
        """Return the sums after the products of one stage."""
        tile = self.tile
        sums = list(sums)
        element = self.problem.left.factor.value.type.element_type
        across = tile.warp_columns // 8
        # A product takes two units of depth.
        for depth in range(0, tile.depth, 2 * UNIT // self.problem.left.size):
            left = [
                self._fragment(self.left, stage, self.row, row, depth, free_first=True)
                for row in range(0, tile.warp_rows, 16)
            ]
            right: list[list[Any]] = []
            for column in range(0, tile.warp_columns, 16):
                found = self._fragment(self.right, stage, self.column, column, depth, free_first=False)
                right += [found[:2], found[2:]]
            for number in range(0, len(sums), _FRAGMENT_SUMS):
                row, column = divmod(number // _FRAGMENT_SUMS, across)
                here = slice(number, number + _FRAGMENT_SUMS)
                sums[here] = self.matrices.multiply(element, left[row], right[column], sums[here])
        return sums

    def _fragment(self, feed: Feed, stage: Expr, free: Expr, within: int, depth: int, *, free_first: bool) -> list[Any]:
        """Load the four matrices of 16 rows or columns and two units of the depth.

        The rows or columns are those from ``within`` on of the warp's, which start at ``free``.

        ``free_first`` orders them so that the second one follows along the rows, as fragments of the left operand do;
        in those of the right one it follows along the depth.
        """
        tiles, lane = feed.tiles, self.lane
        unit = tiles.unit
        if tiles.size > 2 and tiles.along == "free":
            return self._single_elements(tiles, stage, free + within, depth, free_first=free_first)
        fast, slow = lane // 8 % 2, lane // 16
        more_free, more_depth = (fast, slow) if free_first else (slow, fast)
        line = lane % 8
        if tiles.scattered:
            start, matrix = divmod(within, _COLUMNS)
            matrices = more_free * 2 + matrix // 8 * 2
            free = free + start * _COLUMNS + matrices + line // 2 * 8 + line % 2
            at = more_depth * unit + depth
        elif tiles.along == "depth":
            free, at = free + within + more_free * 8 + line, more_depth * unit + depth
        else:
            free, at = free + within + more_free * 8, more_depth * unit + depth + line
        position = tiles.position(stage, free, at)
        address = self.matrices.offset(self.matrices.address(tiles.buffer), position * tiles.size)
        pointer = self.matrices.pointer(address)
        found = self.matrices.load_matrices(pointer, 4, transposed=tiles.along == "free")
        return found if tiles.size == 2 else [self.matrices.round_to_tf32(register) for register in found]

    def _single_elements(
        self, tiles: SwizzledTiles, stage: Expr, free: Expr, depth: int, *, free_first: bool
    ) -> list[Any]:
        """Load a fragment of elements that ``ldmatrix`` cannot transpose, one by one."""
        found = []
        for number in range(4):
            fast, slow = number % 2, number // 2
            more_free, more_depth = (fast, slow) if free_first else (slow, fast)
            at = self.lane % 4 + (depth + 4 * more_depth)
            position = tiles.position(stage, free + self.lane // 4 + 8 * more_free, at)
            found.append(self.matrices.round_to_tf32(load(self.code, tiles.buffer, position)))
        return found

    def _finish(self, place: Place, sums: list[Any]) -> None:
        """Send the sums on their way, neighbouring columns at a time."""
        tile = self.tile
        across = tile.warp_columns // 8
        row, column = place.row + self.row + self.lane // 4, place.column + self.column
        gathered = self.right.tiles.scattered
        most = min(8, self.problem.result_run if self.sums.splits == 1 else 4) if gathered else _PAIR
        together = 4 if gathered else 1
        for down in range(tile.warp_rows // 16):
            for over in range(0, across, together):
                for half in (0, 1):
                    numbers = [
                        (down * across + over + matrix) * _FRAGMENT_SUMS + half * _PAIR + element
                        for matrix in range(together)
                        for element in range(_PAIR)
                    ]
                    here = column + 8 * over + self.lane % 4 * (_PAIR * together)
                    for start in range(0, len(numbers), most):
                        values = [sums[number] for number in numbers[start : start + most]]
                        self._keep(place, row + 16 * down + 8 * half, here + start, values)

    def _keep(self, place: Place, row: Expr, column: Expr, values: list[Any]) -> None:
        tile, code = self.tile, self.code
        with vectors(code, len(values)):
            vector = code.op("vector.from_elements", tuple(values), code.vector_type(values[0].type))
        self.sums.keep(place, row, column, vector, wide=self.wide, row_tile=tile.rows, column_tile=tile.columns)
