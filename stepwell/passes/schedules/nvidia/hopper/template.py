"""A matrix product on Hopper GPUs: persistent blocks, one warpgroup that copies, one or two that multiply.

Each block walks tiles of the result.  One thread of the copying warpgroup keeps the stages of a ring in shared memory
full, by bulk tensor copies; the multiplying warpgroups take a stage when its bytes have arrived, start products on it,
and give it back when the products that read it are done, one stage later.  Two barriers per stage carry this: ``full``
completes when the bytes are there, ``empty`` when all consumers have given the stage back.

The scheme is that of the CUTLASS library's warp-specialised kernels (NVIDIA, 2023), on the instructions of the PTX ISA,
chapters "Asynchronous warpgroup level matrix instructions" and "mbarrier".
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.conditions import either, when
from stepwell.passes.schedules.contraction import Contraction
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.nvidia.grid import Block, Grid
from stepwell.passes.schedules.nvidia.hopper.epilogue import Epilogue
from stepwell.passes.schedules.nvidia.hopper.instructions import Instructions, Product
from stepwell.passes.schedules.nvidia.hopper.operands import ALIGNMENT, LINE, Operand
from stepwell.passes.schedules.nvidia.hopper.parameters import WARPGROUP, WARPGROUP_ROWS, HopperTile
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_STRIPE = 8
"""Columns of tiles that are worked on together."""
_ADDRESS_BITS = 0x3FFFF
# Registers per thread once the copying warpgroup has given some away: 65536 of a multiprocessor for 384 threads.
_FEW_REGISTERS, _MANY_REGISTERS = 24, 240


@dataclass(frozen=True)
class Views:
    """An operand, its tensor map, and the rows or columns of it in a tile."""

    operand: Operand
    tensor_map: Any
    free: int


@dataclass
class Stage:
    """The position in the ring: a stage, and the parity of the barriers' phase there; 32-bit integers."""

    number: Any
    parity: Any


