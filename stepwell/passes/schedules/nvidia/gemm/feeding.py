"""How tiles of an operand come to shared memory: by asynchronous copies, or through the threads' registers."""

from functools import partial
from typing import Any

from stepwell.passes.schedules.conditions import both, when
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.memory import store
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import UNIT
from stepwell.passes.schedules.nvidia.gemm.problem import Side
from stepwell.passes.schedules.nvidia.gemm.staging import Item, Staging
from stepwell.passes.schedules.nvidia.gemm.swizzled import SwizzledTiles
from stepwell.passes.schedules.nvidia.gemm.tiles import Cut, vectors
from stepwell.passes.schedules.nvidia.grid import Block
from stepwell.passes.schedules.nvidia.warp_matrices import WarpMatrices
from stepwell.support.symbolic import Expr


class Copies(Staging):
    """Copies an operand by ``cp.async``, ``size`` bytes at a time; what lies outside is filled with zeros."""

    def __init__(
        self,
        matrices: WarpMatrices,
        operands: Operands,
        cut: Cut,
        side: Side,
        free: int,
        size: int,
        block: Block,
        tiles: SwizzledTiles,
    ) -> None:
        super().__init__(operands, cut, side, free, size // side.size, block)
        self.matrices, self.size, self.tiles = matrices, size, tiles

    def copy(self, step: Expr, stage: Expr) -> None:
        """Start the copies of tile ``step``."""
        for item in self.items:
            when(self.code, item.there, partial(self._copy_item, item, step, stage))

    def _copy_item(self, item: Item, step: Expr, stage: Expr) -> None:
        matrices = self.matrices
        place = self.tiles.position(stage, item.free, item.depth) * self.side.size
        target = matrices.offset(matrices.address(self.tiles.buffer), place)
        position = self.position(self.start + item.free, step * self.cut.depth + item.depth)
        argument = self.operands.elements.open.inputs[self.side.leaf]
        source = matrices.offset(matrices.address(argument), position * self.side.size)
        inside = self.inside(item, step)
        present = None
        if inside is not None:
            present = matrices.select(inside, matrices.number(self.size), matrices.number(0))
        matrices.copy(matrices.pointer(target), matrices.global_pointer(source), self.size, present)


class Gathers(Staging):
    """Reads an operand element by element, and stores units of 16 bytes along the depth.

    ``begin`` starts the loads, and ``finish`` stores what they brought: products in between hide their latency.
    """

    def __init__(self, operands: Operands, cut: Cut, side: Side, free: int, block: Block, tiles: SwizzledTiles) -> None:
        super().__init__(operands, cut, side, free, 1, block)
        self.tiles = tiles
        self.unit = UNIT // side.size
        self.units = self._units(block)

    def _units(self, block: Block) -> list[Item]:
        """Return the first element of each unit of a thread; neighbouring threads follow ``along``."""
        across = self.cut.depth // self.unit
        line = self.free if self.along == "free" else across
        found = []
        for place in self.spread(block, self.free * across, line):
            free, unit = (place.depth, place.free) if self.along == "depth" else (place.free, place.depth)
            found.append(Item(free, unit * self.unit, place.there))
        return found

    def begin(self, step: Expr, condition: Any) -> list[Any]:
        """Return the elements of all units of tile ``step``, zeros where there are none."""
        whole = self.cut.problem.depth % self.unit == ZERO
        values = []
        for item in self.units:
            if whole:
                values += self.load_items(self._elements(item), item, step, condition)
                continue
            for element in self._elements(item):
                values += self.load_items([element], element, step, condition)
        return values

    def _elements(self, item: Item) -> list[Item]:
        return [Item(item.free, item.depth + number, item.there) for number in range(self.unit)]

    def load_items(self, items: list[Item], first: Item, step: Expr, condition: Any) -> list[Any]:
        """Return the elements of ``items``, which exist where ``first`` does."""
        inside = both(self.code, condition, both(self.code, self.inside(first, step), first.there))
        return self.load_group(items, step, inside)

    def finish(self, values: list[Any], stage: Expr) -> None:
        """Store the elements that ``begin`` returned."""
        for number, item in enumerate(self.units):
            part = values[number * self.unit : (number + 1) * self.unit]
            when(self.code, item.there, partial(self._store, item, part, stage))

    def _store(self, item: Item, values: list[Any], stage: Expr) -> None:
        code = self.code
        position = self.tiles.position(stage, item.free, item.depth)
        with vectors(code, self.unit) as lane:
            vector = code.op("vector.from_elements", tuple(values), code.vector_type(values[0].type))
            store(code, self.tiles.buffer, position + lane, vector)


Feed = Copies | Gathers
