"""Give tensors places in one block of memory, so that those alive at the same time do not overlap.

Tensors of known size are packed to offsets.  Those of symbolic size share slots, whose size is the maximum over their
tenants; the slots lie behind the packed part.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from stepwell.support.symbolic import Atom, Expr

ALIGNMENT = 64
"""Bytes between places, at least: a cache line of a CPU."""
# Above this many tensors the quadratic method is not tried.
SEARCH_LIMIT = 1000
# Different sizes that may share a slot where none is provably the largest.
MAX_TENANT_SIZES = 4
ZERO = Expr.const(0)


@dataclass(frozen=True)
class Tenant:
    """A tensor that needs a place.

    Attributes:
        size: bytes.
        start: number of the launch that writes it.
        end: number of the last launch that reads it.
    """

    size: Expr
    start: int
    end: int

    def meets(self, other: "Tenant") -> bool:
        """Tell whether both are alive at some launch."""
        return self.start <= other.end and other.start <= self.end


def aligned(size: Expr, alignment: int = ALIGNMENT) -> Expr:
    """Return ``size`` rounded up to a multiple of ``alignment``."""
    return (size + (alignment - 1)) // alignment * alignment


def pack(tenants: Sequence[Tenant], alignment: int = ALIGNMENT) -> tuple[list[Expr], Expr]:
    """Return the offset of each tenant, a multiple of ``alignment``, and the size of the block."""
    offsets: list[Expr] = [ZERO] * len(tenants)
    fixed = [number for number, tenant in enumerate(tenants) if tenant.size.is_constant]
    wide = [replace(tenants[number], size=aligned(tenants[number].size, alignment)) for number in fixed]
    places, total = pack_fixed(wide)
    for number, place in zip(fixed, places, strict=True):
        offsets[number] = Expr.const(place)
    symbolic = [number for number, tenant in enumerate(tenants) if not tenant.size.is_constant]
    slots, sizes = _assign_slots([tenants[number] for number in symbolic])
    starts = [Expr.const(total)]
    for size in sizes:
        starts.append(starts[-1] + aligned(size, alignment))
    for number, slot in zip(symbolic, slots, strict=True):
        offsets[number] = starts[slot]
    return offsets, starts[-1]


def pack_fixed(tenants: Sequence[Tenant]) -> tuple[list[int], int]:
    """Return offsets and block size for tenants of constant size: the better of two heuristics."""
    found = _best_fit(tenants)
    if len(tenants) <= SEARCH_LIMIT:
        found = min(found, _largest_first(tenants), key=lambda result: result[1])
    return found


def _bytes(tenant: Tenant) -> int:
    return aligned(tenant.size).constant


def _largest_first(tenants: Sequence[Tenant]) -> tuple[list[int], int]:
    """Place the largest first, each in the lowest gap between those it meets."""
    offsets = [0] * len(tenants)
    placed: list[int] = []
    total = 0
    for number in sorted(range(len(tenants)), key=lambda n: (-_bytes(tenants[n]), tenants[n].start)):
        size, place = _bytes(tenants[number]), 0
        met = [(offsets[n], _bytes(tenants[n])) for n in placed if tenants[n].meets(tenants[number])]
        for offset, taken in sorted(met):
            if offset - place >= size:
                break
            place = max(place, offset + taken)
        offsets[number] = place
        placed.append(number)
        total = max(total, place + size)
    return offsets, total


def _best_fit(tenants: Sequence[Tenant]) -> tuple[list[int], int]:
    """Place in order of birth, each in the smallest gap that holds it; quick for any number of tenants."""
    offsets = [0] * len(tenants)
    gaps: list[tuple[int, int]] = []  # (offset, size), sorted, none touching
    ends: list[tuple[int, int]] = []
    total = 0
    for number in sorted(range(len(tenants)), key=lambda n: tenants[n].start):
        while ends and ends[0][0] < tenants[number].start:
            _, gone = heappop(ends)
            gaps = _with_gap(gaps, offsets[gone], _bytes(tenants[gone]))
        size = _bytes(tenants[number])
        fitting = [gap for gap in gaps if gap[1] >= size]
        if fitting:
            chosen = min(fitting, key=lambda gap: (gap[1], gap[0]))
            gaps.remove(chosen)
            if chosen[1] > size:
                insort(gaps, (chosen[0] + size, chosen[1] - size))
            place = chosen[0]
        elif gaps and sum(gaps[-1]) == total:
            place = gaps.pop()[0]
        else:
            place = total
        offsets[number] = place
        total = max(total, place + size)
        heappush(ends, (tenants[number].end, number))
    return offsets, total


def _with_gap(gaps: list[tuple[int, int]], offset: int, size: int) -> list[tuple[int, int]]:
    """Return ``gaps`` and one more, joined with those it touches."""
    if not size:
        return gaps
    joined = []
    for other, length in gaps:
        if other + length == offset:
            offset, size = other, size + length
        elif offset + size == other:
            size += length
        else:
            joined.append((other, length))
    insort(joined, (offset, size))
    return joined


def _assign_slots(tenants: Sequence[Tenant]) -> tuple[list[int], list[Expr]]:
    """Return the slot of each tenant of symbolic size, and the sizes of the slots."""
    chosen = [0] * len(tenants)
    sizes: list[list[Expr]] = []
    busy_until: list[int] = []
    for number in sorted(range(len(tenants)), key=lambda n: tenants[n].start):
        tenant = tenants[number]
        free = [slot for slot, end in enumerate(busy_until) if end < tenant.start]
        slot = min(free, key=lambda s: _misfit(sizes[s], tenant.size), default=None)
        if slot is None or _misfit(sizes[slot], tenant.size) > MAX_TENANT_SIZES:
            slot = len(sizes)
            sizes.append([])
            busy_until.append(-1)
        sizes[slot] = _with_size(sizes[slot], tenant.size)
        busy_until[slot] = tenant.end
        chosen[number] = slot
    return chosen, [Expr.max(*listed) for listed in sizes]


def _misfit(sizes: list[Expr], size: Expr) -> int:
    """Rank a slot for a tenant: 0 where its size stays, else how many sizes it would be the maximum of."""
    if any(_covers(known, size) for known in sizes):
        return 0
    return len(_with_size(sizes, size))


def _with_size(sizes: list[Expr], size: Expr) -> list[Expr]:
    if any(_covers(known, size) for known in sizes):
        return sizes
    return [known for known in sizes if not _covers(size, known)] + [size]


def _covers(large: Expr, small: Expr) -> bool:
    """Tell whether ``large >= small`` for all sizes: their difference has no negative term."""
    return _is_natural(large - small)


def _is_natural(expr: Expr) -> bool:
    """Tell whether an expression is never negative because none of its terms is."""
    return all(factor >= 0 and all(map(_is_natural_atom, monomial)) for monomial, factor in expr.terms)


def _is_natural_atom(atom: Atom) -> bool:
    match atom.operator:
        case "symbol":
            return True
        case "max":
            return any(map(_is_natural, atom.operands))
        case "mod":
            return _is_natural(atom.operands[1])
        case _:
            # Rounded up, -(-s0 // 8), a size divides a negative number.
            return all(map(_is_natural, atom.operands))
