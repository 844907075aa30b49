"""Contractions with few rows or few columns, along whose depth both operands lie: matrix-vector products with weights.

There is nothing to reuse, so nothing goes through shared memory.  A warp makes all sums of a few neighbouring lines of
the long operand: its lanes walk the depth side by side, and their shares are added up by exchanges between lanes.
Where there are few lines, several warps share the depth of one group.
"""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.conditions import both, less, when
from stepwell.passes.schedules.contraction import variable
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, ceil_div
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nvidia.gemm.problem import Problem, Side
from stepwell.passes.schedules.nvidia.gemm.sums import Sums, extract
from stepwell.passes.schedules.nvidia.gemm.tiles import Place, named, vectors
from stepwell.passes.schedules.nvidia.grid import WARP, Block, Grid
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_WARPS = 8
MOST_FEW = 8
"""Lines of the short operand at most."""


@dataclass(frozen=True)
class DotTile:
    """How a contraction with few rows or columns is cut up.

    Attributes:
        few: lines of the short operand, all of which a warp works on.
        lines: lines of the long operand that a warp works on.
        sharing: warps that share the depth of their lines.
        left_is_few: whether the left operand is the short one.
    """

    few: int
    lines: int
    sharing: int
    left_is_few: bool

    def __post_init__(self) -> None:
        if not 1 <= self.few <= MOST_FEW:
            raise Refusal(f"{self.few} lines of the short operand: expected 1 to {MOST_FEW}")
        if self.lines not in (1, 2, 4):
            raise Refusal(f"{self.lines} lines of the long operand for a warp: expected 1, 2 or 4")
        if self.sharing not in (1, 2, 4, 8):
            raise Refusal(f"{self.sharing} warps share a depth: expected 1, 2, 4 or 8")

    @property
    def block_lines(self) -> int:
        """Lines of the long operand that a block works on."""
        return _WARPS // self.sharing * self.lines

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return _WARPS * WARP

    def registers(self, size: int = 4) -> int:
        """Estimate the registers of a thread, with sums of ``size`` bytes: vectors of sums and of both operands."""
        return 40 + (self.few * self.lines + self.few + self.lines) * size

    def __str__(self) -> str:
        sharing = f", shared by {self.sharing} warps" if self.sharing > 1 else ""
        return f"{self.few} x {self.lines} sums of a warp, lanes along the depth{sharing}"


def write_dot(opened: OpenKernel, problem: Problem, tile: DotTile) -> Expr:
    """Write the launches; return the bytes of workspace that they need: none."""
    elements = Elements(opened)
    width = min(problem.left.lanes(), problem.right.lanes())
    roads = [""] if max(width, problem.result_run) == 1 else ["aligned", "unaligned"]
    many = problem.columns if tile.left_is_few else problem.rows
    blocks = problem.outer * ceil_div(many, tile.block_lines)
    for road in roads:
        _launch(opened, elements, problem, tile, Grid(blocks, tile.threads, road), width)
    return ZERO


def _launch(opened: OpenKernel, elements: Elements, problem: Problem, tile: DotTile, grid: Grid, width: int) -> None:
    wide = grid.when == "aligned"

    def thread(block: Block) -> None:
        _Dot(opened, elements, problem, tile, block, width if wide else 1).write(wide=wide)

    grid.write(opened.code, thread)


