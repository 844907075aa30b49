"""Contractions by fused multiply-adds: tiles of the operands in shared memory, tiles of the sums in registers.

For what tensor cores do not take: float32 at torch's default precision, float64, integers.  A block walks the depth
tile by tile: while the threads multiply one tile, the next is on its way from memory to registers, from where it goes
to the other of two stages of shared memory.  A stage holds both operands as ``[depth][rows or columns]``, in the type
of the sums.  Operands of any layout, and those that are computed on the way, are read element by element; those with
long runs, by vectors.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import Buffer, OpenKernel
from stepwell.passes.schedules.conditions import less, when
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.simt_parameters import PAD, SimtTile
from stepwell.passes.schedules.nvidia.gemm.staging import Item, Staging
from stepwell.passes.schedules.nvidia.gemm.sums import Sums, extract
from stepwell.passes.schedules.nvidia.gemm.tiles import Cut, Place, least_blocks, vectors
from stepwell.passes.schedules.nvidia.grid import WIDE, Block, Grid
from stepwell.support.symbolic import Expr


def write_simt(opened: OpenKernel, problem: Problem, tile: SimtTile) -> Expr:
    """Write the launches; return the bytes of workspace that they need."""
    elements = Elements(opened)
    sums = Sums(opened, elements, problem, tile.splits)
    cut = Cut(problem, tile.rows, tile.columns, tile.depth, tile.splits, tile.group)
    widths = [min(side.lanes(), WIDE // problem.accumulator_bytes, PAD) for side in (problem.left, problem.right)]
    roads = [""] if max(*widths, problem.result_run) == 1 else ["aligned", "unaligned"]
    for road in roads:
        wide = road == "aligned"
        launch = _Launch(opened, elements, sums, cut, tile, widths if wide else [1, 1], wide)
        grid = Grid(cut.blocks, tile.threads, road, min_blocks=_least_blocks(problem, tile))
        grid.write(opened.code, partial(_write_thread, launch))
    if tile.splits > 1:
        for road in roads:
            sums.finish(wide=road == "aligned", when_pointers=road)
    return sums.workspace_bytes


def _least_blocks(problem: Problem, tile: SimtTile) -> int:
    # Products of integers of 64 bits are made of several, which need room.
    if problem.contraction.multiply == "arith.muli" and problem.accumulator_bytes > 4:
        return 1
    return least_blocks(tile.threads, tile.registers(problem.accumulator_bytes))


@dataclass(frozen=True)
class _Launch:
    """What the launches of a contraction share; what they differ in: ``widths`` of loads, and ``wide`` results."""

    opened: OpenKernel
    elements: Elements
    sums: Sums
    cut: Cut
    tile: SimtTile
    widths: list[int]
    wide: bool


def _write_thread(launch: _Launch, block: Block) -> None:
    _Writer(launch, block).write()


@dataclass
class _Stages:
    """Two stages of one operand in shared memory."""

    buffer: Buffer
    pitch: int
    depth: int

    def position(self, stage: Expr, depth: Expr, free: Expr) -> Expr:
        return (stage * self.depth + depth) * self.pitch + free


class _Writer:
    """Writes the code of a thread."""

    def __init__(self, launch: _Launch, block: Block) -> None:
        opened, elements, cut, tile = launch.opened, launch.elements, launch.cut, launch.tile
        self.code, self.sums, self.cut, self.tile, self.block = opened.code, launch.sums, cut, tile, block
        self.problem, self.results, self.wide = cut.problem, launch.sums.results, launch.wide
        self.operands = Operands(opened, elements, self.problem.contraction)
        element = self.problem.contraction.element
        self.staging, self.stages = [], []
        for name, side, free, width in zip(
            ("left", "right"),
            (self.problem.left, self.problem.right),
            (tile.rows, tile.columns),
            launch.widths,
            strict=True,
        ):
            pitch = free + PAD
            buffer = block.shared(name, element, (2 * tile.depth * pitch,))
            self.stages.append(_Stages(buffer, pitch, tile.depth))
            self.staging.append(Staging(self.operands, cut, side, free, width, block))
        across = tile.columns // tile.thread_columns
        self.thread_row, self.thread_column = self.code.ranges.divide(block.thread, Expr.const(across))

    def write(self) -> None:
        place = self.cut.place(self.code, self.block.index)
        self.operands.outer = place.loops
        for staging, start in zip(self.staging, (place.row, place.column), strict=True):
            staging.start = start
        with vectors(self.code, self.tile.lanes):
            zero = self.results.zero()
        sums = [zero] * (self.tile.thread_rows * (self.tile.thread_columns // self.tile.lanes))
        trips = place.last - place.first
        none = None if trips.is_constant and trips != ZERO else less(self.code, place.first, place.last)
        self._store(self._load(place.first, none), ZERO)
        self.block.barrier()

        def step(at: Expr, carried: list[Any]) -> list[Any]:
            stage = (at - place.first) % 2
            if trips == ONE:
                return self._multiply(stage, carried)
            ahead = self._load(at + 1, less(self.code, at + 1, place.last))
            carried = self._multiply(stage, carried)
            self._store(ahead, (at + 1 - place.first) % 2)
            self.block.barrier()
            return carried

        sums = self.code.loop(place.first, place.last, step, sums, stem="step")
        self._finish(place, sums)

    def _load(self, step: Expr, condition: Any) -> list[list[Any]]:
        return [staging.load(step, condition) for staging in self.staging]

    def _store(self, loaded: list[list[Any]], stage: Expr) -> None:
        for staging, stages, values in zip(self.staging, self.stages, loaded, strict=True):
            for item, value in zip(staging.items, values, strict=True):
                when(self.code, item.there, partial(self._store_item, staging, stages, item, value, stage))

    def _store_item(self, staging: Staging, stages: _Stages, item: Item, value: Any, stage: Expr) -> None:
        code, side = self.code, staging.side
        with vectors(code, staging.width) as lane:
            value = self.operands.cast(side.factor, value)
            at = stages.position(stage, item.depth, item.free)
            if staging.width == 1 or staging.along == "free":
                store(code, stages.buffer, at + lane, value)
                return
        for number in range(staging.width):
            store(code, stages.buffer, at + number * stages.pitch, extract(code, value, number))

    # Products

    def _rows(self) -> list[Expr]:
        """Return the first row of each group of neighbouring rows of the thread, within the tile."""
        tile = self.tile
        groups = tile.thread_rows // tile.row_group
        return [self.thread_row * tile.row_group + number * (tile.rows // groups) for number in range(groups)]

    def _columns(self) -> list[Expr]:
        """Return the first column of each vector of the thread, within the tile."""
        tile = self.tile
        groups = tile.thread_columns // tile.lanes
        return [self.thread_column * tile.lanes + number * (tile.columns // groups) for number in range(groups)]

    def _multiply(self, stage: Expr, sums: list[Any]) -> list[Any]:
        """Return the sums after the products of one stage."""
        code, tile = self.code, self.tile
        left, right = self.stages
        for depth in map(Expr.const, range(tile.depth)):
            factors: list[Any] = []
            for row in self._rows():
                with vectors(code, tile.row_group) as lane:
                    group = load(code, left.buffer, left.position(stage, depth, row) + lane)
                few = tile.row_group == 1
                factors += [group] if few else [extract(code, group, number) for number in range(tile.row_group)]
            with vectors(code, tile.lanes) as lane:
                columns = [
                    load(code, right.buffer, right.position(stage, depth, column) + lane) for column in self._columns()
                ]
                sums = [
                    self.results.add_product(
                        code.broadcast(factors[row]), columns[number], sums[row * len(columns) + number]
                    )
                    for row in range(tile.thread_rows)
                    for number in range(len(columns))
                ]
        return sums

    def _finish(self, place: Place, sums: list[Any]) -> None:
        tile, columns = self.tile, self._columns()
        for group, first in enumerate(self._rows()):
            for inner in range(tile.row_group):
                for number, column in enumerate(columns):
                    value = sums[(group * tile.row_group + inner) * len(columns) + number]
                    self.sums.keep(
                        place,
                        place.row + first + inner,
                        place.column + column,
                        value,
                        wide=self.wide,
                        row_tile=tile.rows,
                        column_tile=tile.columns,
                    )
