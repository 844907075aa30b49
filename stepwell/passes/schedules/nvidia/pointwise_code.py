"""Write the launches of pointwise groups: a straight road for threads that lie inside, a careful one at the edges."""

from collections.abc import Callable
from functools import partial
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.conditions import both, either, less, where
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ONE, ZERO
from stepwell.passes.schedules.loops import delinearise
from stepwell.passes.schedules.nvidia.grid import Block, Grid
from stepwell.passes.schedules.nvidia.pointwise_tiles import Space, Tile
from stepwell.passes.schedules.nvidia.wide_access import Wide
from stepwell.passes.schedules.result_nests import ResultNest
from stepwell.support.symbolic import Expr


def write_group(elements: Elements, results: ResultNest, space: Space, wide: Wide, tile: Tile) -> None:
    """Write the launch of a group, or both of its launches where vectors need aligned pointers."""
    code = elements.code
    down, beside = space.blocks(tile)

    def launch(when: str, body: Callable[[Block], None]) -> None:
        Grid(down * beside, tile.threads, when=when).write(code, body)

    scalar = partial(_write_tile, elements, results, space, tile.scalar())
    if tile.lanes == 1:
        launch("", scalar)
        return
    vectors = partial(_write_tile, elements, results, space, tile)

    def aligned(block: Block) -> None:
        if wide.rest == ZERO:
            vectors(block)
        else:
            either(code, less(code, wide.rest, ONE), partial(vectors, block), partial(scalar, block))

    launch("aligned", aligned)
    launch("unaligned", scalar)


def _write_tile(elements: Elements, results: ResultNest, space: Space, tile: Tile, block: Block) -> None:
    _TileWriter(elements, results, space, tile).write(block)


class _TileWriter:
    """Writes what one thread does for its tile."""

    def __init__(self, elements: Elements, results: ResultNest, space: Space, tile: Tile) -> None:
        self.elements, self.results, self.space, self.tile = elements, results, space, tile
        self.code = elements.code

    def write(self, block: Block) -> None:
        """Write both roads; the careful one only where a thread may need it."""
        code, tile, space = self.code, self.tile, self.space
        down, beside = delinearise(code, block.index, space.blocks(tile))
        thread_down, thread_across = delinearise(
            code, block.thread, [Expr.const(tile.threads_down), Expr.const(tile.threads_across)]
        )
        row = down * tile.rows + thread_down
        column = beside * tile.columns + thread_across * tile.lanes
        last_row = row + (tile.down - 1) * tile.threads_down
        last_column = column + ((tile.across - 1) * tile.threads_across * tile.lanes + tile.lanes - 1)
        inside = [(last_row, space.rows), (last_column, space.columns)]
        straight = partial(self._straight, row, column)
        if self._all_or_nothing(last_row):
            where(code, inside, straight)
            return
        condition = both(code, *(less(code, a, b) for a, b in inside))
        either(code, condition, straight, partial(self._careful, row, column))

    def _all_or_nothing(self, last_row: Expr) -> bool:
        """Tell whether each thread has either all of its elements to compute or none."""
        tile, space = self.tile, self.space
        rows = tile.down == 1 or self.code.ranges.less(last_row, space.rows)
        vectors = space.columns % tile.lanes == ZERO
        whole_tiles = space.columns % tile.columns == ZERO
        return rows and (whole_tiles or (vectors and tile.across == 1))

    def _straight(self, row: Expr, column: Expr) -> None:
        """Read and compute all points, then write them: what one thread waits for is under way together."""
        code, tile, space = self.code, self.tile, self.space
        row = self._named(row, space.rows - (tile.down - 1) * tile.threads_down)
        beyond = (tile.across - 1) * tile.threads_across * tile.lanes + tile.lanes - 1
        column = self._named(column, space.columns - beyond)
        places = [
            self._place(row + down * tile.threads_down, column + across * tile.threads_across * tile.lanes, tile.lanes)
            for down in range(tile.down)
            for across in range(tile.across)
        ]
        code.lanes = tile.lanes
        # Vectors start at multiples of their length, and so do the parts that they are read from.
        self.elements.lanes_agree = True
        values = [self.results.read(self.elements, place) for place in places]
        self.elements.lanes_agree = False
        for place, value in zip(places, values, strict=True):
            self.results.store(self.elements, place, value)
        code.lanes = 1

    def _careful(self, row: Expr, column: Expr) -> None:
        """Test every element."""
        code, tile = self.code, self.tile
        row, column = self._named(row), self._named(column)

        def element(here: Expr, there: Expr) -> None:
            place = self._place(self._named(here, self.space.rows), self._named(there, self.space.columns), 1)
            self.results.store(self.elements, place, self.results.read(self.elements, place))

        def lane(down: Expr, across: Expr, number: Expr) -> None:
            here = row + down * tile.threads_down
            there = column + across * (tile.threads_across * tile.lanes) + number
            where(code, [(here, self.space.rows), (there, self.space.columns)], partial(element, here, there))

        _serial(code, [tile.down, tile.across, tile.lanes], lane)

    def _named(self, index: Expr, limit: Expr | None = None) -> Expr:
        """Return ``index`` as a variable known to be less than ``limit``."""
        if index.is_constant:
            return index
        code = self.code
        name = code.fresh("at")
        variable = code.define(name, code.index(index))
        if limit is not None:
            code.ranges.limit(name, ZERO, limit)
        return variable

    def _place(self, row: Expr, column: Expr, lanes: int) -> tuple[Expr, ...]:
        """Return the indices of the element, or the vector of elements, at a row and column."""
        code, nest = self.code, self.results.nest
        *inner, last = self._split(column, self.space.inner)
        if lanes > 1:
            code.ranges.limit(LANE, ZERO, Expr.const(lanes))
            if len(self.space.inner) > 1 and not last.is_constant:
                code.ranges.limit(str(last), ZERO, self.space.inner[-1] - (lanes - 1))
            last = last + Expr.symbol(LANE)
        indices = [*self._split(row, self.space.outer), *inner, last]
        return nest.at(dict(zip(nest.variables, indices, strict=False)))

    def _split(self, position: Expr, extents: tuple[Expr, ...]) -> list[Expr]:
        if len(extents) == 1:
            return [ZERO if extents[0] == ONE else position]
        return delinearise(self.code, position, extents)


def _serial(code: Code, counts: list[int], body: Callable[..., None]) -> None:
    """Write loops over ``counts`` around ``body``."""

    def write(indices: tuple[Expr, ...]) -> None:
        if len(indices) == len(counts):
            body(*indices)
            return

        def step(index: Expr, _: list[Any]) -> list[Any]:
            write((*indices, index))
            return []

        code.loop(ZERO, Expr.const(counts[len(indices)]), step)

    write(())
