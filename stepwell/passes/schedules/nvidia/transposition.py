"""Transpositions on a GPU: inputs that are contiguous along another loop than the results go through shared memory.

A block takes a square tile of the two loops.  It reads the tile along the inputs' contiguous loop, waits, and computes
and writes along the results', so that both sides move whole pieces of memory.  Everything else that the results need is
read where it is used.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import Buffer, bytes_of
from stepwell.passes.schedules.conditions import both, either, less, where
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ZERO, ceil_div, coefficient, linearise, product
from stepwell.passes.schedules.kernel import defining
from stepwell.passes.schedules.loops import delinearise
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nest import Nest, known_extent
from stepwell.passes.schedules.nvidia.grid import Block, Grid
from stepwell.passes.schedules.nvidia.machine import BLOCK_THREADS
from stepwell.passes.schedules.result_nests import ResultNest
from stepwell.support.symbolic import Expr

# Loops shorter than this leave most of a tile empty; neighbouring threads then share cache lines well enough.
_SHORTEST = 16
# Bytes of a tile's edge: a warp's access is one line of the cache.
_EDGE_BYTES = 128
_EDGES = (32, 64)
# Shared memory that blocks use for all tiles together, at most.
_SHARED_LIMIT = 32 << 10
# Rows of a tile start this many bytes further in the banks of shared memory, so that columns do not meet there.
_BANK = 4


@dataclass(frozen=True)
class Transposition:
    """What goes through shared memory.

    Attributes:
        along: position of the loop that the staged inputs are contiguous along.
        staged: (input, position of its element in it).
        edge: length of a tile's edge, in elements.
    """

    along: int
    staged: tuple[tuple[Any, Expr], ...]
    edge: int

    def blocks(self, nest: Nest) -> tuple[Expr, ...]:
        """Return the extents of the loop over blocks: outer loops, tiles along the inputs, tiles along the results."""
        tiles = [ceil_div(nest.extents[position], self.edge) for position in (self.along, -1)]
        return (*(nest.extents[position] for position in self.outer(nest)), *tiles)

    def outer(self, nest: Nest) -> list[int]:
        """Return the loops that are not cut into tiles."""
        return [position for position in range(len(nest.variables) - 1) if position != self.along]

    def describe(self, nest: Nest) -> str:
        """Return the reason behind it."""
        return (
            f"{len(self.staged)} inputs are contiguous along loop {self.along}, not along the last: tiles of "
            f"{self.edge}x{self.edge} go through shared memory; {product(self.blocks(nest))} blocks"
        )


def find_transposition(nest: Nest) -> Transposition | None:
    """Return the inputs of ``nest`` that are worth staging, or None."""
    if len(nest.variables) < 2 or known_extent(nest.extents[-1]) < _SHORTEST:
        return None
    found: dict[int, list[tuple[Any, Expr]]] = {}
    for buffer, position in nest.uses.accesses:
        along = _contiguous_loop(nest, buffer, position)
        if along is not None:
            found.setdefault(along, []).append((buffer, position))
    if not found:
        return None
    along = max(found, key=lambda number: sum(_size(buffer) for buffer, _ in found[number]))
    size = max(_size(buffer) for buffer, _ in found[along])
    edge = min((edge for edge in _EDGES if edge * size >= _EDGE_BYTES), default=_EDGES[-1])
    kept = found[along][: max(1, _SHARED_LIMIT // ((edge + 1) * edge * size))]
    return Transposition(along, tuple(kept), edge)


def _size(buffer: Any) -> int:
    return bytes_of(buffer.type.element_type)


def _contiguous_loop(nest: Nest, buffer: Any, position: Expr) -> int | None:
    """Return the loop that an input is contiguous along, where its neighbours along the last one lie apart."""
    # Results are written along the last loop, constants are small, and what is read under a condition may not exist.
    if isinstance(buffer, tuple) or defining(buffer) is not None or (buffer, position) in nest.uses.guarded:
        return None
    uses = nest.uses
    if uses.stride(position, nest.variables[-1]) in (0, 1, -1) or position.symbols & uses.data.keys():
        return None
    if any(coefficient(position, variable) is None for variable in nest.variables):
        return None
    for number, variable in enumerate(nest.variables[:-1]):
        if uses.stride(position, variable) == 1 and known_extent(nest.extents[number]) >= _SHORTEST:
            return number
    return None


def write_transposition(elements: Elements, results: ResultNest, chosen: Transposition) -> None:
    """Write the launch of a group whose inputs are staged."""
    code, extents = elements.code, chosen.blocks(results.nest)

    def body(block: Block) -> None:
        _TileWriter(elements, results, chosen, block).write(extents)

    Grid(product(extents), BLOCK_THREADS).write(code, body)


class _TileWriter:
    """Writes what one thread does for a tile."""

    def __init__(self, elements: Elements, results: ResultNest, chosen: Transposition, block: Block) -> None:
        self.elements, self.results, self.chosen, self.block = elements, results, chosen, block
        self.code, self.nest = elements.code, results.nest
        self.rows = BLOCK_THREADS // chosen.edge
        self.limits = (self.nest.extents[chosen.along], self.nest.extents[-1])
        self.tiles = [self._shared(number, buffer) for number, (buffer, _) in enumerate(chosen.staged)]

    def _shared(self, number: int, buffer: Any) -> Buffer:
        edge, element = self.chosen.edge, buffer.type.element_type
        return self.block.shared(f"tile{number}", element, (edge, edge + max(1, _BANK // bytes_of(element))))

    def write(self, extents: tuple[Expr, ...]) -> None:
        """Write both phases; tiles that lie inside need no tests."""
        code, edge = self.code, self.chosen.edge
        *outer, tile_in, tile_out = delinearise(code, self.block.index, extents)
        down, across = delinearise(code, self.block.thread, [Expr.const(self.rows), Expr.const(edge)])
        start = self._named(tile_in * edge), self._named(tile_out * edge)
        fixed = {self.nest.variables[p]: index for p, index in zip(self.chosen.outer(self.nest), outer, strict=True)}
        for phase in (self._fill, self._drain):
            road = partial(self._road, phase, fixed, start, down, across)
            conditions = [(first + (edge - 1), limit) for first, limit in zip(start, self.limits, strict=True)]
            if all(code.ranges.less(a, b) for a, b in conditions):
                road(whole=True)
            else:
                inside = both(code, *(less(code, a, b) for a, b in conditions))
                either(code, inside, partial(road, whole=True), partial(road, whole=False))
            if phase == self._fill:
                self.block.barrier()

    def _named(self, index: Expr) -> Expr:
        return index if index.is_constant else self.code.opaque(self.code.index(index))

    def _road(
        self,
        phase: Any,
        fixed: dict[str, Expr],
        start: tuple[Expr, Expr],
        down: Expr,
        across: Expr,
        *,
        whole: bool,
    ) -> None:
        steps = [down + number * self.rows for number in range(self.chosen.edge // self.rows)]
        if whole:
            phase(fixed, start, steps, across, whole=True)
            return
        for step in steps:
            phase(fixed, start, [step], across, whole=False)

    def _place(self, fixed: dict[str, Expr], index_in: Expr, index_out: Expr) -> dict[str, Expr]:
        return {**fixed, self.nest.variables[self.chosen.along]: index_in, self.nest.variables[-1]: index_out}

    def _fill(
        self, fixed: dict[str, Expr], start: tuple[Expr, Expr], steps: list[Expr], across: Expr, *, whole: bool
    ) -> None:
        """Read along the inputs' contiguous loop, one row of the tile per step."""
        code = self.code

        def write() -> None:
            values = []
            for step in steps:
                known = self._place(fixed, start[0] + across, start[1] + step)
                for buffer, position in self.chosen.staged:
                    (at,) = self.nest.places((position,), known)
                    values.append(load(code, self.elements.open.inputs[buffer], at))
            pairs = [(step, tile) for step in steps for tile in self.tiles]
            for (step, tile), value in zip(pairs, values, strict=True):
                store(code, tile, tile.position((step, across)), value)

        self._guarded(write, start[0] + across, start[1] + steps[0], whole=whole)

    def _drain(
        self, fixed: dict[str, Expr], start: tuple[Expr, Expr], steps: list[Expr], across: Expr, *, whole: bool
    ) -> None:
        """Compute and write along the results' contiguous loop, one column of the tile per step."""

        def write() -> None:
            column = self._limited(start[1] + across, self.limits[1])
            row = self._limited(start[0] + steps[0], self.limits[0] - (self.rows * (len(steps) - 1)))
            places, values = [], []
            for number, step in enumerate(steps):
                known = self._place(fixed, row + number * self.rows, column)
                self._bind(known, across, step)
                places.append(self.nest.at(known))
                values.append(self.results.read(self.elements, places[-1]))
            for place, value in zip(places, values, strict=True):
                self.results.store(self.elements, place, value)
            for buffer in {buffer for buffer, _ in self.chosen.staged}:
                self.elements.unbind(buffer)

        self._guarded(write, start[0] + steps[0], start[1] + across, whole=whole)

    def _guarded(self, write: Any, index_in: Expr, index_out: Expr, *, whole: bool) -> None:
        if whole:
            write()
        else:
            where(self.code, [(index_in, self.limits[0]), (index_out, self.limits[1])], write)

    def _limited(self, index: Expr, limit: Expr) -> Expr:
        """Return ``index`` as a variable known to be less than ``limit``."""
        name = self.code.fresh("at")
        self.code.ranges.limit(name, ZERO, limit)
        return self.code.define(name, self.code.index(index))

    def _bind(self, known: dict[str, Expr], across: Expr, step: Expr) -> None:
        """Let reads of staged elements come from shared memory; other elements of the same inputs are loaded."""
        code, tiles = self.code, {}
        for (buffer, position), tile in zip(self.chosen.staged, self.tiles, strict=True):
            (at,) = self.nest.places((position,), known)
            tiles[buffer, at] = tile

        def reader(buffer: Any, indices: tuple[Expr, ...]) -> Any:
            at = linearise(indices, self.elements.kernel.shape(buffer))
            tile = tiles.get((buffer, at))
            if tile is None:
                return load(code, self.elements.open.inputs[buffer], at)
            return load(code, tile, tile.position((across, step)))

        for buffer in {buffer for buffer, _ in self.chosen.staged}:
            self.elements.bind(buffer, partial(reader, buffer))
