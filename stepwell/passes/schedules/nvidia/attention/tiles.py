"""Tiles of queries, keys and values on their way from global to shared memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import Buffer, OpenKernel
from stepwell.passes.schedules.conditions import both, less, when
from stepwell.passes.schedules.contraction_accesses import accesses
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, coefficient
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.memory import store
from stepwell.passes.schedules.nvidia.attention.parameters import CHUNK, padded, pitch
from stepwell.passes.schedules.nvidia.warp_matrices import WarpMatrices
from stepwell.passes.schedules.steps import Indices
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_BATCH, _LINE, _AT = "%batch{}_", "%line_", "%at_"
_CHUNK_BYTES = 16


@dataclass(frozen=True)
class Lines:
    """A tensor as lines of a head: of queries, of keys or of values.

    Attributes:
        value: the tensor.
        indices: gives the indices of an element from the batch loops' indices, the line, and the place in the line.
        count: lines of a head.
        width: elements of a line.
    """

    value: Any
    indices: Callable[[Indices, Expr, Expr], Indices]
    count: Expr
    width: int


def source_of(kernel: Kernel, lines: Lines, batch: tuple[Expr, ...]) -> tuple[Any, Expr] | None:
    """Return the argument that holds ``lines`` and the position in it, where chunks can be copied as they lie.

    The position is over variables that ``position_at`` replaces.  None where an element is computed on the way, or
    chunks of 8 elements do not lie together at multiples of 16 bytes.
    """
    ranges = Ranges()
    names = [_BATCH.format(number) for number in range(len(batch))]
    for name, extent in zip((*names, _LINE, _AT), (*batch, lines.count, Expr.const(lines.width)), strict=True):
        ranges.limit(name, ZERO, extent)
    at = lines.indices(tuple(map(Expr.symbol, names)), Expr.symbol(_LINE), Expr.symbol(_AT))
    found = accesses(kernel, ranges, lines.value, at)
    if not found.plain or found.items[0].value not in kernel.tensors:
        return None
    position = found.items[0].position
    if coefficient(position, _AT) != ONE:
        return None
    rest = position.substitute({_AT: ZERO})
    if any(factor % CHUNK for _, factor in rest.terms):
        return None
    return found.items[0].value, position


def position_at(position: Expr, batch: Indices, line: Expr, at: Expr) -> Expr:
    """Return a position that ``source_of`` gave at the given indices."""
    values = {_BATCH.format(number): index for number, index in enumerate(batch)}
    return position.substitute({**values, _LINE: line, _AT: at})


class Tile:
    """Lines in shared memory, and the copying of them by all threads of a block.

    Args:
        opened: the function being written.
        elements: reads tensors.
        lines: what is copied.
        source: what ``source_of`` said, or None to read element by element.
        buffer: shared memory for ``stages`` tiles of ``height`` lines.
        height: lines of a tile.
        threads: threads of the block.
    """

    def __init__(
        self,
        opened: OpenKernel,
        elements: Elements,
        lines: Lines,
        source: tuple[Any, Expr] | None,
        buffer: Buffer,
        height: int,
        threads: int,
    ) -> None:
        self.opened, self.elements, self.lines = opened, elements, lines
        self.code, self.use = opened.code, WarpMatrices(opened.code)
        self.source, self.buffer, self.height, self.threads = source, buffer, height, threads
        self.pitch = pitch(lines.width)
        self.address = self.use.address(buffer)
        if source is not None:
            self.origin = self.use.address(opened.inputs[source[0]])

    def copy(self, batch: Indices, first: Expr, stage: Expr, thread: Expr) -> None:
        """Start the copy of the lines from ``first`` on to tile ``stage``; lines that do not exist are zeros."""
        chunks = padded(self.lines.width) // CHUNK
        total = self.height * chunks
        for start in range(0, total, self.threads):
            number = thread + start
            if total - start >= self.threads:
                self._copy_chunk(batch, first, stage, number // chunks, number % chunks)
                continue
            there = less(self.code, number, Expr.const(total))
            when(self.code, there, partial(self._copy_chunk, batch, first, stage, number // chunks, number % chunks))

    def pointer(self, stage: Expr, line: Expr, at: Expr) -> Any:
        """Return the address of element ``at`` of a line in tile ``stage``, as a pointer."""
        return self.use.pointer(self.use.offset(self.address, self._place(stage, line, at) * 2))

    def _place(self, stage: Expr, line: Expr, at: Expr) -> Expr:
        return (stage * self.height + line) * self.pitch + at

    def _copy_chunk(self, batch: Indices, first: Expr, stage: Expr, line: Expr, chunk: Expr) -> None:
        at = chunk * CHUNK
        exists = self._exists(first, line, at)
        # An address is made of a line that exists, also where nothing is read.
        index = Expr.min(first + line, self.lines.count - 1) if exists is not None else first + line
        if self.source is None:
            self._copy_elements(batch, index, at, stage, line, exists)
            return
        inside = (
            at if padded(self.lines.width) == self.lines.width else Expr.min(at, Expr.const(self.lines.width - CHUNK))
        )
        distance = position_at(self.source[1], batch, index, inside) * 2
        from_ = self.use.global_pointer(self.use.offset(self.origin, distance))
        present = None
        if exists is not None:
            present = self.use.select(exists, self.use.number(_CHUNK_BYTES), self.use.number(0))
        self.use.copy(self.pointer(stage, line, at), from_, _CHUNK_BYTES, present)

    def _exists(self, first: Expr, line: Expr, at: Expr) -> Any:
        """Return whether a chunk exists, or None where all do."""
        code, exists, whole = self.code, None, None
        if self.lines.count % self.height != ZERO:
            exists = less(code, first + line, self.lines.count)
        if padded(self.lines.width) != self.lines.width:
            whole = less(code, at, Expr.const(self.lines.width))
        return both(code, exists, whole)

    def _copy_elements(self, batch: Indices, index: Expr, at: Expr, stage: Expr, line: Expr, exists: Any) -> None:
        element = self.lines.value.type.element_type

        def read() -> list[Any]:
            places = [self.lines.indices(batch, index, at + number) for number in range(CHUNK)]
            return [self.elements.read(self.lines.value, place) for place in places]

        def zeros() -> list[Any]:
            return [self.code.constant(ir.FloatAttr.get(element, 0.0))] * CHUNK

        values = read() if exists is None else self.code.branch(exists, read, zeros, [element] * CHUNK)
        for number, value in enumerate(values):
            store(self.code, self.buffer, self._place(stage, line, at + number), value)