class HopperTemplate:
    """Writes one matrix product.

    Args:
        opened: the function being written.
        contraction: the product.
        left, right: its operands and their tensor maps.
        parameters: tile sizes and stages.
        multiprocessors: of the GPU.
    """

    def __init__(
        self,
        opened: OpenKernel,
        contraction: Contraction,
        left: Views,
        right: Views,
        parameters: HopperTile,
        multiprocessors: int,
    ) -> None:
        self.code, self.contraction, self.parameters = opened.code, contraction, parameters
        self.left, self.right = left, right
        self.use = Instructions(opened.code)
        self.epilogue = Epilogue(opened, contraction, parameters)
        self.steps = -((-contraction.count(contraction.depth)) // parameters.depth)
        rows, columns = (contraction.count(dims) for dims in (contraction.rows, contraction.columns))
        self.row_tiles = -((-rows) // parameters.rows)
        self.column_tiles = -((-columns) // parameters.columns)
        self.tiles = contraction.count(contraction.outer) * self.row_tiles * self.column_tiles
        self.blocks = Expr.min(self.tiles, multiprocessors)

    def write(self) -> None:
        """Write the launch."""
        Grid(self.blocks, self.parameters.threads, when="aligned", min_blocks=1).write(self.code, self._block)

    def _block(self, block: Block) -> None:
        p, use, code = self.parameters, self.use, self.code
        i8 = ir.IntegerType.get_signless(8)
        ring = block.shared("ring", i8, (p.stages * p.stage_bytes,), alignment=ALIGNMENT)
        barriers = block.shared("barriers", use.i64, (2 * p.stages,))
        self.ring, self.barriers = use.address(ring), use.address(barriers)
        warp = use.warp(block.thread)
        group = code.opaque(code.op("arith.index_cast", (use.arith("divui", warp, use.number(4)),), code.index_type))
        code.ranges.limit(str(group), ZERO, Expr.const(p.consumers + 1))
        when(self.code, use.equal(use.integer(block.thread), use.number(0)), self._set_up)
        block.barrier()
        is_producer = use.equal(use.integer(group), use.number(p.consumers))
        first_warp = use.equal(warp, use.number(4 * p.consumers))
        either(code, is_producer, partial(self._produce, block, first_warp), partial(self._consume, block, group))

    def _set_up(self) -> None:
        for stage in range(self.parameters.stages):
            self.use.init_barrier(self._full(self.use.number(stage)), 1)
            self.use.init_barrier(self._empty(self.use.number(stage)), self.parameters.consumers)
        self.use.fence_barrier_init()
        for view in (self.left, self.right):
            self.use.prefetch(view.tensor_map)

    # Tiles and stages

    def _for_tiles(self, block: Block, body: Any) -> None:
        """Walk the block's tiles; ``body`` gets outer loops, row tile, column tile and the position in the ring."""
        start = [self.use.number(0), self.use.number(0)]
        turns = (self.tiles - block.index + self.blocks - 1) // self.blocks

        def turn(number: Expr, carried: list[Any]) -> list[Any]:
            ranges, contraction = self.code.ranges, self.contraction
            tile = block.index + number * self.blocks
            named = self.code.opaque(self.code.index(tile))
            ranges.limit(str(named), ZERO, self.tiles)
            outer, within = ranges.divide(named, self.row_tiles * self.column_tiles)
            row, column = self._place(within)
            loops = contraction.spread(ranges, outer, contraction.outer, merged=False)
            after = body(loops, row, column, Stage(*carried))
            return [after.number, after.parity]

        self.code.loop(ZERO, turns, turn, start, stem="turn")

    def _place(self, tile: Expr) -> tuple[Expr, Expr]:
        """Return the row and the column of a tile, in an order in which blocks that run together share operands.

        Tiles go through stripes of a few columns of tiles, row by row, so that a wave of blocks covers an area that is
        about as high as it is wide.
        """
        group, inside = self.code.ranges.divide(tile, self.row_tiles * _STRIPE)
        if self.column_tiles.is_constant and self.column_tiles.constant <= _STRIPE:
            width = self.column_tiles
        else:
            width = Expr.min(self.column_tiles - group * _STRIPE, Expr.const(_STRIPE))
        row, column = self.code.ranges.divide(inside, width)
        return row, group * _STRIPE + column

    def _next(self, stage: Stage) -> Stage:
        use = self.use
        number = use.arith("addi", stage.number, use.number(1))
        wraps = use.equal(number, use.number(self.parameters.stages))
        flipped = use.arith("xori", stage.parity, use.number(1))
        return Stage(use.select(wraps, use.number(0), number), use.select(wraps, flipped, stage.parity))

    def _full(self, stage: Any) -> Any:
        return self._barrier(stage, 0)

    def _empty(self, stage: Any) -> Any:
        return self._barrier(stage, 8 * self.parameters.stages)

    def _barrier(self, stage: Any, offset: int) -> Any:
        use = self.use
        step = self.code.op("arith.extui", (use.arith("muli", stage, use.number(8)),), use.i64)
        address = use.arith("addi", self.barriers, use.number(offset, use.i64))
        return use.pointer(use.arith("addi", address, step))

    def _stage_address(self, stage: Any) -> Any:
        use = self.use
        step = self.code.op(
            "arith.extui", (use.arith("muli", stage, use.number(self.parameters.stage_bytes)),), use.i64
        )
        return use.arith("addi", self.ring, step)

    # The copying warpgroup

    def _produce(self, block: Block, first_warp: Any) -> None:
        if self.parameters.consumers > 1:
            self.use.set_registers("decrease", _FEW_REGISTERS)
        walk = partial(self._for_tiles, block, self._copy_tile)
        when(self.code, first_warp, lambda: when(self.code, self.use.elect(), walk))

    def _copy_tile(self, loops: dict[int, Expr], row: Expr, column: Expr, stage: Stage) -> Stage:
        def step(number: Expr, carried: list[Any]) -> list[Any]:
            at, use = Stage(*carried), self.use
            # A ring's first round finds every stage empty: the phase before the first counts as complete.
            use.wait(self._empty(at.number), use.arith("xori", at.parity, use.number(1)))
            full = self._full(at.number)
            use.arrive_expecting(full, self.parameters.stage_bytes)
            target = self._stage_address(at.number)
            depth = number * self.parameters.depth
            self._copy(self.left, target, full, loops, row * self.parameters.rows, depth)
            target = use.arith("addi", target, use.number(self.parameters.left_bytes, use.i64))
            self._copy(self.right, target, full, loops, column * self.parameters.columns, depth)
            after = self._next(at)
            return [after.number, after.parity]

        return Stage(*self.code.loop(ZERO, self.steps, step, [stage.number, stage.parity], stem="step"))

    def _copy(self, view: Views, target: Any, barrier: Any, loops: dict[int, Expr], free: Expr, depth: Expr) -> None:
        use, operand = self.use, view.operand
        outer = [loops[dim] for dim in operand.loops[2:]]
        for box in range(operand.boxes(view.free)):
            first = free + box * operand.box(view.free)[0] if not operand.along_depth else free
            pair = [depth, first] if operand.along_depth else [first, depth]
            coordinates = [use.integer(expr) for expr in (*pair, *outer)]
            bytes_ = use.number(box * operand.box(view.free)[1] * LINE, use.i64)
            use.copy_box(use.pointer(use.arith("addi", target, bytes_)), view.tensor_map, coordinates, barrier)

    # The multiplying warpgroups

    def _consume(self, block: Block, group: Expr) -> None:
        p, use = self.parameters, self.use
        if p.consumers > 1:
            use.set_registers("increase", _MANY_REGISTERS)
        self.product = Product(
            p.columns, self.left.operand.element, self.left.operand.along_depth, self.right.operand.along_depth
        )
        rows = use.integer(group * (WARPGROUP_ROWS * LINE))
        self.group_offset = self.code.op("arith.extui", (rows,), use.i64)
        self.releases = use.equal(use.integer(block.thread % WARPGROUP), use.number(0))
        self._for_tiles(block, partial(self._multiply_tile, block, group))

    def _multiply_tile(
        self, block: Block, group: Expr, loops: dict[int, Expr], row: Expr, column: Expr, stage: Stage
    ) -> Stage:
        p, use = self.parameters, self.use

        def step(number: Expr, carried: list[Any]) -> list[Any]:
            sums, before, *position = carried
            at = Stage(*position)
            use.wait(self._full(at.number), at.parity)
            sums = self._products(at, sums)
            # All but the products just started are done: nobody reads the stage before this one any more.
            use.wait_products(1)
            self._release(before, number)
            after = self._next(at)
            return [sums, at.number, after.number, after.parity]

        carried = [use.zeros(p.sums), stage.number, stage.number, stage.parity]
        sums, last, *position = self.code.loop(ZERO, self.steps, step, carried, stem="step")
        parts = use.finish_products(sums, p.sums)
        self._release(last, self.steps)
        self.epilogue.write(parts, loops, row * p.rows + group * WARPGROUP_ROWS, column * p.columns, block.thread)
        return Stage(*position)

    def _products(self, stage: Stage, sums: Any) -> Any:
        use = self.use
        left = use.arith("addi", self._stage_address(stage.number), self.group_offset)
        right = use.arith("addi", self._stage_address(stage.number), use.number(self.parameters.left_bytes, use.i64))
        first, second = self._descriptor(left, self.left.operand), self._descriptor(right, self.right.operand)
        use.fence_products()
        for number in range(self.parameters.depth // Product.depth):
            pair = [
                use.arith("addi", descriptor, use.number(number * view.operand.depth_step, use.i64))
                for descriptor, view in ((first, self.left), (second, self.right))
            ]
            sums = use.multiply(sums, pair[0], pair[1], self.product)
        use.commit_products()
        return sums

    def _descriptor(self, address: Any, operand: Operand) -> Any:
        use = self.use
        low = use.arith("andi", address, use.number(_ADDRESS_BITS, use.i64))
        units = use.arith("shrui", low, use.number(4, use.i64))
        return use.arith("ori", units, use.number(operand.descriptor, use.i64))

    def _release(self, stage: Any, steps: Expr) -> None:
        """Give ``stage`` back, once ``steps`` says that there was one before."""
        use = self.use
        if steps == ZERO:
            return
        condition = self.releases
        if not (steps.is_constant and steps.constant >= 1):
            none = use.equal(use.integer(steps), use.number(0))
            condition = use.select(none, use.number(0, condition.type), condition)
        when(self.code, condition, lambda: use.arrive(self._empty(stage)))
