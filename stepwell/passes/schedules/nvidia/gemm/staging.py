"""The way of an operand's tile from memory into the threads' registers, a share for each thread."""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.conditions import both, less
from stepwell.passes.schedules.contraction import variable
from stepwell.passes.schedules.contraction_operands import Operands
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.memory import load
from stepwell.passes.schedules.nvidia.gemm.problem import Side
from stepwell.passes.schedules.nvidia.gemm.tiles import Cut, named, vectors
from stepwell.passes.schedules.nvidia.grid import Block
from stepwell.passes.schedules.steps import Indices
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Item:
    """One access of a thread: where its first element lies in the tile.

    Attributes:
        free, depth: row or column, and depth, within the tile.
        there: the thread has such an item; None where all have.
    """

    free: Expr
    depth: Expr
    there: Any


class Staging:
    """Loads the tiles of one operand.

    Attributes:
        side: the operand.
        width: elements of an access.
        along: "free" or "depth": the loop that accesses and neighbouring threads run along.
        items: the accesses of a thread.
        start: first row or column of the tile.
    """

    def __init__(self, operands: Operands, cut: Cut, side: Side, free: int, width: int, block: Block) -> None:
        self.operands, self.cut, self.side, self.width = operands, cut, side, width
        self.code = operands.code
        self.free = free
        self.count = cut.problem.rows if side is cut.problem.left else cut.problem.columns
        self.along = side.along or "free"
        self.start = ZERO
        self.items = self._items(block)

    def _items(self, block: Block) -> list[Item]:
        depth = self.cut.depth
        line = (self.free if self.along == "free" else depth) // self.width
        places = self.spread(block, self.free * depth // self.width, line)
        if self.along == "free":
            return [Item(place.free * self.width, place.depth, place.there) for place in places]
        return [Item(place.depth, place.free * self.width, place.there) for place in places]

    def spread(self, block: Block, total: int, line: int) -> list[Item]:
        """Return a thread's share of ``total`` places in lines of ``line``: ``free`` within one, ``depth`` across."""
        code = self.code
        places = []
        for first in range(0, total, block.threads):
            number = block.thread + first
            there = None if first + block.threads <= total else less(code, number, Expr.const(total))
            across, within = code.ranges.divide(number, Expr.const(line))
            places.append(Item(within, across, there))
        return places

    def load(self, step: Expr, condition: Any) -> list[Any]:
        """Return the elements of each item in tile ``step`` of the depth; zeros where there are none.

        Args:
            step: number of the tile.
            condition: whether there is such a tile; None for yes.
        """
        values: list[Any] = []
        group: list[Item] = []
        shared: Any = None
        for item in self.items:
            # The end of the depth says as much as the end of the steps, where these are not parts of them.
            needed = condition if self.cut.whole_depth or self.cut.splits > 1 else None
            here = both(self.code, both(self.code, needed, self.inside(item, step)), item.there)
            if group and here != shared:
                values += self.load_group(group, step, shared)
                group = []
            group.append(item)
            shared = here
        return values + self.load_group(group, step, shared)

    def inside(self, item: Item, step: Expr) -> Any:
        """Return whether an item of tile ``step`` lies inside the operand; None where all do."""
        code, cut = self.code, self.cut
        in_depth = None
        if not cut.whole_depth:
            in_depth = less(code, step * cut.depth + item.depth, cut.problem.depth)
        if self.count % self.free == ZERO:
            return in_depth
        return both(code, in_depth, less(code, self.start + item.free, self.count))

    def load_group(self, group: list[Item], step: Expr, condition: Any) -> list[Any]:
        """Return the elements of items that exist where ``condition`` holds, zeros elsewhere; None is always."""

        def read() -> list[Any]:
            return [self._element(item, step) for item in group]

        if condition is None:
            return read()
        with vectors(self.code, self.width):
            element = self.side.factor.value.type.element_type
            type_ = self.code.vector_type(element)
            zero = self.code.broadcast(self.code.constant(zero_of(element)))
        return self.code.branch(condition, read, lambda: [zero] * len(group), [type_] * len(group))

    def _element(self, item: Item, step: Expr) -> Any:
        """Return the elements of an item as they lie in memory, or as they are computed."""
        side, code = self.side, self.code
        free, depth = self.start + item.free, step * self.cut.depth + item.depth
        if side.leaf is None:
            free, depth = named(code, free, self.count), named(code, depth, self.cut.problem.depth)
            value = self.operands.element(side.factor, self.loops(free, depth))
            return code.broadcast(value)
        position = self.position(free, depth)
        with vectors(code, self.width) as lane:
            buffer = self.operands.elements.open.inputs[side.leaf]
            return load(code, buffer, position + lane)

    def loops(self, free: Expr, depth: Expr) -> Indices:
        """Return the loop indices at a row or column and a depth."""
        return self.operands.loops(self.side.factor, self.side.free, free, depth, self.side.factor.free_merges)

    def position(self, free: Expr, depth: Expr) -> Expr:
        """Return where the element at a row or column and a depth lies in the operand's buffer."""
        loops = self.loops(free, depth)
        return self.side.position.substitute({variable(dim): index for dim, index in enumerate(loops)})


def zero_of(element: Any) -> Any:
    """Return the attribute of zero."""
    if isinstance(element, ir.IntegerType):
        return ir.IntegerAttr.get(element, 0)
    return ir.FloatAttr.get(element, 0.0)