class _Dot:
    """Writes the code of a thread."""

    def __init__(
        self, opened: OpenKernel, elements: Elements, problem: Problem, tile: DotTile, block: Block, width: int
    ) -> None:
        self.code, self.problem, self.tile, self.block, self.width = opened.code, problem, tile, block, width
        self.operands = Operands(opened, elements, problem.contraction)
        self.sums = Sums(opened, elements, problem, 1)
        sides = (problem.left, problem.right)
        self.few, self.many = sides if tile.left_is_few else (sides[1], sides[0])
        self.count = problem.columns if tile.left_is_few else problem.rows
        ranges = self.code.ranges
        self.warp, self.lane = ranges.divide(block.thread, Expr.const(WARP))
        self.group, self.share = ranges.divide(self.warp, Expr.const(tile.sharing))

    def write(self, *, wide: bool) -> None:
        """Write the sums and what becomes of them; ``wide`` allows vectors of results."""
        code, problem = self.code, self.problem
        outer, number = code.ranges.divide(self.block.index, ceil_div(self.count, self.tile.block_lines))
        loops = problem.contraction.spread(code.ranges, outer, problem.contraction.outer, merged=False)
        self.operands.outer = loops
        self.first = number * self.tile.block_lines + self.group * self.tile.lines
        sums = [self._across(total) for total in self._walk()]
        if self.tile.sharing > 1:
            sums = self._join(sums)
        place = Place(loops, outer, ZERO, ZERO, ZERO, ZERO, ONE)
        one = less(code, self.lane, ONE)
        if self.tile.sharing > 1:
            one = both(code, one, less(code, self.share, ONE))
        when(code, one, lambda: self._keep(place, sums, wide))

    # Sums

    def _walk(self) -> list[Any]:
        """Return the thread's shares of the sums, line of the short operand by line."""
        code, tile, depth = self.code, self.tile, self.problem.depth
        step = WARP * self.width * tile.sharing
        with vectors(code, self.width):
            zero = self.sums.results.zero()
        at = (self.share * WARP + self.lane) * self.width
        whole = depth // step * step
        totals = code.loop(
            ZERO, whole, lambda k, c: self._add(k + at, c), [zero] * (tile.few * tile.lines), step=step, stem="k"
        )
        if depth % step == ZERO:
            return totals
        inside = less(code, whole + at, depth)
        types = [total.type for total in totals]
        return code.branch(inside, lambda: self._add(whole + at, totals), lambda: totals, types)

    def _add(self, depth: Expr, totals: list[Any]) -> list[Any]:
        """Return the sums after the products at ``depth``, which is the first of a vector."""
        code, tile = self.code, self.tile
        lines = [self.first + number for number in range(tile.lines)]
        if self.count % tile.block_lines != ZERO:
            # Lines past the end are read as the last one again, and their sums are dropped.
            lines = [Expr.min(line, self.count - 1) for line in lines]
        few = [self._factor(self.few, Expr.const(number), depth) for number in range(tile.few)]
        many = [self._factor(self.many, line, depth) for line in lines]
        with vectors(code, self.width):
            return [
                self.sums.results.add_product(few[number // tile.lines], many[number % tile.lines], total)
                for number, total in enumerate(totals)
            ]

    def _factor(self, side: Side, free: Expr, depth: Expr) -> Any:
        code = self.code
        if side.leaf is None:
            limit = self.count if side is self.many else Expr.const(self.tile.few)
            free, depth = named(code, free, limit), named(code, depth, self.problem.depth)
        loops = self.operands.loops(side.factor, side.free, free, depth, side.factor.free_merges)
        with vectors(code, self.width) as lane:
            if side.leaf is None:
                return self.operands.read(side.factor, loops)
            position = side.position.substitute({variable(dim): index for dim, index in enumerate(loops)})
            buffer = self.operands.elements.open.inputs[side.leaf]
            return self.operands.cast(side.factor, load(code, buffer, position + lane))

    def _across(self, total: Any) -> Any:
        """Return the sum of a vector's elements over all lanes of the warp."""
        results = self.sums.results
        parts = [extract(self.code, total, n) for n in range(self.width)] if self.width > 1 else [total]
        while len(parts) > 1:
            parts = [results.add(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        value = parts[0]
        for distance in (16, 8, 4, 2, 1):
            value = results.add(value, self._exchange(value, distance))
        return value

    def _exchange(self, value: Any, distance: int) -> Any:
        """Return the value of another lane; what shuffles do not take goes as an integer of 32 bits."""
        type_ = value.type
        if not isinstance(type_, ir.IntegerType) or type_.width >= 32:
            return self.block.shuffle(value, "xor", distance)
        i32 = ir.IntegerType.get_signless(32)
        wide = self.block.shuffle(self.code.op("arith.extsi", (value,), i32), "xor", distance)
        return self.code.op("arith.trunci", (wide,), type_)

    def _join(self, sums: list[Any]) -> list[Any]:
        """Return the sums of all warps that share a depth."""
        code, tile = self.code, self.tile
        buffer = self.block.shared("shares", self.problem.contraction.element, (_WARPS * len(sums),))

        def put() -> None:
            for number, value in enumerate(sums):
                store(code, buffer, self.warp * len(sums) + number, value)

        when(code, less(code, self.lane, ONE), put)
        self.block.barrier()
        joined = []
        for number in range(len(sums)):
            total = None
            for warp in range(tile.sharing):
                at = (self.group * tile.sharing + warp) * len(sums) + number
                part = load(code, buffer, at)
                total = part if total is None else self.sums.results.add(total, part)
            joined.append(total)
        return joined

    def _keep(self, place: Place, sums: list[Any], wide: bool) -> None:
        tile, code = self.tile, self.code
        for number in range(tile.few):
            line = sums[number * tile.lines : (number + 1) * tile.lines]
            if tile.left_is_few and tile.lines > 1:
                with vectors(code, tile.lines):
                    pair = code.op("vector.from_elements", tuple(line), code.vector_type(line[0].type))
                self._store(place, Expr.const(number), self.first, pair, wide)
                continue
            for offset, value in enumerate(line):
                at = self.first + offset
                row, column = (Expr.const(number), at) if tile.left_is_few else (at, Expr.const(number))
                self._store(place, row, column, value, wide)

    def _store(self, place: Place, row: Expr, column: Expr, value: Any, wide: bool) -> None:
        few, many = self.tile.few, self.tile.block_lines
        tiles = (few, many) if self.tile.left_is_few else (many, few)
        self.sums.keep(place, row, column, value, wide=wide, row_tile=tiles[0], column_tile=tiles[1])
