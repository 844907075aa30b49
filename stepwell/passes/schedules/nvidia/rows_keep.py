"""Rows that stay in shared memory between the phases of a kernel: what is read once need not come from afar again.

Rows that fit the registers of their team stay there without further doing, as all slots are written out and equal reads
are made once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwell.passes.schedules.abi import Buffer, bytes_of
from stepwell.passes.schedules.indexing import LANE, ZERO, product
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nest import Nest
from stepwell.passes.schedules.nvidia.rows_layout import RowLayout
from stepwell.passes.schedules.nvidia.rows_phases import Phase, RowWork
from stepwell.passes.schedules.steps import Indices
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.schedules.nvidia.rows_code import RowWriter

# Shared memory left for joining, and for the driver.
_SHARED_RESERVE = 8 << 10


@dataclass(frozen=True)
class Keep:
    """Elements of an argument that several phases read at the same points.

    Attributes:
        value: the argument.
        position: the element's position in it, over row variables and ``loop_symbol`` of each loop.
        first: number of the first phase that reads it.
        bytes: size of a row of it.
    """

    value: Any
    position: Expr
    first: int
    bytes: int


@dataclass(frozen=True)
class Kept:
    """Where rows are between phases.

    Attributes:
        where: "registers", "shared memory" or "" where nothing is read again or it has to come from memory again.
        keeps: what lies in shared memory.
        reason: why there.
    """

    where: str
    keeps: tuple[Keep, ...] = ()
    reason: str = ""


def choose_kept(target: Target, work: RowWork, layout: RowLayout) -> Kept:
    """Choose where the rows of ``work`` are kept."""
    keeps = _reread(work)
    if not keeps:
        return Kept("", reason="every element is read once")
    if layout.splits > 1:
        return Kept("", reason="rows are read again: several blocks share each")
    extents = work.phases[keeps[0].first].extents
    if not all(extent.is_constant for extent in extents):
        return Kept("", reason="rows are read again: their length is not known")
    if layout.written_out(work.phases[keeps[0].first]):
        return Kept("registers", reason="rows are read once and kept in registers")
    size = sum(keep.bytes for keep in keeps)
    room = target.gpu.shared_limit - _SHARED_RESERVE
    if layout.threads.rows == 1 and size <= room:
        return Kept("shared memory", keeps, f"rows are read once and kept in {size} bytes of shared memory")
    return Kept("", reason=f"rows are read again: {layout.threads.rows} of {size} bytes do not fit {room}")


def _reread(work: RowWork) -> tuple[Keep, ...]:
    """Return what the longest phases read more than once, by elements that differ along every loop."""
    longest = max((phase for phase in work.phases if phase.extents), key=lambda p: p.points, default=None)
    if longest is None:
        return ()
    found: dict[tuple[Any, Expr], list[int]] = {}
    for number, phase in enumerate(work.phases):
        if phase.extents != longest.extents:
            continue
        for access in _plain_accesses(phase):
            found.setdefault(access, []).append(number)
    return tuple(
        Keep(value, position, numbers[0], longest.points * bytes_of(value.type.element_type))
        for (value, position), numbers in found.items()
        if len(numbers) > 1
    )


def _plain_accesses(phase: Phase) -> list[tuple[Any, Expr]]:
    """Return the arguments that every point of ``phase`` reads an element of, with its position."""
    found: dict[tuple[Any, Expr], None] = {}
    for part in phase.parts:
        uses = part.nest.uses
        for access in uses.accesses:
            if isinstance(access[0], tuple) or access in uses.guarded or not isinstance(access[0].owner, ir.Block):
                continue
            position = _canonical(part.nest, access[1])
            if position.symbols.isdisjoint(uses.data) and _moves(position, len(phase.extents)):
                found[access[0], position] = None
    return list(found)


def _moves(position: Expr, loops: int) -> bool:
    return all(loop_symbol(number) in position.symbols for number in range(loops))


def loop_symbol(number: int) -> str:
    """Return the variable that stands for loop ``number`` of a phase, whatever the nest."""
    return f"%loop{number}_"


def _canonical(nest: Nest, position: Expr) -> Expr:
    names = {variable: Expr.symbol(loop_symbol(n)) for n, variable in enumerate(nest.variables)}
    return position.substitute(names | dict.fromkeys(nest.gone, ZERO))


class KeptRows:
    """The rows that a block keeps in shared memory, as its threads fill and read them.

    A thread reads back only what it has written itself, so that nobody waits.

    Attributes:
        phase: number of the phase being written.
        slot: the slot being written.
    """

    def __init__(self, keeps: Sequence[Keep]) -> None:
        self.keeps = keeps
        self.phase = 0
        self.slot: Any = None
        self._fresh: dict[Any, Any] = {}

    @contextmanager
    def bound(self, writer: "RowWriter") -> Iterator[None]:
        """While open, ``writer`` reads kept elements from shared memory."""
        elements = writer.elements
        for number, keep in enumerate(self.keeps):
            buffer = elements.open.inputs[keep.value]
            points = product(writer.work.phases[keep.first].extents).constant
            row = writer.block.shared(f"row{number}", buffer.element, (points,))
            elements.bind(keep.value, self._reader(writer, keep, buffer, row))
        try:
            yield
        finally:
            for keep in self.keeps:
                elements.unbind(keep.value)

    def _reader(self, writer: "RowWriter", keep: Keep, buffer: Buffer, row: Buffer) -> Any:
        code = writer.code

        def read(indices: Indices) -> Any:
            position = buffer.position(indices)
            if self.slot is None or position != self._expected(writer, keep):
                return load(code, buffer, position)
            place = self.slot.number * code.lanes + (Expr.symbol(LANE) if code.lanes > 1 else ZERO)
            if self.phase != keep.first:
                return load(code, row, place)
            key = (keep, self.slot)
            if key not in self._fresh:
                value = load(code, buffer, position)
                store(code, row, place, value)
                self._fresh = {key: value}
            return self._fresh[key]

        return read

    def _expected(self, writer: "RowWriter", keep: Keep) -> Expr:
        loops = {loop_symbol(n): index for n, index in enumerate(self.slot.indices)}
        return keep.position.substitute(loops | writer.place.row)
