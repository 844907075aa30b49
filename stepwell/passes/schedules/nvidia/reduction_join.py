"""Join the partial results of the threads that work on one row: by shuffles within a warp, then by shared memory.

The order is fixed by the threads' numbers alone, so that equal inputs give equal bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.conditions import either, less
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.joins import Joins
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.nvidia.grid import WARP, Block
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# From so many partial results in shared memory on, a warp joins them by shuffles rather than every thread alone.
_SHUFFLED = 8


@dataclass(frozen=True)
class Arrangement:
    """How the threads of a block are dealt to rows: thread ``(group * team + member) * across + neighbour``.

    Attributes:
        across: neighbouring rows at neighbouring threads; a power of two up to a warp.
        team: threads of one row; a power of two.
        groups: groups of ``across`` rows.
    """

    across: int
    team: int
    groups: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.across * self.team * self.groups

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return self.across * self.groups

    @property
    def warps_of_team(self) -> int:
        """Warps that share their rows; 1 where a team lies within a warp."""
        return max(self.across * self.team // WARP, 1)


def join_team(block: Block, threads: Arrangement, name: str, joins: Joins, values: Sequence[Any]) -> list[Any]:
    """Return the partial results of a team joined, in all of its threads; all threads of the block take part.

    ``name`` is that of the shared memory, where there is need of some.
    """
    values = list(values)
    offset = threads.across
    while offset < min(WARP, threads.across * threads.team):
        values = joins.join(block.code, values, [exchange(block, value, offset) for value in values])
        offset *= 2
    if threads.warps_of_team == 1:
        return values
    return _join_warps(block, threads, name, joins, values)


def _join_warps(block: Block, threads: Arrangement, name: str, joins: Joins, values: list[Any]) -> list[Any]:
    code, across, count = block.code, threads.across, threads.warps_of_team
    warp, lane = code.ranges.divide(block.thread, Expr.const(WARP))
    shape = (threads.threads // WARP * across,)
    buffers = [block.shared(f"{name}{number}", value.type, shape) for number, value in enumerate(values)]

    def deposit() -> None:
        for buffer, value in zip(buffers, values, strict=True):
            store(code, buffer, warp * across + lane, value)

    if across == WARP:
        deposit()
    else:
        either(code, less(code, lane, Expr.const(across)), deposit, lambda: None)
    block.barrier()
    first = warp // count * (count * across)
    if across == 1 and count >= _SHUFFLED:
        values = [load(code, buffer, first + lane % count) for buffer in buffers]
        offset = 1
        while offset < count:
            values = joins.join(code, values, [exchange(block, value, offset) for value in values])
            offset *= 2
        return values
    neighbour = lane % across if across > 1 else ZERO
    parts = [[load(code, buffer, first + number * across + neighbour) for buffer in buffers] for number in range(count)]
    return join_tree(block, joins, parts)


def join_tree(block: Block, joins: Joins, parts: list[list[Any]]) -> list[Any]:
    """Return partial results of one thread joined, neighbours first."""
    while len(parts) > 1:
        pairs = [joins.join(block.code, a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(pairs) * 2 :]
    return parts[0]


def exchange(block: Block, value: Any, offset: int) -> Any:
    """Return the scalar ``value`` of the lane whose number differs in bit ``offset``; any type of up to 64 bits."""
    code = block.code
    if isinstance(value.type, ir.IndexType):
        moved = exchange(block, code.pointwise("arith.index_cast", (value,), _integer(64)), offset)
        return code.pointwise("arith.index_cast", (moved,), value.type)
    width = value.type.width
    if width == WARP and not isinstance(value.type, ir.IntegerType):
        return block.shuffle(value, "xor", offset)
    bits = value
    if not isinstance(value.type, ir.IntegerType):
        bits = code.op("arith.bitcast", (value,), _integer(width))
    if width < WARP:
        wide = code.op("arith.extui", (bits,), _integer(WARP))
        moved = code.op("arith.trunci", (block.shuffle(wide, "xor", offset),), bits.type)
    elif width == WARP:
        moved = block.shuffle(bits, "xor", offset)
    else:
        moved = _exchange_halves(block, bits, offset)
    return moved if bits is value else code.op("arith.bitcast", (moved,), value.type)


def _exchange_halves(block: Block, bits: Any, offset: int) -> Any:
    code, half = block.code, _integer(WARP)
    places = code.constant(ir.IntegerAttr.get(bits.type, WARP))
    low = code.op("arith.trunci", (bits,), half)
    high = code.op("arith.trunci", (code.op("arith.shrui", (bits, places), bits.type),), half)
    low, high = (code.op("arith.extui", (block.shuffle(part, "xor", offset),), bits.type) for part in (low, high))
    return code.op("arith.ori", (code.op("arith.shli", (high, places), bits.type), low), bits.type)


def _integer(width: int) -> Any:
    return ir.IntegerType.get_signless(width)
